"""The ONNX file, as somebody runs it who has nothing of ours."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dlkd_core.export import Work
from dlkd_core.export.onnx_file import OnnxFile


@pytest.fixture(scope="module")
def file(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "student.onnx"
    OnnxFile().write(work, path)
    return path


@pytest.mark.parametrize("batch", [1, 2, 3, 60])
def test_plain_images_in_the_unit_range_in_any_batch_give_the_students_logits(work: Work, file: Path, batch: int) -> None:
    images = torch.rand(batch, 3, 8, 8)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, work.student.deployable()(images).numpy(), rtol=1e-3, atol=1e-4)


def test_input_and_output_say_what_they_are(file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(float)", [3, 8, 8])
    assert (logits.name, logits.type, logits.shape[1:]) == ("logits", "tensor(float)", [3])
    assert isinstance(image.shape[0], str)  # the batch has a name and no number
    assert image.shape[0] == logits.shape[0]


def test_the_file_is_one_sound_file_with_its_classes_and_without_paths_of_this_machine(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.name for entry in file.parent.iterdir()] == ["student.onnx"]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["architecture"] == "resnet8"
    assert json.loads(facts["classes"]) == ["diagonal", "horizontal", "vertical"]
    assert str(Path(__file__).parents[3]).encode() not in file.read_bytes()


def test_it_loads_back_to_the_students_logits(work: Work, file: Path) -> None:
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(OnnxFile().load(file)(images), work.student.deployable()(images), rtol=1e-3, atol=1e-4)
