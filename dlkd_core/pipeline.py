"""The steps of a run, from reading the spec's inputs to exporting the student."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dlkd_core import events
from dlkd_core.catalog.channels import resolve_channels
from dlkd_core.catalog.methods import Plain
from dlkd_core.catalog.methods.base_method import RunContext, ViewKind
from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.data.augmentation.views import Augmentation
from dlkd_core.data.batches import BatchLoader
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.data.label_noise import apply_label_options
from dlkd_core.device import describe_device, pick_device
from dlkd_core.distributed.collectives import all_gather
from dlkd_core.distributed.process_group import (
    LeaderStopped,
    World,
    join_process_group,
    run_in_lockstep,
)
from dlkd_core.errors import OutOfMemory, SpecError
from dlkd_core.evaluation import measure_agreement, predict, protocols
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.knn_quality import measure_knn_top1
from dlkd_core.events import Metric, NoticeLevel, Phase
from dlkd_core.export import ExportContext, Student, export_all
from dlkd_core.losses import build_objective
from dlkd_core.losses.base_loss import LossContext
from dlkd_core.models import FeatureExtractor
from dlkd_core.models.memory_layout import use_channels_last
from dlkd_core.models.student_init import complete_options, exposes_blocks, init_student
from dlkd_core.network_outputs import Outputs, OutputShapes
from dlkd_core.reporting.model_card import UNTRAINED_CLASSIFIER_NOTICE
from dlkd_core.reporting.run_report import build_report, measure_baseline
from dlkd_core.spec import AUTO_CLASS_MAP, DistillationSpec, Normalization, StudentInit
from dlkd_core.teachers.normalization import channel_statistics
from dlkd_core.teachers.student_inheritance import inherit_weights, preview_inheritance
from dlkd_core.teachers.teacher_cache import TeacherCache, TeacherCacheFile
from dlkd_core.teachers.verified_teacher import VerifiedTeacher, load_teacher
from dlkd_core.training import compatibility
from dlkd_core.training.baseline import train_baseline
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.ema import ModelEMA
from dlkd_core.training.loop import TeacherForward, TrainingRun, train
from dlkd_core.training.optimizer import build_optimizer
from dlkd_core.training.precision import Precision, pick_precision
from dlkd_core.training.run_inputs import RunInputs, compute_run_digest
from dlkd_core.training.training_defaults import count_steps, describe_choice, resolve_training
from dlkd_core.training_spec import CompileMode, ResolvedTrainingSpec

_PIXELS_PER_PADDING = 8  # the paper pads 32-pixel images by 4 pixels before cropping

# Training images on which statistics of the teacher's outputs are measured
_SAMPLE_SIZE, _SAMPLE_BATCH_SIZE = 2048, 64

_UNLABELED_NOTICE = (
    "The evaluation images have no labels, so the accuracy of the teacher cannot be measured, and"
    " the student is compared with the teacher. If the teacher's normalization was not given, the"
    " one with the most informative predictions was chosen."
)


def run(
    spec: DistillationSpec,
    directory: Path,
    *,
    resume_from: Path | None = None,
    read_options: ReadOptions | None = None,
    teacher_cache: Path | TeacherCacheFile | None = None,
) -> Generator[events.Event]:
    """Run a spec and yield its events. Files and checkpoints are written to `directory`.

    Closing the iterator during training leaves `checkpoint.pt` in `directory`. A run that resumes
    from it ends with the same weights as an uninterrupted one. If torchrun started several
    processes, they share the run: each calls this function, and only the leader yields events and
    writes files.

    Args:
        spec: What to run.
        directory: Output folder, created if it does not exist.
        resume_from: Checkpoint of the same run.
        read_options: Memory limit for images, and cache folder for larger datasets. The default
            cache folder is `directory / "data"`. Image size and resize mode are taken from the
            spec.
        teacher_cache: File that stores the teacher's outputs for later runs with the same images;
            see `dlkd_core.teachers.teacher_cache`.

    Raises:
        DistillationError: The run failed. See `dlkd_core.errors` for the codes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    read_options = read_options or ReadOptions(cache_dir=directory / "data")
    if isinstance(teacher_cache, Path):
        teacher_cache = TeacherCacheFile(teacher_cache)
    try:
        with join_process_group() as world:
            training = _load_and_train(
                spec, directory, resume_from, read_options, teacher_cache, world
            )
            trained = yield from run_in_lockstep(training, world)
        if world.is_leader:
            yield from _evaluate_and_export(trained)
    except LeaderStopped:
        return
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemory(str(error).partition("\n")[0] or "There is not enough memory.") from error


