"""The precision of the forward passes. What needs a GPU is tested by the decision alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlkd_core.checkpoint import FILE, State
from dlkd_core.errors import SpecError
from dlkd_core.events import Finished, Measured
from dlkd_core.outputs import Outputs
from dlkd_core.pipeline import run as distil
from dlkd_core.precision import FLOAT32, Precision, decide, pick_precision
from dlkd_core.training import Run, train
from dlkd_core.training_spec import PrecisionName

from .conftest import MakeSpec
from .loop import everything, new_run, same
from .loop import teacher as projection
from .test_training import stopped_after

CPU = torch.device("cpu")
BFLOAT16 = Precision("cpu", torch.bfloat16)


@pytest.mark.parametrize(
    ("wanted", "device", "native", "given"),
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
def test_a_device_computes_in_what_it_does_itself(
    wanted: PrecisionName,
    device: str,
    native: bool,  # noqa: FBT001 - a parameter of the test
    given: str,
) -> None:
    assert decide(wanted, device, native_bfloat16=native) == given


@pytest.mark.parametrize(
    ("wanted", "device", "word"),
    [("bfloat16", "cpu", "This CPU"), ("bfloat16", "cuda", "This GPU"), ("float16", "cpu", "for GPUs")],
)
def test_what_would_be_emulated_is_refused_at_its_field(wanted: PrecisionName, device: str, word: str) -> None:
    with pytest.raises(SpecError, match=word) as caught:
        decide(wanted, device, native_bfloat16=False)
    assert caught.value.pointer == "/training/precision"


@pytest.mark.parametrize(
    "able", [{"avx512_bf16": True}, {"amx_bf16": True}, {"bf16": True}, {"avx2": True, "avx512_bf16": False}]
)
def test_a_cpu_is_asked_what_it_does(monkeypatch: pytest.MonkeyPatch, able: dict[str, bool]) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    if able.get("avx2"):
        with pytest.raises(SpecError, match="does not compute in bfloat16"):
            pick_precision("bfloat16", CPU)
    else:
        assert pick_precision("bfloat16", CPU) == BFLOAT16
    assert pick_precision("auto", CPU) == FLOAT32


def test_a_gpus_emulation_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: including_emulation)
    assert pick_precision("auto", torch.device("cuda")) == Precision("cuda", None)


def test_only_float16_scales_its_loss() -> None:
    assert Precision("cpu", torch.float16).scaler().is_enabled()
    assert not BFLOAT16.scaler().is_enabled()
    assert not FLOAT32.scaler().is_enabled()
    assert (FLOAT32.name, BFLOAT16.name) == ("float32", "bfloat16")


def test_without_a_type_the_forward_pass_is_the_very_same() -> None:
    assert FLOAT32.wrap(projection) is projection


def bfloat16(run: Run) -> Run:
    return replace(run, precision=BFLOAT16)


def test_both_networks_compute_in_bfloat16_and_everything_else_in_float32(tmp_path: Path) -> None:
    seen: dict[str, set[torch.dtype]] = {"student": set(), "teacher": set(), "losses": set()}
    run = new_run(tmp_path, "kd", epochs=1)
    run.state.student.network.get_submodule("conv1").register_forward_hook(lambda _m, _i, out: seen["student"].add(out.dtype))
    run.state.objective.register_forward_pre_hook(
        lambda _m, given: seen["losses"].update(one.dtype for outputs in given[:2] for one in (*outputs[:2], *outputs.maps))
    )

    def teacher(images: torch.Tensor) -> Outputs:
        outputs = projection(images)
        seen["teacher"].add(outputs.logits.dtype)
        return outputs

    list(train(bfloat16(replace(run, teacher=teacher))))
    assert seen == {"student": {torch.bfloat16}, "teacher": {torch.bfloat16}, "losses": {torch.float32}}
    assert {tensor.dtype for tensor in everything(run.state).values() if tensor.is_floating_point()} == {torch.float32}


def test_a_run_in_bfloat16_learns_and_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = bfloat16(new_run(tmp_path / "whole", "dlkd", epochs=4))
    losses = [
        event.values["train/loss"] for event in train(whole) if isinstance(event, Measured) and "train/loss" in event.values
    ]
    assert sum(losses[-3:]) < sum(losses[:3])
    stopped_after(bfloat16(new_run(tmp_path / "stopped", "dlkd", epochs=4)), 4)
    again = bfloat16(new_run(tmp_path / "again", "dlkd", epochs=4))
    list(train(again, again.state.load(tmp_path / "stopped" / FILE, digest="this run")))
    assert same(everything(again.state), everything(whole.state))


def scaled(run: Run) -> Run:
    """float16's scaler around float32's arithmetic: the scaler itself works on the CPU too."""
    state = State(run.state.student, run.state.objective, run.state.optimizer, None, Precision("cpu", torch.float16).scaler())
    return replace(run, state=state)


def test_the_scale_is_saved_and_put_back(tmp_path: Path) -> None:
    run = scaled(new_run(tmp_path, epochs=1))
    list(train(run))
    run.state.scaler.update(512.0)
    path = run.state.save(tmp_path, step=3, digest="this run")
    other = scaled(new_run(tmp_path, epochs=1))
    other.state.load(path, digest="this run")
    assert other.state.scaler.get_scale() == 512.0
    assert other.state.scaler.state_dict() == run.state.scaler.state_dict()


def test_scaling_changes_no_update(tmp_path: Path) -> None:
    plain, under = new_run(tmp_path, epochs=1), scaled(new_run(tmp_path, epochs=1))
    list(train(plain))
    list(train(under))
    one, other = everything(plain.state), everything(under.state)
    assert all(torch.allclose(tensor, other[name], atol=1e-6) for name, tensor in one.items())


def test_a_run_is_refused_before_it_trains_and_its_lineage_tells_its_precision(make_spec: MakeSpec, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="float16 is for GPUs"):
        list(distil(make_spec(training={"precision": "float16"}), tmp_path))
    assert not list(tmp_path.iterdir())
    finished = list(distil(make_spec(training={"epochs": 1, "precision": "auto", "accumulate": 2}), tmp_path))[-1]
    assert isinstance(finished, Finished)
    lineage = finished.report["lineage"]
    assert (lineage["precision"], lineage["parts_of_a_batch"], lineage["steps"]) == ("float32", 2, 8)
