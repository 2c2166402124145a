"""Export formats for a student. Each file is loaded again and measured before it is published."""

from dlkd_core.common import FrozenModel, LiteralEnum


class ExportFormat(LiteralEnum):
    """Names of the export formats."""

    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    ONNX_FP16 = "onnx_fp16"
    ONNX_INT8 = "onnx_int8"
    TORCH_EXPORT = "torch_export"
    BUNDLE = "bundle"


class ExporterEntry(FrozenModel):
    """An export format and the name of its file.

    `target` names the class that writes the file (``module:Class``; see `dlkd_core.export`).
    """

    name: ExportFormat
    file: str
    summary: str
    target: str


EXPORTERS: dict[str, ExporterEntry] = {
    entry.name: entry
    for entry in (
        ExporterEntry(
            name=ExportFormat.SAFETENSORS,
            file="student.safetensors",
            summary="Weights under the network's own keys, with architecture, classes and"
            " normalization in the metadata of the header",
            target="dlkd_core.export.safetensors_exporter:SafetensorsExporter",
        ),
        ExporterEntry(
            name=ExportFormat.ONNX,
            file="student.onnx",
            summary="ONNX graph from images (batch, C, H, W), float32 RGB in [0, 1], to logits. The"
            " normalization is part of the graph.",
            target="dlkd_core.export.onnx_exporter:OnnxExporter",
        ),
        ExporterEntry(
            name=ExportFormat.ONNX_FP16,
            file="student.fp16.onnx",
            summary="The ONNX graph in half precision, with the same float32 input and output",
            target="dlkd_core.export.onnx_fp16_exporter:OnnxFp16Exporter",
        ),
        ExporterEntry(
            name=ExportFormat.ONNX_INT8,
            file="student.int8.onnx",
            summary="The ONNX graph quantized to 8-bit integers, calibrated on training images."
            " Top-1 drops by at most 0.5 percentage points.",
            target="dlkd_core.export.onnx_int8_exporter:OnnxInt8Exporter",
        ),
        ExporterEntry(
            name=ExportFormat.TORCH_EXPORT,
            file="student.pt2",
            summary="A torch.export program that torch.export.load runs without the network's code",
            target="dlkd_core.export.torch_export_exporter:TorchExportExporter",
        ),
        ExporterEntry(
            name=ExportFormat.BUNDLE,
            file="student.zip",
            summary="A zip with all other requested files, a model card, the configuration and"
            " the lineage",
            target="dlkd_core.export.bundle_exporter:BundleExporter",
        ),
    )
}
