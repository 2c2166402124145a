"""Bundle exporter: writes a zip of all exported files, the model card and other documents."""

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlkd_core.catalog import EXPORTERS
from dlkd_core.catalog.exporters import ExportFormat
from dlkd_core.common import compute_sha256
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.events import FileExported
from dlkd_core.export.export_context import ExportContext
from dlkd_core.export.safetensors_exporter import SafetensorsExporter
from dlkd_core.export.tolerance import LogitTolerance
from dlkd_core.reporting.bundle_documents import render_documents

_WEIGHTS_FILE = EXPORTERS[ExportFormat.SAFETENSORS].file
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # constant, so that equal contents produce identical files


@dataclass(frozen=True)
class _UnmeasuredWeights:
    """The student's weights, for a bundle without a separate safetensors export."""

    path: str
    size: int
    sha256: str
    name: str = _WEIGHTS_FILE
    format: str = ExportFormat.SAFETENSORS
    top1: float | None = None
    latency_ms: float | None = None


class BundleExporter:
    """Writes and reads `student.zip`.

    The tolerance applies to the logits that the weights in the zip produce.
    """

    tolerance = LogitTolerance(1e-4)

    def write(self, context: ExportContext, path: Path) -> None:
        """Write the weights, all previously exported files, and the documents about them.

        See `dlkd_core.reporting.bundle_documents.render_documents`.
        """
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            tempfile.TemporaryDirectory(dir=path.parent) as scratch,
        ):
            files = self._collect_files(context, Path(scratch))
            title = context.report["name"] or f"{context.student.architecture} student"
            for name, text in render_documents(context.report, files, title).items():
                archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), text, zipfile.ZIP_DEFLATED)
            for file in files:
                archive.writestr(
                    zipfile.ZipInfo(file.name, _ZIP_EPOCH),
                    Path(file.path).read_bytes(),
                    zipfile.ZIP_STORED,
                )

    def load(self, path: Path) -> LogitsFn:
        """Load the weights from the bundle."""
        with (
            zipfile.ZipFile(path) as archive,
            tempfile.TemporaryDirectory(dir=path.parent) as scratch,
        ):
            return SafetensorsExporter().load(Path(archive.extract(_WEIGHTS_FILE, scratch)))

    def _collect_files(
        self, context: ExportContext, scratch: Path
    ) -> Sequence[FileExported | _UnmeasuredWeights]:
        if any(file.name == _WEIGHTS_FILE for file in context.exported_files):
            return context.exported_files
        path = scratch / _WEIGHTS_FILE
        SafetensorsExporter().write(context, path)
        weights = _UnmeasuredWeights(str(path), path.stat().st_size, compute_sha256(path))
        return [*context.exported_files, weights]
