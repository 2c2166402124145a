"""Program that measures how much more memory a run on many images takes than a run on few.

`test_pipeline_large_datasets` starts this program. The program prints the additional peak memory in
bytes, once with the many images on disk and once with the images in memory. Only anonymous memory
is counted. Pages of mapped files are left out, because the system can reclaim them at any time.
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

from dlkd_core.data import ReadOptions
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

_SAMPLE_SECONDS = 0.002


def read_anonymous_memory() -> int:
    match = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    return int(match[1]) << 10


@contextmanager
def record_peak(peaks: list[int]) -> Iterator[None]:
    """Measure the peak memory of the `with` block and append it to `peaks`, in bytes."""
    done, samples = threading.Event(), [read_anonymous_memory()]

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            samples.append(read_anonymous_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peaks.append(max(samples))


def make_spec(dataset: Path) -> DistillationSpec:
    return DistillationSpec.model_validate(
        {
            "student": {"architecture": "mobilenet_v3_small"},
            "dataset": {"path": dataset},
            "training": {"epochs": 1, "batch_size": 16, "max_steps": 4},
            "export": ["safetensors"],
        }
    )


def main(few: Path, many: Path, out: Path, limit: int) -> None:
    torch.set_num_threads(1)
    peaks: list[int] = []
    runs = [
        ("warm-up", few, limit),
        ("few", few, limit),
        ("on disk", many, limit),
        ("in memory", many, 1 << 30),
    ]
    for name, dataset, memory in runs:
        read_options = ReadOptions(max_memory_bytes=memory, cache_dir=out / name / "cache")
        with record_peak(peaks):
            for _ in run(make_spec(dataset), out / name, read_options=read_options):
                pass
        gc.collect()
    _, few_peak, disk_peak, memory_peak = peaks
    additional = {"on disk": disk_peak - few_peak, "in memory": memory_peak - few_peak}
    sys.stdout.write(json.dumps(additional))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]))
