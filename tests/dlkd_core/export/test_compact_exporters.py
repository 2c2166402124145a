"""Tests for the exporters to half precision, int8 and torch.export."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.evaluation import predict
from dlkd_core.export import ExportContext, Student
from dlkd_core.export.export_context import ONNX_OPSET
from dlkd_core.export.onnx_exporter import OnnxExporter
from dlkd_core.export.onnx_fp16_exporter import OnnxFp16Exporter
from dlkd_core.export.onnx_int8_exporter import OnnxInt8Exporter
from dlkd_core.export.tolerance import AccuracyTolerance, LogitTolerance
from dlkd_core.export.torch_export_exporter import TorchExportExporter
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import load_teacher_file


def count_int8_weights(path: Path) -> int:
    """Count the convolutions and matrix products with int8 weights in an ONNX file."""
    graph = onnx.load(path).graph
    int8_tensors = {
        tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8
    }
    dequantized = {
        node.output[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in int8_tensors
    }
    return sum(
        node.op_type in {"Conv", "Gemm", "MatMul"} and node.input[1] in dequantized
        for node in graph.node
    )


@pytest.mark.parametrize("exporter", [OnnxExporter(), OnnxFp16Exporter(), OnnxInt8Exporter()])
def test_onnx_files_are_valid_and_run_on_old_runtimes(
    context: ExportContext, tmp_path: Path, exporter: OnnxExporter
) -> None:
    exporter.write(context, tmp_path / "student.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["student.onnx"]
    model = onnx.load(tmp_path / "student.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": ONNX_OPSET}
    assert (model.ir_version, len(model.functions)) == (8, 0)
    forward = exporter.load(tmp_path / "student.onnx")
    images = context.val.images[:7].float() / 255
    torch.testing.assert_close(
        torch.cat([forward(image[None]) for image in images]), forward(images), rtol=0, atol=1e-3
    )


def test_half_precision_halves_the_weights_and_keeps_float32_input(
    context: ExportContext, tmp_path: Path
) -> None:
    OnnxExporter().write(context, tmp_path / "float32.onnx")
    OnnxFp16Exporter().write(context, tmp_path / "float16.onnx")
    types = {
        tensor.data_type
        for tensor in onnx.load(tmp_path / "float16.onnx").graph.initializer
        if len(tensor.dims) > 1
    }
    assert types == {onnx.TensorProto.FLOAT16}
    assert (tmp_path / "float16.onnx").stat().st_size < 0.7 * (
        tmp_path / "float32.onnx"
    ).stat().st_size
    session = onnxruntime.InferenceSession(
        tmp_path / "float16.onnx", providers=["CPUExecutionProvider"]
    )
    assert {part.type for part in (*session.get_inputs(), *session.get_outputs())} == {
        "tensor(float)"
    }
    logits = predict(OnnxFp16Exporter().load(tmp_path / "float16.onnx"), context.val.images)
    assert (
        OnnxFp16Exporter.tolerance.find_violation(
            logits, context.student_logits, context.val.labels
        )
        is None
    )


def test_a_conversion_does_not_modify_the_shared_graph(
    context: ExportContext, tmp_path: Path
) -> None:
    before = context.onnx_graph.SerializeToString()
    OnnxFp16Exporter().write(context, tmp_path / "float16.onnx")
    OnnxInt8Exporter().write(context, tmp_path / "int8.onnx")
    assert context.onnx_graph.SerializeToString() == before


def test_a_torch_export_program_runs_on_any_batch_size(
    context: ExportContext, tmp_path: Path
) -> None:
    TorchExportExporter().write(context, tmp_path / "student.pt2")
    program = torch.export.load(tmp_path / "student.pt2").module()
    images = torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(program(images), context.student.build_deployable()(images))


def test_layers_stay_float_until_the_tolerance_is_met(
    context: ExportContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OnnxInt8Exporter().write(context, tmp_path / "all.onnx")
    # No network with int8 layers meets this tolerance.
    monkeypatch.setattr(OnnxInt8Exporter, "tolerance", LogitTolerance(0.0))
    OnnxInt8Exporter().write(context, tmp_path / "few.onnx")
    layers = sum(
        node.op_type in {"Conv", "Gemm", "MatMul"} for node in context.onnx_graph.graph.node
    )
    assert count_int8_weights(tmp_path / "all.onnx") == layers
    assert 0 < count_int8_weights(tmp_path / "few.onnx") <= layers / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.onnx", "few.onnx"]


def test_lost_points_are_relative_to_the_student(context: ExportContext) -> None:
    labels = context.student_logits.argmax(dim=1)
    worse = context.student_logits.clone()
    worse[:3] = -worse[:3]
    lost = 100 * (worse.argmax(dim=1) != labels).double().mean().item()
    assert lost > 0
    assert (
        AccuracyTolerance(0.5).find_violation(
            context.student_logits, context.student_logits, labels
        )
        is None
    )
    assert f"loses {lost:.1f} points" in (
        AccuracyTolerance(0.5).find_violation(worse, context.student_logits, labels) or ""
    )


def test_a_real_network_in_int8_keeps_its_accuracy_at_30_percent_of_the_size(
    shared_data: Path, tmp_path: Path
) -> None:
    data = open_dataset(shared_data / "cifar10_subset_png.zip")
    teacher = load_teacher_file(shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th")
    student = Student(
        architecture="resnet56",
        options=teacher.options,
        classes=data.classes,
        normalization=Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        size=data.image_size,
        weights=teacher.source.network.module.state_dict(),  # type: ignore[attr-defined]  # the source is a NetworkSource
    )
    context = ExportContext(student, data.train, data.val)
    for exporter, name in ((OnnxExporter(), "float32.onnx"), (OnnxInt8Exporter(), "int8.onnx")):
        exporter.write(context, tmp_path / name)
    logits = predict(OnnxInt8Exporter().load(tmp_path / "int8.onnx"), data.val.images)
    assert (
        AccuracyTolerance(0.5).find_violation(logits, context.student_logits, data.val.labels)
        is None
    )
    assert (tmp_path / "int8.onnx").stat().st_size <= 0.3 * (
        tmp_path / "float32.onnx"
    ).stat().st_size
