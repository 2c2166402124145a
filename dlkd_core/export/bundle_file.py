"""Everything of a student in one zip: the files made before it, the model card, configuration, lineage and manifest."""

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dlkd_core.bundle import texts
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.events import FileExported
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.safetensors_file import SafetensorsFile
from dlkd_core.export.work import Work

_WEIGHTS = "student.safetensors"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment of zip: equal contents are equal files


@dataclass(frozen=True)
class _Weights:
    """The student's weights where nobody asked for a file of them: in the bundle all the same, not measured by themselves."""

    path: str
    size: int
    sha256: str
    name: str = _WEIGHTS
    format: str = "safetensors"
    top1: float | None = None
    latency_ms: float | None = None


class BundleFile:
    """Writes and reads `student.zip`. What it promises is what its weights do."""

    agreement = CloseLogits(1e-4)

    def write(self, work: Work, path: Path) -> None:
        """The weights, whatever else was exported before, and `dlkd_core.bundle.texts`."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            files = self._files(work, Path(scratch))
            title = work.report["name"] or f"{work.student.architecture} student"
            for name, text in texts(work.report, files, title).items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
            for file in files:
                archive.writestr(zipfile.ZipInfo(file.name, _EPOCH), Path(file.path).read_bytes(), zipfile.ZIP_STORED)

    def load(self, path: Path) -> Forward:
        """The weights in it."""
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            return SafetensorsFile().load(Path(archive.extract(_WEIGHTS, scratch)))

    def _files(self, work: Work, scratch: Path) -> Sequence[FileExported | _Weights]:
        if any(file.name == _WEIGHTS for file in work.made):
            return work.made
        path = scratch / _WEIGHTS
        SafetensorsFile().write(work, path)
        return [*work.made, _Weights(str(path), path.stat().st_size, sha256(path.read_bytes()).hexdigest())]
