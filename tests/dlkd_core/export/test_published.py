"""What is published was loaded back and measured, and is the student."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.catalog import EXPORTERS
from dlkd_core.catalog.exporters import Exporter
from dlkd_core.errors import ExportDisagrees
from dlkd_core.evaluation import scores
from dlkd_core.export import Work, publish
from dlkd_core.export.safetensors_file import SafetensorsFile


def test_every_format_is_written_measured_and_described(work: Work, tmp_path: Path) -> None:
    formats = ["safetensors", "onnx"]
    published = list(publish(work, formats, tmp_path))
    assert [file.format for file in published] == formats
    top1 = scores(work.student.deployable(), work.val).top1
    for file in published:
        path = tmp_path / EXPORTERS[file.format].file
        assert (file.name, file.path) == (path.name, str(path))
        assert (file.size, file.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        assert file.top1 == top1
        assert file.latency_ms > 0


class OtherWeights(SafetensorsFile):
    """A writer with a fault: it makes the weights of the classifier larger by a hundredth."""

    def write(self, work: Work, path: Path) -> None:
        weights = {**work.student.weights, "fc.weight": work.student.weights["fc.weight"] * 1.01}
        super().write(replace(work, student=replace(work.student, weights=weights)), path)


def test_a_file_that_disagrees_with_the_student_is_not_published(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "tests.dlkd_core.export.test_published:OtherWeights"
    monkeypatch.setitem(EXPORTERS, "other", Exporter(name="other", file="other.safetensors", summary="", target=target))
    files = publish(work, ["safetensors", "other"], tmp_path)
    assert next(files).format == "safetensors"
    with pytest.raises(ExportDisagrees, match=r"other\.safetensors is not the student: it differs by .* in a logit") as caught:
        next(files)
    assert "not published" in caught.value.hint


def test_a_student_whose_logits_are_no_numbers_is_not_published(work: Work, tmp_path: Path) -> None:
    weights = {**work.student.weights, "fc.bias": torch.full((3,), float("nan"))}
    broken = Work(replace(work.student, weights=weights), work.train, work.val)
    with pytest.raises(ExportDisagrees, match="differs by nan"):
        list(publish(broken, ["safetensors"], tmp_path))
