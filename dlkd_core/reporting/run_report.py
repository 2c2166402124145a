"""The report of a run: the student, its metrics, teacher and baseline, and the lineage."""

from dataclasses import asdict, replace
from typing import Any

import torch

from dlkd_core import __version__
from dlkd_core.device import describe_device
from dlkd_core.evaluation import measure_cost, measure_quality, predict, protocols
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.knn_quality import knn_quality, measure_knn_top1
from dlkd_core.evaluation.label_errors import find_label_errors
from dlkd_core.evaluation.paired_difference import compare_accuracy
from dlkd_core.export import ExportContext, Student
from dlkd_core.models import FeatureExtractor
from dlkd_core.reporting.model_card import ClassifierState
from dlkd_core.teachers.onnx.onnx_teacher import OnnxTeacher
from dlkd_core.teachers.student_inheritance import preview_inheritance
from dlkd_core.training.loop import TrainingRun
from dlkd_core.training.run_inputs import RunInputs

_MAX_LABEL_ERRORS = 24


def build_report(
    inputs: RunInputs, context: ExportContext, training_run: TrainingRun
) -> dict[str, Any]:
    """Build the report as plain data, for the model's page, its card and `report.json`.

    As a side effect, the teacher is moved to the CPU.
    """
    student = context.student
    # Measure the student in its exported form, which can differ from the trained form.
    deployable = student.build_deployable()
    image = context.val.images[:1].float() / 255
    metrics = {
        **_student_quality(inputs, context, training_run),
        **measure_cost(deployable, deployable, image),
        "protocols": _run_protocols(inputs, training_run.state.eval_student.eval()),
    }
    is_trained = inputs.spec.method.trains_classifier
    classifier = ClassifierState.TRAINED if is_trained else ClassifierState.UNTRAINED
    return {
        "name": inputs.spec.name,
        "architecture": student.architecture,
        "options": dict(student.options),
        "parameters": metrics["parameters"],
        "classifier": str(classifier),
        "classes": list(student.classes),
        "image": {
            "channels": student.image_shape[0],
            "height": student.size[0],
            "width": student.size[1],
            "resize": str(student.resize),
        },
        "normalization": student.normalization.model_dump(mode="json"),
        "metrics": {
            # This moves the teacher to the CPU, where the test split is.
            "teacher": _teacher_metrics(inputs, image),
            "student": metrics,
            "baseline": None,  # see `measure_baseline`
            "test": _measure_on_test_split(inputs, context, training_run),
        },
        "warnings": list(inputs.teacher.verification.warnings) if inputs.teacher else [],
        "label_errors": _label_errors(inputs),
        "lineage": _lineage(inputs, training_run),
    }


def measure_baseline(
    context: ExportContext, baseline: Student, baseline_run: TrainingRun
) -> dict[str, Any]:
    """Return the accuracy of the baseline, and the student's gain over it with its 95 % interval.

    Both networks are evaluated in the form that is exported. The accuracies are in [0, 1].
    """
    labels = context.val.labels
    logits = predict(baseline.build_deployable(), context.val.images)
    gain = compare_accuracy(context.student_logits, logits, labels)
    return {
        "top1": score_logits(logits, labels).top1,
        "images": len(labels),
        "gain": gain.difference,
        "gain_interval": gain.half_width,
        "steps": baseline_run.state.progress.steps,
        "seconds": baseline_run.state.progress.seconds,
    }


def _measure_on_test_split(
    inputs: RunInputs, context: ExportContext, training_run: TrainingRun
) -> dict[str, Any] | None:
    """Return the quality of the student and the teacher on the test split, if there is one.

    Nothing else in a run uses the test split, so nothing was chosen by it.
    """
    test, teacher = inputs.data.test, inputs.teacher
    if test is None:
        return None
    if not inputs.spec.method.trains_classifier:
        data = replace(inputs.data, val=test).to(inputs.device)
        knn_top1 = measure_knn_top1(training_run.state.eval_student.eval(), data)
        return {"student": knn_quality(knn_top1, len(test)), "teacher": None}
    quality = measure_quality(predict(context.student.build_deployable(), test.images), test.labels)
    if teacher is None or not teacher.loaded.num_classes:
        return {"student": quality, "teacher": None}
    teacher_logits = predict(lambda images: teacher(images).logits, test.images)
    return {"student": quality, "teacher": measure_quality(teacher_logits, test.labels)}


