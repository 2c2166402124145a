"""Everything of a student in one zip: the files made before it, the model card, configuration and lineage."""

import json
import tempfile
import zipfile
from pathlib import Path

from dlkd_core.card import card, config
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.export.agreement import CloseLogits
from dlkd_core.export.safetensors_file import SafetensorsFile
from dlkd_core.export.work import Work

_WEIGHTS = "student.safetensors"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment of zip: equal contents are equal files


class BundleFile:
    """Writes and reads `student.zip`. What it promises is what its weights do."""

    agreement = CloseLogits(1e-4)

    def write(self, work: Work, path: Path) -> None:
        """The weights, whatever else was exported before, README.md (the card), config.json and lineage.json."""
        texts = {
            "README.md": card(work.report, work.made, work.report["name"] or f"{work.student.architecture} student"),
            "config.json": json.dumps(config(work.report), indent=2),
            "lineage.json": json.dumps(work.report["lineage"], indent=2),
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            for name, text in texts.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
            for file in self._files(work, Path(scratch)):
                archive.writestr(zipfile.ZipInfo(file.name, _EPOCH), file.read_bytes(), zipfile.ZIP_STORED)

    def load(self, path: Path) -> Forward:
        """The weights in it."""
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            return SafetensorsFile().load(Path(archive.extract(_WEIGHTS, scratch)))

    def _files(self, work: Work, scratch: Path) -> list[Path]:
        made = [Path(file.path) for file in work.made]
        if not any(file.name == _WEIGHTS for file in made):
            SafetensorsFile().write(work, scratch / _WEIGHTS)
            made.append(scratch / _WEIGHTS)
        return made
