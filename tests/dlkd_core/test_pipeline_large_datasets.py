"""Tests for runs on images that do not fit in memory.

These runs give the same weights as runs in memory and stay within the memory limit.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dlkd_core import events
from dlkd_core.data import ReadOptions
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.pipeline import run
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.data.sample_images import encode_png, write_zip
from tests.dlkd_core.run_helpers import load_student_weights

MiB = 1 << 20
# By default, glibc raises its mmap threshold when a large block is freed. Later blocks of that size
# are then not returned to the system when they are freed. A fixed threshold prevents this.
MALLOC_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


def weights_equal(directory: Path, other: Path) -> bool:
    expected = load_student_weights(other)
    weights = load_student_weights(directory)
    return all(torch.equal(value, expected[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    "stop_after", [None, 3, 8], ids=["uninterrupted", "stopped mid-epoch", "stopped between epochs"]
)
def test_images_on_disk_train_to_the_weights_of_images_in_memory(
    make_spec: MakeSpec, tmp_path: Path, stop_after: int | None
) -> None:
    spec, out = make_spec(training={"epochs": 2}), tmp_path / "disk"
    read_options = ReadOptions(max_memory_bytes=1000, cache_dir=tmp_path / "cache")
    list(run(spec, tmp_path / "memory"))
    run_events = run(spec, out, read_options=read_options)
    for event in run_events:
        if stop_after and isinstance(event, events.StepFinished) and event.step == stop_after:
            run_events.close()
    if stop_after:
        assert not (out / "student.safetensors").exists()
        checkpoint = out / CHECKPOINT_FILE
        list(run(spec, out, resume_from=checkpoint, read_options=read_options))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert weights_equal(tmp_path / "memory", out)


def test_images_on_disk_are_exported_and_measured_as_images_in_memory(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(export=["onnx", "onnx_int8"], training={"max_steps": 4})
    files, reports = [], []
    for name, memory in (("memory", None), ("disk", 1000)):
        read_options = ReadOptions(max_memory_bytes=memory)
        run_events = list(run(spec, tmp_path / name, read_options=read_options))
        exported = [event for event in run_events if isinstance(event, events.FileExported)]
        files.append([(file.sha256, file.top1) for file in exported])
        reports.append(run_events[-1].report)
    assert files[0] == files[1]
    assert reports[0]["lineage"] == reports[1]["lineage"]
    assert (
        reports[0]["metrics"]["student"]["confusion"]
        == reports[1]["metrics"]["student"]["confusion"]
    )


def write_dataset(path: Path, train: int, val: int) -> Path:
    """Write a zip of single-color 128 x 128 images. Each image takes 48 KiB when decoded."""
    images = [encode_png(np.full((128, 128, 3), shade, np.uint8)) for shade in range(0, 256, 8)]
    files = {
        f"{split}/{'ab'[row % 2]}/{row:05}.png": images[row % len(images)]
        for split, count in (("train", train), ("val", val))
        for row in range(count)
    }
    return write_zip(path, files)


@pytest.mark.e2e  # slow, because of its large dataset
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
def test_a_dataset_of_ten_times_the_memory_limit_trains_within_the_limit(tmp_path: Path) -> None:
    few = write_dataset(tmp_path / "few.zip", 64, 64)
    many = write_dataset(tmp_path / "many.zip", 3200, 256)
    limit = 16 * MiB
    assert 10 * limit < (3200 + 256) * 3 * 128 * 128
    program = Path(__file__).with_name("measure_run_memory.py")
    command = [sys.executable, program, few, many, tmp_path, str(limit)]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **MALLOC_ENVIRONMENT},
    )
    additional = json.loads(result.stdout)
    assert additional["in memory"] > 9 * limit  # shows that the measurement works
    assert additional["on disk"] < limit
