"""Tests for the import check, which runs the files of an imported model.

The check compares the results with the report of the model.
"""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from dlkd_core.errors import CheckpointRefused, DistillationError, ModelUnfit
from dlkd_core.export import ExportContext
from dlkd_core.export.import_check import check_files
from dlkd_core.export.onnx_exporter import OnnxExporter
from dlkd_core.export.safetensors_exporter import SafetensorsExporter
from dlkd_core.reporting.reported_model import ReportedFile, ReportedModel


@pytest.fixture(scope="session")
def exported_files(
    context: ExportContext, tmp_path_factory: pytest.TempPathFactory
) -> list[ReportedFile]:
    folder = tmp_path_factory.mktemp("exported")
    SafetensorsExporter().write(context, folder / "student.safetensors")
    OnnxExporter().write(context, folder / "student.onnx")
    (folder / "student.pt2").write_bytes(b"a program")
    formats = {
        "student.onnx": "onnx",
        "student.pt2": "torch_export",
        "student.safetensors": "safetensors",
    }
    return [
        ReportedFile(name=name, format=file_format, path=folder / name)
        for name, file_format in formats.items()
    ]


def make_reported_model(context: ExportContext, **changes: Any) -> ReportedModel:
    student = context.student
    parameters = sum(parameter.numel() for parameter in student.build_network().module.parameters())
    report = {
        "architecture": student.architecture,
        "options": dict(student.options),
        "parameters": parameters,
    }
    return ReportedModel.model_validate(
        {**report, "classes": len(student.classes), "size": student.size, **changes}
    )


def test_files_that_match_the_report_pass(
    context: ExportContext, exported_files: list[ReportedFile]
) -> None:
    assert check_files(make_reported_model(context), exported_files) == {
        "tried": ["student.safetensors", "student.onnx"],
        "left_out": ["student.pt2"],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet14"}, "architecture is 'resnet8', but the report says 'resnet14'"),
        ({"options": {}}, "options is"),
        ({"parameters": 1}, "parameters is"),
        ({"classes": 7}, "classes is 3, but the report says 7"),
        ({"size": (16, 16)}, "size is"),
    ],
)
def test_another_network_than_the_reports_is_refused(
    context: ExportContext,
    exported_files: list[ReportedFile],
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ModelUnfit, match=message):
        check_files(make_reported_model(context, **changes), exported_files)


def test_files_with_different_logits_are_refused(
    context: ExportContext, exported_files: list[ReportedFile], tmp_path: Path
) -> None:
    model = onnx.load(exported_files[0].path)
    weights = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    weights.CopyFrom(
        onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * 2, weights.name)
    )
    onnx.save(model, tmp_path / "other.onnx")
    other = ReportedFile(name="student.onnx", format="onnx", path=tmp_path / "other.onnx")
    with pytest.raises(ModelUnfit, match="does not contain the same network as the other files"):
        check_files(make_reported_model(context), [exported_files[2], other])


@pytest.mark.parametrize("file_format", ["safetensors", "onnx", "onnx_int8"])
@pytest.mark.parametrize("content", [b"", b"weights of a student", bytes(8)])
def test_bytes_that_are_not_a_network_are_refused(
    context: ExportContext, tmp_path: Path, file_format: str, content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DistillationError):
        check_files(
            make_reported_model(context),
            [ReportedFile(name="student", format=file_format, path=tmp_path / "file")],
        )


def test_weights_of_another_shape_are_refused(
    context: ExportContext, exported_files: list[ReportedFile], tmp_path: Path
) -> None:
    from safetensors import safe_open  # noqa: PLC0415 - used in this test only
    from safetensors.torch import save_file  # noqa: PLC0415

    with safe_open(exported_files[2].path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    name = next(iter(tensors))
    for invalid in (
        {**tensors, name: torch.zeros(1)},
        {key: tensors[key] for key in tensors if key != name},
    ):
        save_file(invalid, tmp_path / "file", metadata)
        with pytest.raises(ModelUnfit, match="cannot be loaded and run"):
            check_files(
                make_reported_model(context),
                [
                    ReportedFile(
                        name="student.safetensors", format="safetensors", path=tmp_path / "file"
                    )
                ],
            )


def test_a_graph_with_external_weights_is_not_run(context: ExportContext, tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 3], bytes(36), raw=True)
    onnx.external_data_helper.set_external_data(weights, "/etc/passwd")
    weights.ClearField("raw_data")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["m"], keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["logits"]),
    ]
    (tmp_path / "file").write_bytes(
        helper.make_model(
            helper.make_graph(nodes, "g", [image], [logits], [weights])
        ).SerializeToString()
    )
    with pytest.raises(CheckpointRefused):
        check_files(
            make_reported_model(context),
            [ReportedFile(name="student.onnx", format="onnx", path=tmp_path / "file")],
        )
