"""A program for `test_large_sets`: how much anonymous memory a run over many images takes beyond one over few of them.

Pages of mapped files are not counted: the system has them back whenever it wants to.
"""

import gc
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dlkd_core.data import Reading
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

_EVERY = 0.002  # seconds


def anonymous() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10


@contextmanager
def watched(peaks: list[int]) -> Iterator[None]:
    """Appends the highest value seen during the block."""
    done, seen = threading.Event(), [anonymous()]

    def watch() -> None:
        while not done.wait(_EVERY):
            seen.append(anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peaks.append(max(seen))


def main(few: Path, many: Path, out: Path, limit: int) -> None:
    torch.set_num_threads(1)
    peaks: list[int] = []
    runs = [("warm-up", few, limit), ("few", few, limit), ("on disk", many, limit), ("in memory", many, 1 << 30)]
    for name, path, memory in runs:
        spec = DistillationSpec.model_validate(
            {
                "student": {"architecture": "mobilenet_v3_small"},
                "dataset": {"path": path},
                "training": {"epochs": 1, "batch_size": 16, "max_steps": 4},
                "export": ["safetensors"],
            }
        )
        with watched(peaks):
            for _ in run(spec, out / name, reading=Reading(memory_bytes=memory, cache=out / name / "cache")):
                pass
        gc.collect()
    few_peak, *others = peaks[1:]
    print(json.dumps({name: peak - few_peak for name, peak in zip(("on disk", "in memory"), others, strict=True)}))  # noqa: T201


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
