"""The smaller and other forms of a student: half precision, eight bits, torch.export."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.evaluation import logits_of
from dlkd_core.export import Student, Work
from dlkd_core.export.agreement import CloseAccuracy, CloseLogits
from dlkd_core.export.onnx_file import OnnxFile
from dlkd_core.export.onnx_fp16_file import OnnxFp16File
from dlkd_core.export.onnx_int8_file import OnnxInt8File
from dlkd_core.export.torch_export_file import TorchExportFile
from dlkd_core.spec import Normalization
from dlkd_core.teachers.load import load_teacher


def integers(path: Path) -> int:
    """How many convolutions and matrix products of a graph have their weights in eight bits."""
    graph = onnx.load(path).graph
    small = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    restored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in small}
    return sum(node.op_type in {"Conv", "Gemm", "MatMul"} and node.input[1] in restored for node in graph.node)


def test_half_precision_takes_half_the_weights_bytes_and_the_same_float32_images(work: Work, tmp_path: Path) -> None:
    OnnxFile().write(work, tmp_path / "whole.onnx")
    OnnxFp16File().write(work, tmp_path / "half.onnx")
    types = {tensor.data_type for tensor in onnx.load(tmp_path / "half.onnx").graph.initializer if len(tensor.dims) > 1}
    assert types == {onnx.TensorProto.FLOAT16}
    assert (tmp_path / "half.onnx").stat().st_size < 0.7 * (tmp_path / "whole.onnx").stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx", providers=["CPUExecutionProvider"])
    assert {part.type for part in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)"}
    logits = logits_of(OnnxFp16File().load(tmp_path / "half.onnx"), work.val.images)
    assert OnnxFp16File.agreement.broken(logits, work.expected, work.val.labels) is None


def test_a_conversion_leaves_the_graph_for_the_next_format_as_it_was(work: Work, tmp_path: Path) -> None:
    before = work.graph.SerializeToString()
    OnnxFp16File().write(work, tmp_path / "half.onnx")
    OnnxInt8File().write(work, tmp_path / "eight.onnx")
    assert work.graph.SerializeToString() == before


def test_a_program_of_torch_export_runs_without_our_code_on_any_batch(work: Work, tmp_path: Path) -> None:
    TorchExportFile().write(work, tmp_path / "student.pt2")
    program = torch.export.load(tmp_path / "student.pt2").module()
    images = torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(program(images), work.student.deployable()(images))


def test_layers_stay_float_one_after_the_other_while_the_promise_is_broken(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OnnxInt8File().write(work, tmp_path / "all.onnx")
    monkeypatch.setattr(OnnxInt8File, "agreement", CloseLogits(0.0))  # nothing in eight bits can keep that
    OnnxInt8File().write(work, tmp_path / "few.onnx")
    layers = sum(node.op_type in {"Conv", "Gemm", "MatMul"} for node in work.graph.graph.node)
    assert integers(tmp_path / "all.onnx") == layers
    assert 0 < integers(tmp_path / "few.onnx") <= layers / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.onnx", "few.onnx"]


def test_lost_points_are_counted_against_the_student(work: Work) -> None:
    labels = work.expected.argmax(dim=1)
    worse = work.expected.clone()
    worse[:3] = -worse[:3]
    lost = 100 * (worse.argmax(dim=1) != labels).double().mean().item()
    assert lost > 0
    assert CloseAccuracy(0.5).broken(work.expected, work.expected, labels) is None
    assert f"loses {lost:.1f} points" in (CloseAccuracy(0.5).broken(worse, work.expected, labels) or "")


def test_a_real_network_in_eight_bits_keeps_its_accuracy_at_three_tenths_of_the_size(shared_data: Path, tmp_path: Path) -> None:
    data = open_dataset(shared_data / "cifar10_subset_png.zip")
    teacher = load_teacher(shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th")
    student = Student(
        architecture="resnet56",
        options=teacher.options,
        classes=data.classes,
        normalization=Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        size=data.size,
        weights=teacher.source.network.module.state_dict(),  # type: ignore[attr-defined]  # a network of the catalog
    )
    work = Work(student, data.train, data.val)
    for exporter, name in ((OnnxFile(), "whole.onnx"), (OnnxInt8File(), "eight.onnx")):
        exporter.write(work, tmp_path / name)
    logits = logits_of(OnnxInt8File().load(tmp_path / "eight.onnx"), data.val.images)
    assert CloseAccuracy(0.5).broken(logits, work.expected, data.val.labels) is None
    assert (tmp_path / "eight.onnx").stat().st_size <= 0.3 * (tmp_path / "whole.onnx").stat().st_size
