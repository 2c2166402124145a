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
        Exporter(
            name="onnx_fp16",
            file="student.fp16.onnx",
            summary="The ONNX graph in half precision, with the same float32 input and output",
            target="dlkd_core.export.onnx_fp16_file:OnnxFp16File",
        ),
        Exporter(
            name="onnx_int8",
            file="student.int8.onnx",
            summary="The ONNX graph in eight bits, calibrated on training images; at most 0.5 points of top-1 are lost",
            target="dlkd_core.export.onnx_int8_file:OnnxInt8File",
        ),
        Exporter(
            name="torch_export",
            file="student.pt2",
            summary="A program of torch.export: torch.export.load runs it without the network's code",
            target="dlkd_core.export.torch_export_file:TorchExportFile",
        ),
        Exporter(
            name="bundle",
            file="student.zip",
            summary="All of these that were asked for with a model card, the configuration and the lineage in one zip",
            target="dlkd_core.export.bundle_file:BundleFile",
        ),
    )
}
