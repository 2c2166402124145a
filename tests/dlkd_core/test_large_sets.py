"""Runs over images that memory is not to hold: the same weights, in little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dlkd_core import events
from dlkd_core.checkpoint import FILE
from dlkd_core.data import Reading
from dlkd_core.pipeline import run
from tests.dlkd_core.data.pictures import png, zipped

from .conftest import MakeSpec

MiB = 1 << 20
# glibc gives large blocks back to the system when they are freed, but learns from them to keep them; not so with this set.
FREED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONPATH": str(Path(__file__).parents[2])}


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "student.safetensors")


def same(one: Path, other: Path) -> bool:
    pairs = weights(other)
    return all(torch.equal(value, pairs[name]) for name, value in weights(one).items())


@pytest.mark.parametrize("stop_after", [None, 3, 8], ids=["undisturbed", "stopped mid-epoch", "stopped between epochs"])
def test_images_on_disk_train_to_the_weights_of_images_in_memory(
    make_spec: MakeSpec, tmp_path: Path, stop_after: int | None
) -> None:
    spec, disk = make_spec(training={"epochs": 2}), Reading(memory_bytes=1000, cache=tmp_path / "cache")
    list(run(spec, tmp_path / "memory"))
    work = run(spec, tmp_path / "disk", reading=disk)
    for event in work:
        if stop_after and isinstance(event, events.StepDone) and event.step == stop_after:
            work.close()
    if stop_after:
        assert not (tmp_path / "disk" / "student.safetensors").exists()
        list(run(spec, tmp_path / "disk", resume_from=tmp_path / "disk" / FILE, reading=disk))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert same(tmp_path / "memory", tmp_path / "disk")


def test_images_on_disk_are_exported_and_measured_as_images_in_memory(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(export=["onnx", "onnx_int8"], training={"max_steps": 4})
    files, reports = [], []
    for name, reading in (("memory", Reading()), ("disk", Reading(memory_bytes=1000))):
        seen = list(run(spec, tmp_path / name, reading=reading))
        files.append([(file.sha256, file.top1) for file in seen if isinstance(file, events.FileExported)])
        reports.append(seen[-1].report)
    assert files[0] == files[1]
    assert reports[0]["lineage"] == reports[1]["lineage"]
    assert reports[0]["metrics"]["student"]["confusion"] == reports[1]["metrics"]["student"]["confusion"]


def pictures(path: Path, train: int, val: int) -> Path:
    """Flat images of 128 x 128 pixels, 48 KiB each once decoded."""
    flat = [png(np.full((128, 128, 3), shade, np.uint8)) for shade in range(0, 256, 8)]
    files = {
        f"{split}/{'ab'[row % 2]}/{row:05}.png": flat[row % len(flat)]
        for split, count in (("train", train), ("val", val))
        for row in range(count)
    }
    return zipped(path, files)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
def test_a_set_of_ten_times_the_memory_limit_is_trained_on_within_it(tmp_path: Path) -> None:
    few, many, limit = pictures(tmp_path / "few.zip", 64, 64), pictures(tmp_path / "many.zip", 3200, 256), 16 * MiB
    assert 10 * limit < (3200 + 256) * 3 * 128 * 128
    program = Path(__file__).with_name("memory_of_a_run.py")
    command = [sys.executable, program, few, many, tmp_path, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **FREED_AT_ONCE})
    grown = json.loads(done.stdout)
    assert grown["in memory"] > 9 * limit  # what is measured can be seen
    assert grown["on disk"] < limit
