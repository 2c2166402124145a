"""One cell of a table of results: a run that is made once, kept by the digest of its spec, resumed where it was interrupted."""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from dlkd_core import events
from dlkd_core.checkpoint import FILE
from dlkd_core.data import open_dataset
from dlkd_core.device import describe, pick_device
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

WEIGHTS = "student.safetensors"
_RESULT = "result.json"


@dataclass(frozen=True)
class Cells:
    """Results under a folder, one folder a cell. The last epoch counts, as in the published tables."""

    folder: Path

    def result(self, **spec: Any) -> dict[str, Any]:
        """top1 of student and teacher, seconds and device of the run with this spec; `weights` are kept beside them."""
        whole = DistillationSpec.model_validate({"export": ["safetensors"], **spec})
        folder = self.folder / sha256(whole.model_dump_json().encode()).hexdigest()[:16]
        if not (folder / _RESULT).exists():
            self._run(whole, folder)
        found: dict[str, Any] = json.loads((folder / _RESULT).read_text())
        return {**found, "weights": folder / WEIGHTS}

    def _run(self, spec: DistillationSpec, folder: Path) -> None:
        began, report = perf_counter(), {}
        saved = folder / FILE
        resume = saved if saved.exists() else None
        with closing(run(spec, folder, resume_from=resume, teacher_cache=self.folder / "teacher_outputs.sqlite")) as work:
            for event in work:
                if isinstance(event, events.Finished):
                    report = event.report
        metrics = report["metrics"]
        result = {
            "spec": spec.model_dump(mode="json"),
            "student": metrics["student"]["top1"],
            "teacher": metrics["teacher"]["top1"] if metrics["teacher"] else None,
            "seconds": perf_counter() - began,
            "device": describe(pick_device()),
        }
        partial = folder / f".{_RESULT}"
        partial.write_text(json.dumps(result, indent=2))
        partial.replace(folder / _RESULT)
        saved.unlink(missing_ok=True)

    def packed(self, data: Path, val: Path | None = None) -> Path:
        """The data set decoded, so that no run has to do it again; with the val split of another one where that is given."""
        path = self.folder / f"{data.stem}{f'_{val.stem}' if val else ''}.safetensors"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            packed = open_dataset(data)
            (replace(packed, val=open_dataset(val).val) if val else packed).save(path)
        return path
