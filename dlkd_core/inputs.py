"""What a run has in its hands before it trains."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch

from dlkd_core.data import Packed, Reading
from dlkd_core.data.host_images import in_chunks
from dlkd_core.distributed import World
from dlkd_core.spec import DistillationSpec
from dlkd_core.teachers.taught import Taught

# What has no say in the weights.
_NO_SAY: Any = {"name": True, "export": True, "evaluation": True, "teacher": {"path"}, "dataset": {"path", "title"}}


@dataclass(frozen=True)
class Inputs:
    """The spec and what was read for it, and how; `data` is on the host, the teacher on `device`."""

    spec: DistillationSpec
    data: Packed
    reading: Reading
    teacher: Taught | None
    device: torch.device
    world: World


def digest(inputs: Inputs) -> str:
    """Names what decides the weights: the spec without its paths, the teacher's bytes and the images."""
    told = inputs.spec.model_dump(mode="json", exclude=_NO_SAY)
    whole = sha256(json.dumps(told, sort_keys=True).encode())
    whole.update((inputs.teacher.sha256 if inputs.teacher else "").encode())
    train = inputs.data.train
    for some in in_chunks(train.images):
        whole.update(some.contiguous().numpy().data)
    whole.update(train.labels.numpy().data)
    return whole.hexdigest()
