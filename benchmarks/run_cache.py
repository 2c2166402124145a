"""A cache of finished benchmark runs, keyed by the digests of their specs.

An interrupted run resumes from its checkpoint.
"""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from dlkd_core import events
from dlkd_core.data import open_dataset
from dlkd_core.device import describe_device, pick_device
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

WEIGHTS_FILE = "student.safetensors"
_RESULT_FILE = "result.json"


@dataclass(frozen=True)
class RunCache:
    """A cache with one subfolder per run.

    A run's accuracy is measured after its last epoch, as in the published tables.
    """

    folder: Path

    def get_or_run(self, **spec: Any) -> dict[str, Any]:
        """Return the result of the run with this spec. Run it first if it is not in the cache.

        The result contains the top-1 accuracy of student and teacher in [0, 1], the duration in
        seconds, the device and the path of the weights.
        """
        full_spec = DistillationSpec.model_validate({"export": ["safetensors"], **spec})
        folder = self.folder / sha256(full_spec.model_dump_json().encode()).hexdigest()[:16]
        if not (folder / _RESULT_FILE).exists():
            self._run(full_spec, folder)
        result: dict[str, Any] = json.loads((folder / _RESULT_FILE).read_text())
        return {**result, "weights": folder / WEIGHTS_FILE}

    def _run(self, spec: DistillationSpec, folder: Path) -> None:
        start, report = perf_counter(), {}
        checkpoint = folder / CHECKPOINT_FILE
        stream = run(
            spec,
            folder,
            resume_from=checkpoint if checkpoint.exists() else None,
            teacher_cache=self.folder / "teacher_outputs.sqlite",
        )
        with closing(stream):
            for event in stream:
                if isinstance(event, events.RunFinished):
                    report = event.report
        metrics = report["metrics"]
        result = {
            "spec": spec.model_dump(mode="json"),
            "student": metrics["student"]["top1"],
            "teacher": metrics["teacher"]["top1"] if metrics["teacher"] else None,
            "seconds": perf_counter() - start,
            "device": describe_device(pick_device()),
        }
        partial = folder / f".{_RESULT_FILE}"
        partial.write_text(json.dumps(result, indent=2))
        partial.replace(folder / _RESULT_FILE)
        checkpoint.unlink(missing_ok=True)

    def decode_dataset(self, data: Path, val: Path | None = None) -> Path:
        """Decode the dataset once for all runs and return the path of the decoded file.

        If `val` is given, its val split replaces that of `data`.
        """
        path = self.folder / f"{data.stem}{f'_{val.stem}' if val else ''}.safetensors"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            dataset = open_dataset(data)
            if val:
                dataset = replace(dataset, val=open_dataset(val).val)
            dataset.save(path)
        return path
