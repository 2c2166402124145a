"""The protocols that a spec asks for, on one network: their parameters beside their results."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dlkd_core.catalog.evaluations import Evaluation
from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.data.reading import DEFAULT_READING
from dlkd_core.errors import SpecError
from dlkd_core.evaluation.features import Features, features_of
from dlkd_core.outputs import Outputs
from dlkd_core.resolve import resolve
from dlkd_core.spec import DatasetFile, TransferFile

_HINT = "Leave the protocol out, or give labelled training and evaluation images."


def check(choices: Sequence[Evaluation], data: Packed, reading: Reading = DEFAULT_READING) -> None:
    """Before hours of training: whether the protocols can be run after it. Other data sets are read once for that.

    Raises:
        SpecError: images have no labels to learn from or to be measured by, or another data set is not there.
        DatasetError: what is wrong with another data set.
    """
    for place, choice in enumerate(choices):
        pointer = f"/evaluation/{place}"
        if isinstance(choice, TransferFile) and not choice.dataset.path.exists():
            raise SpecError(f"There is no data set {choice.dataset.path}.", pointer=f"{pointer}/dataset/path")
        seen = _other(choice.dataset, reading) if isinstance(choice, TransferFile) else data
        if not (seen.train.labelled and seen.val.labelled):
            raise SpecError(f"The protocol {choice.name} needs images with labels.", hint=_HINT, pointer=pointer)


def measured(
    choices: Sequence[Evaluation], forward: Callable[[Tensor], Outputs], data: Packed, reading: Reading, device: torch.device
) -> list[dict[str, Any]]:
    """Name, parameters and results of each protocol, in the spec's order.

    Args:
        choices: the protocols.
        forward: images (N, 3, H, W) in [0, 1] to outputs; frozen, on `device`.
        data: the run's own data set; its training split is what the run saw, with few or noisy labels where it had such.
        reading: how other data sets are read; those that memory does not hold are kept in its cache.
        device: where the network is.
    """

    @cache
    def own() -> Features:
        return features_of(forward, data.to(device), data.size)

    def seen(choice: Evaluation) -> Features:
        if not isinstance(choice, TransferFile):
            return own()
        return features_of(forward, _other(choice.dataset, reading).to(device), data.size)

    return [{**_told(choice), **resolve(choice.target)(choice, seen(choice))} for choice in choices]


def _other(dataset: DatasetFile, reading: Reading) -> Packed:
    return open_dataset(dataset.path, replace(reading, size=dataset.image_size, resize=dataset.resize))


def _told(choice: Evaluation) -> dict[str, Any]:
    """The parameters; of a data set its name alone: paths are nobody's business."""
    told = choice.model_dump(mode="json", exclude={"dataset"})
    return {**told, "dataset": choice.dataset.called} if isinstance(choice, TransferFile) else told