@dataclass(frozen=True)
class _TrainedRun:
    """A run whose student is trained, and its baseline if the spec asks for one."""

    inputs: RunInputs
    training_run: TrainingRun
    baseline_run: TrainingRun | None = None
    baseline_warning: str | None = None


def _load_and_train(
    spec: DistillationSpec,
    directory: Path,
    resume_from: Path | None,
    read_options: ReadOptions,
    teacher_cache: TeacherCacheFile | None,
    world: World,
) -> Generator[events.Event, None, _TrainedRun]:
    inputs = yield from load_inputs(spec, read_options, world)

    yield events.PhaseStarted(phase=Phase.TRAINING)
    data = inputs.data.to(inputs.device)
    digest = compute_run_digest(inputs)
    training_run = build_training_run(inputs, data, directory, teacher_cache, digest)
    world.check_same_inputs(training_run.digest)
    start_step = 0
    if resume_from:
        start_step = training_run.state.load(resume_from, digest=training_run.digest)
    if start_step:
        yield events.Notice(
            message=f"Resuming training after step {start_step} of {training_run.steps}."
        )
    yield from train(training_run, start_step)
    if not inputs.spec.method.trains_classifier:
        yield events.Notice(message=UNTRAINED_CLASSIFIER_NOTICE)
    if not (spec.baseline and inputs.spec.method.trains_classifier):
        return _TrainedRun(inputs, training_run)

    yield events.PhaseStarted(phase=Phase.BASELINE)
    # All processes of the run also share the training of the baseline.
    baseline_run = build_training_run(_without_teacher(inputs), data, directory, None, digest)
    warning = yield from train_baseline(baseline_run)
    return _TrainedRun(inputs, training_run, None if warning else baseline_run, warning)


def _without_teacher(inputs: RunInputs) -> RunInputs:
    """Return the inputs of the baseline: those of the student, but with the labels alone."""
    spec = inputs.spec
    student = spec.student.model_copy(update={"init": StudentInit.RANDOM})
    changes = {"method": Plain(), "teacher": None, "student": student, "baseline": False}
    return replace(inputs, spec=spec.model_copy(update=changes), teacher=None)


def load_inputs(
    spec: DistillationSpec, read_options: ReadOptions, world: World
) -> Generator[events.Event, None, RunInputs]:
    """Read the images, load the teacher and verify it on the evaluation split.

    What the spec leaves to the run, such as the learning rate, is chosen (see `fit_to_run`).
    """
    device = pick_device(world.local_rank)
    yield events.PhaseStarted(phase=Phase.READING)
    read_options = replace(
        read_options, image_size=spec.dataset.image_size, resize=spec.dataset.resize
    )
    with world.leader_first():  # the other processes then read the cached images
        data = apply_label_options(open_dataset(spec.dataset.path, read_options), spec.training)
    yield from _to_notices(data.notices)

    compatibility.check_dataset(spec, data)
    protocols.check_protocols(spec.evaluation, data, read_options)

    teacher = None
    if spec.teacher is not None:
        yield events.PhaseStarted(phase=Phase.VERIFYING_TEACHER)
        teacher = load_teacher(spec.teacher, data.to(device), device)
        yield from _to_notices(teacher.loaded.notices)
        yield _teacher_event(teacher)
        if teacher.verification.normalization_reason:
            yield events.Notice(message=teacher.verification.normalization_reason)
        yield from _to_notices(teacher.verification.warnings, NoticeLevel.WARNING)
        if spec.teacher.class_map == AUTO_CLASS_MAP:
            chosen = f"class_map {list(teacher.class_map or ())}"
            yield events.Notice(message=f"The order of the teacher's classes is {chosen}.")
        compatibility.check_teacher(spec.method, teacher.loaded)
        if not data.val.is_labeled:
            yield events.Notice(message=_UNLABELED_NOTICE)
        data = replace(_fit_channels(data, spec, teacher), classes=teacher.classes)
        if inherited := preview_inheritance(spec.student, data.image_shape, teacher):
            yield events.Notice(message=inherited.summarize())
    else:
        data = _fit_channels(data, spec, None)
    spec, training = yield from fit_to_run(spec, data, teacher, device)
    return RunInputs(spec, training, data, read_options, teacher, device, world)


def _fit_channels(
    data: ImageDataset, spec: DistillationSpec, teacher: VerifiedTeacher | None
) -> ImageDataset:
    """Convert the images to the number of channels with which the student is trained."""
    of_teacher = teacher.loaded.channels if teacher else None
    return data.with_channels(resolve_channels(spec.dataset.channels, data.channels, of_teacher))


def _to_notices(
    messages: Iterable[str], level: NoticeLevel = NoticeLevel.INFO
) -> Iterator[events.Notice]:
    return (events.Notice(message=message, level=level) for message in messages)


