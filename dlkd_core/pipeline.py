"""A run from beginning to end: this file is its table of contents."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from dlkd_core import events, fits
from dlkd_core.averaging import Average
from dlkd_core.card import UNTRAINED
from dlkd_core.catalog.method import Situation
from dlkd_core.checkpoint import State
from dlkd_core.collectives import gathered
from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.data.batches import Batches
from dlkd_core.data.labels import as_asked
from dlkd_core.data.views import Augmentation
from dlkd_core.device import describe, pick_device
from dlkd_core.distributed import Dismissed, World, joined, together
from dlkd_core.errors import OutOfMemory, SpecError
from dlkd_core.evaluation import likeness, logits_of, protocols
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.neighbours import features_top1
from dlkd_core.export import Student, Work, publish
from dlkd_core.inputs import Inputs, digest
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.term import Setting
from dlkd_core.models import Tapped
from dlkd_core.models.beginning import begin, complete_options
from dlkd_core.optimizer import build as build_optimizer
from dlkd_core.outputs import Shapes
from dlkd_core.precision import Precision, pick_precision
from dlkd_core.report import report
from dlkd_core.spec import DistillationSpec, Normalization
from dlkd_core.teacher_cache import CacheFile, TeacherCache
from dlkd_core.teachers.proof import statistics
from dlkd_core.teachers.taught import NOBODY, Taught, bring
from dlkd_core.training import Run, Teacher, train

_PIXELS_PER_PADDING = 8  # the paper crops 32-pixel images after padding by 4


_UNPROVED = (
    "The evaluation images have no labels: how good the teacher is cannot be measured, and the student is compared with it. "
    "Where its normalization was not given, the one was taken under which its answers tell most."
)


def run(
    spec: DistillationSpec,
    directory: Path,
    *,
    resume_from: Path | None = None,
    reading: Reading | None = None,
    teacher_cache: Path | CacheFile | None = None,
) -> Generator[events.Event]:
    """Distils as `spec` says; files and checkpoints are written to `directory`.

    Closing the iterator while it trains leaves `checkpoint.pt` there; `resume_from` such a file the run ends with the same
    weights as an undisturbed one. Started by torchrun several processes make the run together: each calls this, and the leader
    alone yields events and writes files. `reading` says how much memory images may take and where those are kept that are more,
    else under `directory`; size and resize are the spec's. `teacher_cache` is a file in which the teacher's outputs are kept for
    further runs that show it the same images (see `dlkd_core.teacher_cache`).

    Raises:
        DistillationError: with a stable code and what to do (see `dlkd_core.errors`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    cache = CacheFile(teacher_cache) if isinstance(teacher_cache, Path) else teacher_cache
    try:
        yield from _run(spec, directory, resume_from, reading or Reading(cache=directory / "data"), cache)
    except Dismissed:
        return
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(str(error).partition("\n")[0] or "There is not enough memory.") from error


def _run(
    spec: DistillationSpec, directory: Path, resume_from: Path | None, reading: Reading, teacher_cache: CacheFile | None
) -> Iterator[events.Event]:
    with joined() as world:
        found = _brought(spec, replace(reading, size=spec.dataset.image_size, resize=spec.dataset.resize), world)
        inputs, work = yield from together(_trained(found, directory, resume_from, teacher_cache), world)
    if not world.leads:
        return
    yield events.PhaseStarted(phase="evaluating")
    exported = Work(_student(inputs, work), inputs.data.train, inputs.data.val)
    exported.report.update(report(inputs, exported, work))

    yield events.PhaseStarted(phase="exporting")
    yield from publish(exported, spec.export, directory)
    yield events.Finished(report=exported.report)


def _trained(
    brought: Generator[events.Event, None, Inputs], directory: Path, resume_from: Path | None, teacher_cache: CacheFile | None
) -> Generator[events.Event, None, tuple[Inputs, Run]]:
    inputs = yield from brought
    yield events.PhaseStarted(phase="training")
    work = _prepare(inputs, directory, teacher_cache)
    inputs.world.check(work.digest)
    start = work.state.load(resume_from, digest=work.digest) if resume_from else 0
    if start:
        yield events.Noticed(message=f"Training goes on after step {start} of {work.steps}.")
    yield from train(work, start)
    if not inputs.spec.method.trains_classifier:
        yield events.Noticed(message=UNTRAINED)
    return inputs, work


def _brought(spec: DistillationSpec, reading: Reading, world: World) -> Generator[events.Event, None, Inputs]:
    """Reads the images and proves the teacher on them."""
    device = pick_device(world.place)
    yield events.PhaseStarted(phase="reading")
    with world.leader_first():  # it may leave the images in the cache
        data = as_asked(open_dataset(spec.dataset.path, reading), spec.training)
    yield from (events.Noticed(message=notice) for notice in data.notices)
    named, spec = spec.method, _adapted(spec, data)
    if spec.method != named:
        yield events.Noticed(message=f"{named.name} is run as {spec.method.told()}.")
    fits.check(spec, data)
    protocols.check(spec.evaluation, data, reading)

    teacher = None
    if spec.teacher is not None:
        yield events.PhaseStarted(phase="proving")
        teacher = bring(spec.teacher, data.to(device), device)
        yield from (events.Noticed(message=notice) for notice in teacher.loaded.notices)
        yield _proved(teacher)
        fits.check_lesson(spec.method, teacher.loaded)
        if not data.val.labelled:
            yield events.Noticed(message=_UNPROVED)
        data = replace(data, classes=teacher.classes)
    return Inputs(spec, data, reading, teacher, device, world)


def _adapted(spec: DistillationSpec, data: Packed) -> DistillationSpec:
    training = spec.training
    whole = training.epochs * -(-len(data.train) // training.batch_size)
    steps = min(whole, training.max_steps or whole)
    return spec.model_copy(update={"method": spec.method.adapted(Situation(steps=steps))})


def _proved(teacher: Taught) -> events.TeacherProved:
    proof = teacher.proof
    return events.TeacherProved(
        architecture=teacher.loaded.title,
        parameters=teacher.loaded.parameters,
        top1=proof.scores.top1 if proof.scores else None,
        knn_top1=proof.knn_top1,
        images=len(proof.logits),
        normalization={"mean": list(proof.normalization.mean), "std": list(proof.normalization.std)},
        tried=proof.tried,
    )


def _prepare(inputs: Inputs, directory: Path, teacher_cache: CacheFile | None) -> Run:
    spec, data, device = inputs.spec, inputs.data.to(inputs.device), inputs.device
    torch.manual_seed(spec.training.seed)
    torch.backends.cudnn.deterministic = True  # a resumed run must end with the same weights
    network, normalization = begin(spec.student, len(data.classes), data.size, statistics(data.train))
    student = Tapped(network, normalization.mean, normalization.std).to(device).to(memory_format=torch.channels_last)
    augmentation = Augmentation(spec.method.views or "single", _padding(spec, data), spec.training.flip)
    objective = build_objective(spec.method, _setting(inputs, student, augmentation.count)).to(device)
    training = spec.training
    if training.compile == "always" and inputs.world.size > 1:
        raise SpecError(
            "A run of several processes cannot be compiled.", hint="Set compile to auto or never.", pointer="/training/compile"
        )
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
        teacher=_teacher(inputs, precision, teacher_cache),
        state=state,
        score=lambda: _score(state.result, data, inputs),
        directory=directory,
        digest=digest(inputs),
        precision=precision,
        world=inputs.world,
    )


def _teacher(inputs: Inputs, precision: Precision, cache: CacheFile | None) -> Teacher:
    teacher = inputs.teacher
    if teacher is None:
        return lambda _images: NOBODY
    if cache is None or inputs.spec.method.of_maps():
        return teacher
    return TeacherCache(teacher, cache.file, f"{teacher.identity} {precision.name} {describe(inputs.device)}", cache.budget)


def _padding(spec: DistillationSpec, data: Packed) -> int:
    given = spec.training.crop_padding
    return min(data.size) // _PIXELS_PER_PADDING if given is None else given


@torch.no_grad()
def _setting(inputs: Inputs, student: Tapped, views: int) -> Setting:
    data = inputs.data
    sample = data.train.images[:2].to(inputs.device).float() / 255
    training = student.training
    shapes = Shapes.of(student.eval()(sample))
    student.train(training)
    teacher = Shapes.of(inputs.teacher(sample)) if inputs.teacher else None
    classify = inputs.teacher.classify if inputs.teacher else None
    return Setting(shapes, teacher, len(data.classes), views, len(data.train), data.train.labels, classify)


def _score(student: Tapped, data: Packed, inputs: Inputs) -> dict[str, float]:
    """Each process runs its share of the images; all get the same numbers. Without labels the teacher is compared with."""
    student.eval()
    if not inputs.spec.method.trains_classifier:
        knn_top1 = features_top1(student, data)
        return {} if knn_top1 is None else {"knn_top1": knn_top1}
    world, val = inputs.world, data.val
    logits = gathered(logits_of(student.logits, val.images, world.span(len(val))), len(val), world)
    if inputs.teacher and not val.labelled:
        return likeness(logits, inputs.teacher.proof.logits)
    found = score_logits(logits, val.labels.cpu())
    return {"top1": found.top1, "top5": found.top5, "nll": found.nll}


def _student(inputs: Inputs, work: Run) -> Student:
    tapped = work.state.result
    mean, std = tapped.mean.flatten().tolist(), tapped.std.flatten().tolist()
    return Student(
        architecture=inputs.spec.student.architecture,
        options=complete_options(inputs.spec.student, inputs.data.size),
        classes=inputs.data.classes,
        normalization=Normalization.model_validate({"mean": mean, "std": std}),
        size=inputs.data.size,
        resize=inputs.data.resize,
        trained_classifier=inputs.spec.method.trains_classifier,
        weights={key: value.detach().cpu().contiguous() for key, value in tapped.network.state_dict().items()},
    )
