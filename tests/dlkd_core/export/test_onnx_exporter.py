"""Tests for the ONNX exporter. They run the file without this project's code."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dlkd_core.export import ExportContext
from dlkd_core.export.onnx_exporter import OnnxExporter


@pytest.fixture(scope="module")
def file(context: ExportContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "student.onnx"
    OnnxExporter().write(context, path)
    return path


@pytest.mark.parametrize("batch", [1, 2, 3, 60])
def test_any_batch_size_gives_the_students_logits(
    context: ExportContext, file: Path, batch: int
) -> None:
    images = torch.rand(batch, 3, 8, 8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(
            logits, context.student.build_deployable()(images).numpy(), rtol=1e-3, atol=1e-4
        )


def test_input_and_output_are_named_and_typed(file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(float)", [3, 8, 8])
    assert (logits.name, logits.type, logits.shape[1:]) == ("logits", "tensor(float)", [3])
    assert isinstance(image.shape[0], str)  # the batch dimension is symbolic
    assert image.shape[0] == logits.shape[0]


def test_the_file_is_valid_with_class_names_and_without_local_paths(
    file: Path,
) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in file.parent.iterdir()] == ["student.onnx"]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["architecture"] == "resnet8"
    assert json.loads(metadata["classes"]) == ["diagonal", "horizontal", "vertical"]
    assert str(Path(__file__).parents[3]).encode() not in file.read_bytes()


def test_loading_it_back_gives_the_students_logits(context: ExportContext, file: Path) -> None:
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            OnnxExporter().load(file)(images),
            context.student.build_deployable()(images),
            rtol=1e-3,
            atol=1e-4,
        )
