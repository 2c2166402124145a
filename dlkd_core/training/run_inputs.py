"""Inputs of a run, which are loaded before training."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch

from dlkd_core.data import ImageDataset, ReadOptions
from dlkd_core.data.host_images import iter_chunks
from dlkd_core.distributed.process_group import World
from dlkd_core.spec import DistillationSpec
from dlkd_core.teachers.verified_teacher import VerifiedTeacher
from dlkd_core.training_spec import ResolvedTrainingSpec

# Spec fields that do not affect the weights.
_EXCLUDED_FROM_DIGEST: Any = {
    "name": True,
    "baseline": True,
    "export": True,
    "evaluation": True,
    "teacher": {"path"},
    "dataset": {"path", "title"},
}


@dataclass(frozen=True)
class RunInputs:
    """The spec of a run and the inputs that were loaded for it."""

    spec: DistillationSpec
    training: ResolvedTrainingSpec
    data: ImageDataset  # on the host
    read_options: ReadOptions
    teacher: VerifiedTeacher | None  # on `device`
    device: torch.device
    world: World


def compute_run_digest(inputs: RunInputs) -> str:
    """Return the digest of everything that determines the weights.

    It covers the spec without its paths, the teacher's bytes and the training images.
    """
    spec = inputs.spec.model_dump(mode="json", exclude=_EXCLUDED_FROM_DIGEST)
    digest = sha256(json.dumps(spec, sort_keys=True).encode())
    digest.update((inputs.teacher.sha256 if inputs.teacher else "").encode())
    train = inputs.data.train
    for chunk in iter_chunks(train.images):
        digest.update(chunk.contiguous().numpy().data)
    digest.update(train.labels.numpy().data)
    return digest.hexdigest()
