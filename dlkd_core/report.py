"""The report of a run: what came out, how good it and its teacher are, and where it comes from."""

from typing import Any

import torch

from dlkd_core import __version__
from dlkd_core.device import describe
from dlkd_core.evaluation import cost, protocols, quality
from dlkd_core.evaluation.neighbours import features_top1, worth
from dlkd_core.export import Work
from dlkd_core.inputs import Inputs
from dlkd_core.models import Tapped
from dlkd_core.teachers.onnx_teacher import OnnxTeacher
from dlkd_core.training import Run


def report(inputs: Inputs, exported: Work, work: Run) -> dict[str, Any]:
    """As plain data: what the model's page, its card and `report.json` show. The teacher is on the CPU afterwards."""
    student = exported.student
    deployable = student.deployable()  # what is exported is what is measured, not what was trained
    image = exported.val.images[:1].float() / 255
    metrics = {**_student_quality(inputs, exported, work), **cost(deployable, deployable, image)}
    metrics["protocols"] = _protocols(inputs, work.state.result.eval())
    return {
        "name": inputs.spec.name,
        "architecture": student.architecture,
        "options": dict(student.options),
        "parameters": metrics["parameters"],
        "classifier": "trained" if inputs.spec.method.trains_classifier else "untrained",
        "classes": list(student.classes),
        "image": {"channels": 3, "height": student.size[0], "width": student.size[1], "resize": student.resize},
        "normalization": student.normalization.model_dump(mode="json"),
        "metrics": {"teacher": _teacher_metrics(inputs, image), "student": metrics},
        "lineage": _lineage(inputs, work),
    }


def _student_quality(inputs: Inputs, exported: Work, work: Run) -> dict[str, Any]:
    if not inputs.spec.method.trains_classifier:
        return worth(features_top1(work.state.result.eval(), inputs.data.to(inputs.device)), len(exported.val))
    labels, teacher = exported.val.labels, inputs.teacher
    return {**quality(exported.expected, labels), **(teacher.likeness(exported.expected, labels) if teacher else {})}


def _teacher_metrics(inputs: Inputs, image: torch.Tensor) -> dict[str, Any] | None:
    teacher = inputs.teacher
    if teacher is None:
        return None
    found = _protocols(inputs, teacher.tapped)
    tapped = teacher.tapped.to("cpu")  # its last use: timed beside the student, on the same processor
    return {
        **teacher.quality(inputs.data.val.labels),
        **cost(tapped, tapped.logits, image),
        "protocols": found,
        "parameters": teacher.loaded.parameters,  # a graph's are not torch's to count
        "architecture": teacher.loaded.title,
        "normalization": teacher.proof.normalization.model_dump(mode="json"),
    }


def _protocols(inputs: Inputs, network: Tapped | OnnxTeacher) -> list[dict[str, Any]]:
    return protocols.measured(inputs.spec.evaluation, network, inputs.data, inputs.reading, inputs.device)


def _lineage(inputs: Inputs, work: Run) -> dict[str, Any]:
    return {
        "run": work.digest,
        "method": inputs.spec.method.model_dump(mode="json"),
        "seed": inputs.spec.training.seed,
        "training_images": len(inputs.data.train),
        "label_share": inputs.spec.training.label_share,
        "label_noise": inputs.spec.training.label_noise,
        "steps": work.state.progress.steps,
        "precision": work.precision.name,
        "parts_of_a_batch": work.state.progress.parts,
        "dlkd": __version__,
        "torch": torch.__version__,
        "device": describe(inputs.device),
        "processes": inputs.world.size,
        "teacher_sha256": inputs.teacher.sha256 if inputs.teacher else None,
    }