def fit_to_run(
    spec: DistillationSpec,
    data: ImageDataset,
    teacher: VerifiedTeacher | None,
    device: torch.device,
) -> Generator[events.Event, None, tuple[DistillationSpec, ResolvedTrainingSpec]]:
    """Choose the training options and loss weights that the spec leaves to the run."""
    training = resolve_training(spec.training, spec.student, len(data.train))
    if choice := describe_choice(spec.training, training):
        yield events.Notice(message=choice)
    sample = data.train.images[:2].to(device).float() / 255
    context = RunContext(
        steps=count_steps(training, len(data.train)),
        has_labels=data.train.is_labeled,
        has_teacher_logits=teacher is not None and teacher.loaded.num_classes > 0,
        has_feature_maps=teacher is not None
        and bool(teacher(sample).feature_maps)
        and exposes_blocks(spec.student, len(data.classes), data.image_shape),
    )
    method = spec.method.adapt(context)
    if method != spec.method:
        yield events.Notice(message=f"The method {method.name} runs as {method.summarize()}.")
    return spec.model_copy(update={"method": method, "training": training}), training


def _teacher_event(teacher: VerifiedTeacher) -> events.TeacherVerified:
    verification = teacher.verification
    return events.TeacherVerified(
        architecture=teacher.loaded.title,
        parameters=teacher.loaded.parameters,
        top1=verification.scores.top1 if verification.scores else None,
        knn_top1=verification.knn_top1,
        pixel_knn_top1=verification.pixel_knn_top1,
        images=len(verification.logits),
        normalization={
            "mean": list(verification.normalization.mean),
            "std": list(verification.normalization.std),
        },
        tried=verification.normalization_scores,
        networks=teacher.network_losses,
    )


def build_training_run(
    inputs: RunInputs,
    data: ImageDataset,
    directory: Path,
    teacher_cache: TeacherCacheFile | None,
    digest: str,
) -> TrainingRun:
    """Build the student, its objective and everything else that the training loop needs.

    Args:
        inputs: The loaded inputs of the run.
        data: The dataset of the inputs, on the device.
        directory: Output folder.
        teacher_cache: File that stores the teacher's outputs, or None.
        digest: Identifies the run in its checkpoints.

    Raises:
        SpecError: The spec does not fit the networks or the number of processes.
    """
    training, method, device = inputs.training, inputs.spec.method, inputs.device
    if training.compile == CompileMode.ALWAYS and inputs.world.size > 1:
        raise SpecError(
            "The student cannot be compiled in a run with several processes.",
            hint="Set compile to auto or never.",
            pointer="/training/compile",
        )
    torch.manual_seed(training.seed)
    torch.backends.cudnn.deterministic = True  # a resumed run must end with the same weights

    student = _build_student(inputs, data)
    augmentation = _build_augmentation(inputs, data)
    loss_context = _build_loss_context(inputs, student, augmentation.view_count)
    objective = build_objective(method, loss_context).to(device)
    if objective.reused_classifier:
        objective.reused_classifier.merge_into(student)  # fails now if the student is unsuitable

    precision = pick_precision(training.precision, device)
    state = TrainingState(
        student,
        objective,
        build_optimizer(training, [*student.parameters(), *objective.parameters()]),
        ModelEMA(student, training.ema) if training.ema else None,
        precision.make_grad_scaler(),
    )
    return TrainingRun(
        spec=training,
        batches=BatchLoader(data.train, training.batch_size, augmentation, training.seed),
        teacher=_build_teacher(inputs, precision, teacher_cache),
        state=state,
        evaluate=lambda: _evaluate_student(state, data, inputs),
        directory=directory,
        digest=digest,
        precision=precision,
        world=inputs.world,
    )


def _build_augmentation(inputs: RunInputs, data: ImageDataset) -> Augmentation:
    training = inputs.training
    padding = training.crop_padding
    if padding is None:
        padding = min(data.image_size) // _PIXELS_PER_PADDING
    return Augmentation(
        inputs.spec.method.views or ViewKind.SINGLE,
        padding,
        training.flip,
        training.augmentation_policy,
        training.mixup,
        training.cutmix,
    )


def _build_student(inputs: RunInputs, data: ImageDataset) -> FeatureExtractor:
    network, normalization = init_student(
        inputs.spec.student, len(data.classes), data.image_shape, channel_statistics(data.train)
    )
    if inputs.teacher and inputs.spec.student.init == StudentInit.TEACHER:
        inherit_weights(network, inputs.spec.student.architecture, inputs.teacher)
        normalization = inputs.teacher.verification.normalization
    student = FeatureExtractor(network, normalization.mean, normalization.std).to(inputs.device)
    use_channels_last(student)
    return student


