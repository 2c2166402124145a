"""A run from beginning to end: this file is its table of contents."""

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from dlkd_core import __version__, events
from dlkd_core.averaging import Average
from dlkd_core.checkpoint import State
from dlkd_core.data import Packed, open_dataset
from dlkd_core.data.batches import Batches
from dlkd_core.data.views import Augmentation
from dlkd_core.device import describe, pick_device
from dlkd_core.errors import OutOfMemory
from dlkd_core.evaluation import agreement, cost, quality, scores
from dlkd_core.export import Student, Work, publish
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.term import Setting
from dlkd_core.models import Tapped, build
from dlkd_core.optimizer import build as build_optimizer
from dlkd_core.outputs import Shapes
from dlkd_core.precision import pick_precision
from dlkd_core.spec import DistillationSpec, Normalization
from dlkd_core.teachers.proof import statistics
from dlkd_core.teachers.taught import NOBODY, Taught, bring
from dlkd_core.training import Run, train

_PIXELS_PER_PADDING = 8  # the paper crops 32-pixel images after padding by 4


@dataclass(frozen=True)
class _Inputs:
    spec: DistillationSpec
    data: Packed
    teacher: Taught | None
    device: torch.device


def run(spec: DistillationSpec, directory: Path, *, resume_from: Path | None = None) -> Generator[events.Event]:
    """Distils as `spec` says; files and checkpoints are written to `directory`.

    Closing the iterator while it trains leaves `checkpoint.pt` there; `resume_from` such a file the run ends with the same
    weights as an undisturbed one.

    Raises:
        DistillationError: with a stable code and what to do (see `dlkd_core.errors`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield from _run(spec, directory, resume_from)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(str(error).partition("\n")[0] or "There is not enough memory.") from error


def _run(spec: DistillationSpec, directory: Path, resume_from: Path | None) -> Iterator[events.Event]:
    device = pick_device()
    yield events.PhaseStarted(phase="reading")
    data = open_dataset(spec.dataset.path)
    yield from (events.Noticed(message=notice) for notice in data.notices)

    teacher = None
    if spec.teacher is not None:
        yield events.PhaseStarted(phase="proving")
        teacher = bring(spec.teacher, data.to(device), device)
        yield _proved(teacher)
    inputs = _Inputs(spec, data, teacher, device)

    yield events.PhaseStarted(phase="training")
    work = _prepare(inputs, directory)
    start = work.state.load(resume_from, digest=work.digest) if resume_from else 0
    if start:
        yield events.Noticed(message=f"Training goes on after step {start} of {work.steps}.")
    yield from train(work, start)

    yield events.PhaseStarted(phase="evaluating")
    exported = Work(_student(inputs, work), data.train, data.val)
    exported.report.update(_report(inputs, exported, work))

    yield events.PhaseStarted(phase="exporting")
    yield from publish(exported, spec.export, directory)
    yield events.Finished(report=exported.report)


def _proved(teacher: Taught) -> events.TeacherProved:
    proof = teacher.proof
    return events.TeacherProved(
        architecture=teacher.loaded.title,
        parameters=teacher.loaded.parameters,
        top1=proof.scores.top1,
        images=proof.scores.images,
        normalization={"mean": list(proof.normalization.mean), "std": list(proof.normalization.std)},
        tried=proof.tried,
    )


def _prepare(inputs: _Inputs, directory: Path) -> Run:
    spec, data, device = inputs.spec, inputs.data.to(inputs.device), inputs.device
    torch.manual_seed(spec.training.seed)
    torch.backends.cudnn.deterministic = True  # a resumed run must end with the same weights
    network = build(spec.student.architecture, len(data.classes), spec.student.options)
    normalization = statistics(data.train)
    student = Tapped(network, normalization.mean, normalization.std).to(device).to(memory_format=torch.channels_last)
    augmentation = Augmentation(spec.method.views, _padding(spec, data), spec.training.flip)
    objective = build_objective(spec.method, _setting(inputs, student, augmentation.count)).to(device)
    training = spec.training
    precision = pick_precision(training.precision, device)
    state = State(
        student,
        objective,
        build_optimizer(training, [*student.parameters(), *objective.parameters()]),
        Average(student, training.ema) if training.ema else None,
        precision.scaler(),
    )
    return Run(
        spec=training,
        batches=Batches(data.train, training.batch_size, augmentation, training.seed),
        teacher=inputs.teacher or (lambda _images: NOBODY),
        state=state,
        score=lambda: _score(state.result, data),
        directory=directory,
        digest=_digest(inputs),
        precision=precision,
    )


def _padding(spec: DistillationSpec, data: Packed) -> int:
    given = spec.training.crop_padding
    return min(data.size) // _PIXELS_PER_PADDING if given is None else given


@torch.no_grad()
def _setting(inputs: _Inputs, student: Tapped, views: int) -> Setting:
    data = inputs.data
    sample = data.train.images[:2].to(inputs.device).float() / 255
    training = student.training
    shapes = Shapes.of(student.eval()(sample))
    student.train(training)
    teacher = Shapes.of(inputs.teacher(sample)) if inputs.teacher else None
    classify = inputs.teacher.classify if inputs.teacher else None
    return Setting(shapes, teacher, len(data.classes), views, len(data.train), data.train.labels, classify)


def _score(student: Tapped, data: Packed) -> dict[str, float]:
    student.eval()
    found = scores(student.logits, data.val)
    return {"top1": found.top1, "top5": found.top5, "nll": found.nll}


def _student(inputs: _Inputs, work: Run) -> Student:
    tapped = work.state.result
    mean, std = tapped.mean.flatten().tolist(), tapped.std.flatten().tolist()
    return Student(
        architecture=inputs.spec.student.architecture,
        options=inputs.spec.student.options,
        classes=inputs.data.classes,
        normalization=Normalization.model_validate({"mean": mean, "std": std}),
        size=inputs.data.size,
        weights={key: value.detach().cpu().contiguous() for key, value in tapped.network.state_dict().items()},
    )


def _report(inputs: _Inputs, exported: Work, work: Run) -> dict[str, Any]:
    student = exported.student
    deployable = student.deployable()  # what is exported is what is measured, not what was trained
    image = exported.val.images[:1].float() / 255
    metrics = {**quality(exported.expected, exported.val.labels), **cost(deployable, deployable, image)}
    if inputs.teacher:
        metrics["agreement"] = agreement(exported.expected, inputs.teacher.proof.logits)
    return {
        "name": inputs.spec.name,
        "architecture": student.architecture,
        "options": dict(student.options),
        "parameters": metrics["parameters"],
        "classes": list(student.classes),
        "image": {"channels": 3, "height": student.size[0], "width": student.size[1]},
        "normalization": student.normalization.model_dump(mode="json"),
        "metrics": {"teacher": _teacher_metrics(inputs, image), "student": metrics},
        "lineage": _lineage(inputs, work),
    }


def _teacher_metrics(inputs: _Inputs, image: torch.Tensor) -> dict[str, Any] | None:
    teacher = inputs.teacher
    if teacher is None:
        return None
    tapped = teacher.tapped.to("cpu")  # its last use: timed beside the student, on the same processor
    return {
        **quality(teacher.proof.logits, inputs.data.val.labels),
        **cost(tapped, tapped.logits, image),
        "parameters": teacher.loaded.parameters,  # a graph's are not torch's to count
        "architecture": teacher.loaded.title,
        "normalization": teacher.proof.normalization.model_dump(mode="json"),
    }


def _lineage(inputs: _Inputs, work: Run) -> dict[str, Any]:
    return {
        "run": work.digest,
        "seed": inputs.spec.training.seed,
        "steps": work.state.progress.steps,
        "precision": work.precision.name,
        "parts_of_a_batch": work.state.progress.parts,
        "dlkd": __version__,
        "torch": torch.__version__,
        "device": describe(inputs.device),
        "teacher_sha256": inputs.teacher.sha256 if inputs.teacher else None,
    }


def _digest(inputs: _Inputs) -> str:
    """Names what decides the weights: the spec without its paths, the teacher's bytes and the images."""
    told = inputs.spec.model_dump(mode="json", exclude={"name": True, "export": True, "teacher": {"path"}, "dataset": {"path"}})
    whole = sha256(json.dumps(told, sort_keys=True).encode())
    whole.update((inputs.teacher.sha256 if inputs.teacher else "").encode())
    for tensor in (inputs.data.train.images, inputs.data.train.labels):
        whole.update(tensor.contiguous().numpy().data)
    return whole.hexdigest()
