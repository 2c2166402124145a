"""Files of a model from elsewhere are loaded, run and held to their report."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from dlkd_core.errors import CheckpointRefused, DistillationError, ModelUnfit
from dlkd_core.export import Work
from dlkd_core.export.onnx_file import OnnxFile
from dlkd_core.export.safetensors_file import SafetensorsFile
from dlkd_core.export.trial import try_files
from dlkd_core.told import ToldFile, ToldModel


@pytest.fixture(scope="session")
def made(work: Work, tmp_path_factory: pytest.TempPathFactory) -> list[ToldFile]:
    folder = tmp_path_factory.mktemp("made")
    SafetensorsFile().write(work, folder / "student.safetensors")
    OnnxFile().write(work, folder / "student.onnx")
    (folder / "student.pt2").write_bytes(b"a program")
    formats = {"student.onnx": "onnx", "student.pt2": "torch_export", "student.safetensors": "safetensors"}
    return [ToldFile(name=name, format=kind, path=folder / name) for name, kind in formats.items()]


def told(work: Work, **changes: Any) -> ToldModel:
    student = work.student
    parameters = sum(parameter.numel() for parameter in student.network().module.parameters())
    facts = {"architecture": student.architecture, "options": dict(student.options), "parameters": parameters}
    return ToldModel.model_validate({**facts, "classes": len(student.classes), "size": student.size, **changes})


def test_files_that_are_the_model_of_the_report_pass(work: Work, made: list[ToldFile]) -> None:
    assert try_files(told(work), made) == {"tried": ["student.safetensors", "student.onnx"], "left_out": ["student.pt2"]}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": "resnet14"}, "architecture is 'resnet8', and 'resnet14' in the report"),
        ({"options": {}}, "options is"),
        ({"parameters": 1}, "parameters is"),
        ({"classes": 7}, "classes is 3, and 7"),
        ({"size": (16, 16)}, "size is"),
    ],
)
def test_another_network_than_that_of_the_report_is_told(
    work: Work, made: list[ToldFile], changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(ModelUnfit, match=word):
        try_files(told(work, **changes), made)


def test_files_that_answer_differently_are_not_one_model(work: Work, made: list[ToldFile], tmp_path: Path) -> None:
    model = onnx.load(made[0].path)
    weights = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * 2, weights.name))
    onnx.save(model, tmp_path / "other.onnx")
    other = ToldFile(name="student.onnx", format="onnx", path=tmp_path / "other.onnx")
    with pytest.raises(ModelUnfit, match="not the same network as the other files"):
        try_files(told(work), [made[2], other])


@pytest.mark.parametrize("kind", ["safetensors", "onnx", "onnx_int8"])
@pytest.mark.parametrize("content", [b"", b"weights of a student", bytes(8)])
def test_bytes_that_are_no_network_are_told(work: Work, tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DistillationError):
        try_files(told(work), [ToldFile(name="student", format=kind, path=tmp_path / "file")])


def test_weights_of_another_shape_are_told(work: Work, made: list[ToldFile], tmp_path: Path) -> None:
    from safetensors import safe_open  # noqa: PLC0415 - of this test alone
    from safetensors.torch import save_file  # noqa: PLC0415

    with safe_open(made[2].path, framework="pt") as file:
        facts, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    name = next(iter(tensors))
    for wrong in ({**tensors, name: torch.zeros(1)}, {key: tensors[key] for key in tensors if key != name}):
        save_file(wrong, tmp_path / "file", facts)
        with pytest.raises(ModelUnfit, match="cannot be loaded and run"):
            try_files(told(work), [ToldFile(name="student.safetensors", format="safetensors", path=tmp_path / "file")])


def test_a_graph_that_reads_another_file_is_not_run(work: Work, tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 3], bytes(36), raw=True)
    onnx.external_data_helper.set_external_data(weights, "/etc/passwd")
    weights.ClearField("raw_data")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    nodes = [helper.make_node("ReduceMean", ["image"], ["m"], keepdims=0), helper.make_node("MatMul", ["m", "w"], ["logits"])]
    (tmp_path / "file").write_bytes(
        helper.make_model(helper.make_graph(nodes, "g", [image], [logits], [weights])).SerializeToString()
    )
    with pytest.raises(CheckpointRefused):
        try_files(told(work), [ToldFile(name="student.onnx", format="onnx", path=tmp_path / "file")])
