"""The formats in which a student leaves: each file is loaded back and measured before it is published."""

from dlkd_core.frozen import Frozen


class Exporter(Frozen):
    """A format: the file's name, and where its code is (``module:Class``, see `dlkd_core.export`)."""

    name: str
    file: str
    summary: str
    target: str


EXPORTERS: dict[str, Exporter] = {
    exporter.name: exporter
    for exporter in (
        Exporter(
            name="safetensors",
            file="student.safetensors",
            summary="Weights under the network's own keys; architecture, classes and normalization in the header's metadata",
            target="dlkd_core.export.safetensors_file:SafetensorsFile",
        ),
        Exporter(
            name="onnx",
            file="student.onnx",
            summary="ONNX graph: image (batch, C, H, W) float32 RGB in [0, 1] -> logits; the normalization is inside",
            target="dlkd_core.export.onnx_file:OnnxFile",
        ),
    )
}
