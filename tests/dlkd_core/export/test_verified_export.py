"""Tests for verified exports: files are loaded back, measured and compared with the student."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.catalog import EXPORTERS
from dlkd_core.errors import ExportDisagrees
from dlkd_core.evaluation import score_network
from dlkd_core.export import ExportContext, export_all
from dlkd_core.export.safetensors_exporter import SafetensorsExporter


def test_every_format_is_written_measured_and_described(
    context: ExportContext, tmp_path: Path
) -> None:
    formats = ["safetensors", "onnx"]
    published = list(export_all(context, formats, tmp_path))
    assert [file.format for file in published] == formats
    top1 = score_network(context.student.build_deployable(), context.val).top1
    for file in published:
        path = tmp_path / EXPORTERS[file.format].file
        assert (file.name, file.path) == (path.name, str(path))
        assert (file.size, file.sha256) == (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        assert file.top1 == top1
        assert file.latency_ms > 0


class OtherWeights(SafetensorsExporter):
    """A faulty exporter that scales the classifier's weights by 1.01."""

    def write(self, context: ExportContext, path: Path) -> None:
        weights = {
            **context.student.weights,
            "fc.weight": context.student.weights["fc.weight"] * 1.01,
        }
        super().write(replace(context, student=replace(context.student, weights=weights)), path)


def test_a_file_that_disagrees_with_the_student_is_not_published(
    context: ExportContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "tests.dlkd_core.export.test_verified_export:OtherWeights"
    entry = EXPORTERS["onnx"].model_copy(update={"file": "other.safetensors", "target": target})
    monkeypatch.setitem(EXPORTERS, "onnx", entry)
    files = export_all(context, ["safetensors", "onnx"], tmp_path)
    assert next(files).format == "safetensors"
    with pytest.raises(
        ExportDisagrees,
        match=r"other\.safetensors does not match the student: it differs by .* in a logit",
    ) as caught:
        next(files)
    assert "not published" in caught.value.hint


def test_a_student_with_nan_logits_is_not_published(context: ExportContext, tmp_path: Path) -> None:
    weights = {**context.student.weights, "fc.bias": torch.full((3,), float("nan"))}
    broken = ExportContext(replace(context.student, weights=weights), context.train, context.val)
    with pytest.raises(ExportDisagrees, match="differs by nan"):
        list(export_all(broken, ["safetensors"], tmp_path))
