"""Tests for the precision of forward passes. On GPUs, only the choice of precision is tested."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.errors import SpecError
from dlkd_core.events import MetricsRecorded
from dlkd_core.network_outputs import Outputs
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.loop import TrainingRun, train
from dlkd_core.training.precision import FLOAT32, Precision, pick_precision, resolve_precision
from dlkd_core.training_spec import PrecisionName
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import run_to_report
from tests.dlkd_core.training.small_run import (
    collect_tensors,
    make_run,
    resume,
    stop_after,
    tensors_equal,
)
from tests.dlkd_core.training.small_run import teacher as projection

CPU = torch.device("cpu")
BFLOAT16 = Precision("cpu", torch.bfloat16)


@pytest.mark.parametrize(
    ("requested", "device", "native", "resolved"),
    [
        ("auto", "cpu", True, "float32"),
        ("auto", "cpu", False, "float32"),
        ("auto", "cuda", True, "bfloat16"),
        ("auto", "cuda", False, "float32"),
        ("float32", "cuda", True, "float32"),
        ("bfloat16", "cuda", True, "bfloat16"),
        ("bfloat16", "cpu", True, "bfloat16"),
        ("float16", "cuda", False, "float16"),
    ],
)
def test_auto_resolves_to_a_natively_supported_precision(
    requested: PrecisionName,
    device: str,
    native: bool,  # noqa: FBT001 - parametrized by pytest
    resolved: str,
) -> None:
    assert resolve_precision(requested, device, native_bfloat16=native) == resolved


@pytest.mark.parametrize(
    ("requested", "device", "message"),
    [
        ("bfloat16", "cpu", "This CPU"),
        ("bfloat16", "cuda", "This GPU"),
        ("float16", "cpu", "needs a GPU"),
    ],
)
def test_a_precision_that_would_be_emulated_is_rejected_with_its_pointer(
    requested: PrecisionName, device: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        resolve_precision(requested, device, native_bfloat16=False)
    assert caught.value.pointer == "/training/precision"


@pytest.mark.parametrize(
    "capabilities",
    [
        {"avx512_bf16": True},
        {"amx_bf16": True},
        {"bf16": True},
        {"avx2": True, "avx512_bf16": False},
    ],
)
def test_bfloat16_on_a_cpu_depends_on_its_capabilities(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    if capabilities.get("avx2"):
        with pytest.raises(SpecError, match="does not support bfloat16"):
            pick_precision("bfloat16", CPU)
    else:
        assert pick_precision("bfloat16", CPU) == BFLOAT16
    assert pick_precision("auto", CPU) == FLOAT32


def test_emulation_on_a_gpu_does_not_count_as_support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda *, including_emulation: including_emulation
    )
    assert pick_precision("auto", torch.device("cuda")) == Precision("cuda", None)


def test_only_float16_scales_the_loss() -> None:
    assert Precision("cpu", torch.float16).make_grad_scaler().is_enabled()
    assert not BFLOAT16.make_grad_scaler().is_enabled()
    assert not FLOAT32.make_grad_scaler().is_enabled()
    assert (FLOAT32.name, BFLOAT16.name) == ("float32", "bfloat16")


def test_float32_does_not_wrap_the_forward_pass() -> None:
    assert FLOAT32.wrap_forward(projection) is projection


def with_bfloat16(run: TrainingRun) -> TrainingRun:
    return replace(run, precision=BFLOAT16)


def test_both_networks_compute_in_bfloat16_and_everything_else_in_float32(tmp_path: Path) -> None:
    dtypes: dict[str, set[torch.dtype]] = {"student": set(), "teacher": set(), "losses": set()}
    run = make_run(tmp_path, "kd", epochs=1)
    run.state.student.network.get_submodule("conv1").register_forward_hook(
        lambda _module, _inputs, output: dtypes["student"].add(output.dtype)
    )

    def record_loss_dtypes(_module: object, inputs: tuple[Outputs, Outputs, object]) -> None:
        for outputs in inputs[:2]:
            tensors = (outputs.logits, outputs.features, *outputs.feature_maps)
            dtypes["losses"].update(tensor.dtype for tensor in tensors)

    run.state.objective.register_forward_pre_hook(record_loss_dtypes)

    def teacher(images: torch.Tensor) -> Outputs:
        outputs = projection(images)
        dtypes["teacher"].add(outputs.logits.dtype)
        return outputs

    list(train(with_bfloat16(replace(run, teacher=teacher))))
    assert dtypes == {
        "student": {torch.bfloat16},
        "teacher": {torch.bfloat16},
        "losses": {torch.float32},
    }
    assert {
        tensor.dtype for tensor in collect_tensors(run.state).values() if tensor.is_floating_point()
    } == {torch.float32}


def test_a_run_in_bfloat16_learns_and_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = with_bfloat16(make_run(tmp_path / "whole", "dlkd", epochs=4))
    losses = [
        event.values["train/loss"]
        for event in train(whole)
        if isinstance(event, MetricsRecorded) and "train/loss" in event.values
    ]
    assert sum(losses[-3:]) < sum(losses[:3])
    stop_after(with_bfloat16(make_run(tmp_path / "stopped", "dlkd", epochs=4)), 4)
    resumed = with_bfloat16(make_run(tmp_path / "resumed", "dlkd", epochs=4))
    list(resume(resumed, tmp_path / "stopped"))
    assert tensors_equal(collect_tensors(resumed.state), collect_tensors(whole.state))


def with_grad_scaler(run: TrainingRun) -> TrainingRun:
    """Return the run with the gradient scaler for float16, which also works on the CPU."""
    state = TrainingState(
        run.state.student,
        run.state.objective,
        run.state.optimizer,
        None,
        Precision("cpu", torch.float16).make_grad_scaler(),
    )
    return replace(run, state=state)


def test_the_loss_scale_is_saved_and_restored(tmp_path: Path) -> None:
    run = with_grad_scaler(make_run(tmp_path, epochs=1))
    list(train(run))
    run.state.scaler.update(512.0)
    path = run.state.save(tmp_path, step=3, digest="this run")
    other = with_grad_scaler(make_run(tmp_path, epochs=1))
    other.state.load(path, digest="this run")
    assert other.state.scaler.get_scale() == 512.0
    assert other.state.scaler.state_dict() == run.state.scaler.state_dict()


def test_loss_scaling_does_not_change_updates(tmp_path: Path) -> None:
    plain, scaled = make_run(tmp_path, epochs=1), with_grad_scaler(make_run(tmp_path, epochs=1))
    list(train(plain))
    list(train(scaled))
    expected, tensors = collect_tensors(plain.state), collect_tensors(scaled.state)
    assert all(torch.allclose(value, tensors[name], atol=1e-6) for name, value in expected.items())


def test_precision_is_checked_before_training_and_recorded_in_the_lineage(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="float16 needs a GPU"):
        run_to_report(make_spec(training={"precision": "float16"}), tmp_path)
    assert not list(tmp_path.iterdir())
    spec = make_spec(training={"epochs": 1, "precision": "auto", "accumulate": 2})
    lineage = run_to_report(spec, tmp_path)["lineage"]
    assert lineage["precision"] == "float32"
    assert (lineage["parts_of_a_batch"], lineage["steps"]) == (2, 8)