def _student_quality(
    inputs: RunInputs, context: ExportContext, training_run: TrainingRun
) -> dict[str, Any]:
    if not inputs.spec.method.trains_classifier:
        return knn_quality(
            measure_knn_top1(training_run.state.eval_student.eval(), inputs.data.to(inputs.device)),
            len(context.val),
        )
    labels, teacher = context.val.labels, inputs.teacher
    return {
        **measure_quality(context.student_logits, labels),
        **(teacher.measure_agreement(context.student_logits, labels) if teacher else {}),
    }


def _teacher_metrics(inputs: RunInputs, image: torch.Tensor) -> dict[str, Any] | None:
    teacher = inputs.teacher
    if teacher is None:
        return None
    protocol_results = _run_protocols(inputs, teacher.extractor)
    # Time the teacher on the same processor as the student. The run does not use it afterwards.
    extractor = teacher.extractor.to("cpu")
    return {
        **teacher.measure_quality(inputs.data.val.labels),
        **measure_cost(extractor, extractor.logits, image),
        "pixel_knn_top1": teacher.verification.pixel_knn_top1,
        "protocols": protocol_results,
        # torch cannot count the parameters of an ONNX graph
        "parameters": teacher.loaded.parameters,
        "architecture": teacher.loaded.title,
        "network_losses": teacher.network_losses,
        "normalization": teacher.verification.normalization.model_dump(mode="json"),
    }


def _label_errors(inputs: RunInputs) -> dict[str, Any] | None:
    """Return the evaluation images whose labels the teacher contradicts.

    The result is None if there is no teacher that classifies, or if the images have no labels.
    """
    val = inputs.data.val
    if inputs.teacher is None or inputs.teacher.loaded.num_classes == 0 or not val.is_labeled:
        return None
    found = find_label_errors(inputs.teacher.verification.logits, val.labels.cpu())
    names = inputs.data.val_names
    return {
        "images": len(val),
        "count": len(found),
        "examples": [
            {**asdict(error), "name": names[error.index] if names else None}
            for error in found[:_MAX_LABEL_ERRORS]
        ],
    }


def _run_protocols(
    inputs: RunInputs, network: FeatureExtractor | OnnxTeacher
) -> list[dict[str, Any]]:
    return protocols.run_protocols(
        inputs.spec.evaluation, network, inputs.data, inputs.read_options, inputs.device
    )


def _lineage(inputs: RunInputs, training_run: TrainingRun) -> dict[str, Any]:
    inherited = preview_inheritance(inputs.spec.student, inputs.data.image_shape, inputs.teacher)
    return {
        "run": training_run.digest,
        "method": inputs.spec.method.model_dump(mode="json"),
        "seed": inputs.spec.training.seed,
        "training_images": len(inputs.data.train),
        "label_share": inputs.spec.training.label_share,
        "label_noise": inputs.spec.training.label_noise,
        "batch_size": inputs.training.batch_size,
        "learning_rate": inputs.training.learning_rate,
        "schedule": str(inputs.training.schedule.name),
        "steps": training_run.state.progress.steps,
        "precision": training_run.precision.name,
        "parts_of_a_batch": training_run.state.progress.micro_batches,
        "dlkd": __version__,
        "torch": torch.__version__,
        "device": describe_device(inputs.device),
        "processes": inputs.world.size,
        "teacher_sha256": inputs.teacher.sha256 if inputs.teacher else None,
        "class_map": inputs.teacher.class_map if inputs.teacher else None,
        "inherited_tensors": inherited.tensors if inherited else None,
        "inherited_parameters": inherited.parameters if inherited else None,
    }
