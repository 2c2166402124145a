"""Tests of the training options that are chosen for a run."""

import pytest

from dlkd_core.spec import StudentSpec
from dlkd_core.training.training_defaults import (
    count_steps,
    describe_choice,
    resolve_training,
)
from dlkd_core.training_spec import ResolvedTrainingSpec, TrainingSpec


def resolve(
    images: int = 5_000,
    architecture: str = "resnet8",
    *,
    pretrained: bool = False,
    **training: object,
) -> ResolvedTrainingSpec:
    student = StudentSpec(architecture=architecture, pretrained=pretrained)
    return resolve_training(TrainingSpec.model_validate(training), student, images)


def test_short_runs_use_small_batches() -> None:
    assert resolve(epochs=10).batch_size == 32  # 790 steps of 64 images
    assert resolve(epochs=30).batch_size == 64  # 2,370 steps
    assert resolve(epochs=240, images=50_000).batch_size == 64
    assert resolve(epochs=240, images=50_000, max_steps=100).batch_size == 32


def test_given_options_are_kept() -> None:
    training = TrainingSpec(
        epochs=3,
        batch_size=50,
        learning_rate=0.03,
        max_grad_norm=2,
        schedule={"name": "cosine"},
    )
    resolved = resolve_training(training, StudentSpec(architecture="resnet8"), 1_000)
    assert resolved.model_dump() == training.model_dump()
    assert describe_choice(training, resolved) == ""


def test_automatic_schedule_warms_up_over_a_tenth_and_falls_linearly() -> None:
    schedule = resolve(epochs=30).schedule
    assert (schedule.name, schedule.warmup_epochs) == ("linear", pytest.approx(3))
    given = resolve(epochs=30, schedule={"name": "auto", "warmup_epochs": 1}).schedule
    assert given.warmup_epochs == 1
    cut = resolve(epochs=30, max_steps=790, batch_size=64).schedule
    assert cut.warmup_epochs == pytest.approx(1)  # a tenth of ten epochs


def test_papers_schedule_keeps_the_papers_rates() -> None:
    step = {"schedule": {"name": "step"}}
    assert resolve(**step).learning_rate == 0.05
    assert resolve(architecture="ShuffleV2", **step).learning_rate == 0.01


def test_rate_depends_on_optimizer_architecture_weights_and_batch_size() -> None:
    usual = resolve(epochs=30).learning_rate
    assert resolve(epochs=30, optimizer="adamw").learning_rate < usual / 10
    assert resolve(epochs=30, architecture="MobileNetV2").learning_rate < usual
    assert resolve(epochs=30, architecture="resnet18", pretrained=True).learning_rate < usual
    assert resolve(epochs=30, batch_size=256).learning_rate == pytest.approx(2 * usual)
    assert resolve(epochs=30, batch_size=16).learning_rate == usual


def test_gradients_are_clipped_only_with_the_automatic_schedule() -> None:
    assert resolve().max_grad_norm == 5
    assert resolve(schedule={"name": "step"}).max_grad_norm == 0
    assert resolve(max_grad_norm=0).max_grad_norm == 0
    assert resolve(schedule={"name": "step"}, max_grad_norm=1).max_grad_norm == 1


def test_steps_include_the_last_partial_batch_and_end_at_max_steps() -> None:
    assert count_steps(resolve(epochs=2, images=100, batch_size=64), 100) == 4
    assert count_steps(resolve(epochs=2, images=100, batch_size=64, max_steps=3), 100) == 3


def test_choice_is_stated() -> None:
    training = TrainingSpec(epochs=30, batch_size=64)
    resolved = resolve_training(training, StudentSpec(architecture="resnet8"), 5_000)
    message = describe_choice(training, resolved)
    assert f"learning rate of {resolved.learning_rate:.3g}" in message
    assert "maximum gradient norm of 5" in message
    assert "batch size" not in message