@torch.no_grad()
def _build_loss_context(
    inputs: RunInputs, student: FeatureExtractor, view_count: int
) -> LossContext:
    data, teacher = inputs.data, inputs.teacher
    sample = data.train.images[:2].to(inputs.device).float() / 255
    was_training = student.training
    student_shapes = OutputShapes.from_outputs(student.eval()(sample))
    student.train(was_training)
    return LossContext(
        student_shapes,
        OutputShapes.from_outputs(teacher(sample)) if teacher else None,
        len(data.classes),
        view_count,
        len(data.train),
        data.train.labels,
        teacher.classifier if teacher else None,
        partial(_run_on_sample, teacher, data.train, inputs.device)
        if teacher
        else lambda: iter(()),
        inputs.training.label_smoothing,
    )


@torch.no_grad()
def _run_on_sample(
    teacher: VerifiedTeacher, train: DatasetSplit, device: torch.device
) -> Iterator[Outputs]:
    """Yield the teacher's outputs for up to `_SAMPLE_SIZE` training images."""
    stride = max(1, len(train) // _SAMPLE_SIZE)
    sample = torch.arange(0, len(train), stride)[:_SAMPLE_SIZE]
    for rows in torch.split(sample, _SAMPLE_BATCH_SIZE):
        yield teacher(train.images[rows].to(device).float() / 255)


def _build_teacher(
    inputs: RunInputs, precision: Precision, cache: TeacherCacheFile | None
) -> TeacherForward | None:
    teacher = inputs.teacher
    if teacher is None or cache is None or inputs.spec.method.terms_needing_feature_maps():
        return teacher
    return TeacherCache(
        teacher,
        cache.path,
        f"{teacher.identity} {precision.name} {describe_device(inputs.device)}",
        cache.max_bytes,
    )


def _evaluate_student(
    state: TrainingState, data: ImageDataset, inputs: RunInputs
) -> dict[str, float]:
    """Evaluate the student on the val split.

    If the images have no labels, the student's predictions are compared with the teacher's. Each
    process runs the student on its shard of the images, and all processes return the same metrics.
    """
    student = state.eval_student.eval()
    if state.objective.reused_classifier:
        state.objective.reused_classifier.merge_into(student)
    if not inputs.spec.method.trains_classifier:
        knn_top1 = measure_knn_top1(student, data)
        return {} if knn_top1 is None else {Metric.KNN_TOP1: knn_top1}
    world, val = inputs.world, data.val
    shard_logits = predict(student.logits, val.images, world.shard_slice(len(val)))
    logits = all_gather(shard_logits, len(val), world)  # (val images, classes)
    if inputs.teacher and not val.is_labeled:
        return measure_agreement(logits, inputs.teacher.verification.logits)
    scores = score_logits(logits, val.labels.cpu())
    return {Metric.TOP1: scores.top1, Metric.TOP5: scores.top5, Metric.NLL: scores.nll}


def _evaluate_and_export(trained: _TrainedRun) -> Iterator[events.Event]:
    inputs, training_run = trained.inputs, trained.training_run
    yield events.PhaseStarted(phase=Phase.EVALUATING)
    context = ExportContext(
        _build_export_student(inputs, training_run), inputs.data.train, inputs.data.val
    )
    context.report.update(build_report(inputs, context, training_run))
    if trained.baseline_run:
        baseline = _build_export_student(inputs, trained.baseline_run)
        metrics = measure_baseline(context, baseline, trained.baseline_run)
        context.report["metrics"]["baseline"] = metrics
    if trained.baseline_warning:
        context.report["warnings"].append(trained.baseline_warning)

    yield events.PhaseStarted(phase=Phase.EXPORTING)
    yield from export_all(context, inputs.spec.export, training_run.directory)
    yield events.RunFinished(report=context.report)


def _build_export_student(inputs: RunInputs, training_run: TrainingRun) -> Student:
    extractor = training_run.state.eval_student
    mean, std = extractor.mean.flatten().tolist(), extractor.std.flatten().tolist()
    state_dict = extractor.network.state_dict()
    return Student(
        architecture=inputs.spec.student.architecture,
        options=complete_options(inputs.spec.student, inputs.data.image_shape),
        classes=inputs.data.classes,
        normalization=Normalization.model_validate({"mean": mean, "std": std}),
        size=inputs.data.image_size,
        resize=inputs.data.resize,
        has_trained_classifier=inputs.spec.method.trains_classifier,
        weights={key: value.detach().cpu().contiguous() for key, value in state_dict.items()},
    )
