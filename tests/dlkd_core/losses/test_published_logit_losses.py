"""Tests that losses on logits match the published code in value and gradient.

`logit_loss_reference.npz` has the format of `block_loss_reference.npz` (see
`test_published_block_losses`). It also has references of two losses on features: SimKD and the
orthogonal projector. The references come from logit-standardization-KD, TTM, cls_KD (NKD),
Multi-Level-Logit-Distillation, SimKD, OFAKD and vkd.
"""

from pathlib import Path

import numpy as np
import pytest

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import SimKDParams
from dlkd_core.catalog.loss_params import (
    AlignmentParams,
    CrossEntropyParams,
    DKDParams,
    KDParams,
    MLLDParams,
    NKDParams,
    OFAParams,
    WTTMParams,
)
from tests.dlkd_core.losses.published_reference import check_one_step, read_entry

REFERENCE = Path(__file__).parents[2] / "data" / "logit_loss_reference.npz"
LOGIT_ENTRIES: dict[str, LossParams] = {
    "kd_standardized": KDParams(temperature=2.0, standardize=True),
    "dkd_standardized": DKDParams(temperature=2.0, alpha=9.0, beta=72.0, standardize=True),
    "wttm": WTTMParams(exponent=0.2),
    "wttm_exponent_1": WTTMParams(exponent=1.0),
    "nkd": NKDParams(temperature=1.0, gamma=1.5),
    "nkd_cifar100": NKDParams(temperature=3.0, gamma=3.5),
}
TWO_VIEW_ENTRIES: dict[str, LossParams] = {
    "mlld": MLLDParams(),
    "mlld_odd": MLLDParams(),  # an odd number of images, so the median is one of them
    "mlld_labels": CrossEntropyParams(all_views=True),
}
PROJECTOR_ENTRIES: dict[str, tuple[LossParams, dict[str, str]]] = {
    "simkd": (SimKDParams(), {"transfer.": "projector."}),
    "simkd_smaller_student": (SimKDParams(), {"transfer.": "projector."}),
    "vkd": (AlignmentParams(projector="orthogonal"), {"projector.": "head."}),
    "vkd_narrow_teacher": (AlignmentParams(projector="orthogonal"), {"projector.": "head."}),
}


@pytest.mark.parametrize("name", LOGIT_ENTRIES)
def test_losses_on_logits_match_the_published_code(name: str) -> None:
    check_one_step(LOGIT_ENTRIES[name], read_entry(REFERENCE, name), {})


@pytest.mark.parametrize("name", TWO_VIEW_ENTRIES)
def test_losses_on_two_views_match_the_published_code(name: str) -> None:
    check_one_step(TWO_VIEW_ENTRIES[name], read_entry(REFERENCE, name), {}, views=2)


@pytest.mark.parametrize("name", PROJECTOR_ENTRIES)
def test_losses_on_projected_features_match_the_published_code(name: str) -> None:
    params, heads = PROJECTOR_ENTRIES[name]
    check_one_step(params, read_entry(REFERENCE, name), heads)


def test_ofa_matches_the_published_code_with_its_exits() -> None:
    """The student's stages double their width, and the teacher's features are wider."""

    def rename_exit(key: str) -> str:
        """Count stages from 0 and leave out the module that holds a separable convolution."""
        prefix, stage, *rest = key.split(".")
        return ".".join([prefix, str(int(stage) - 1), *(part for part in rest if part != "op")])

    check_one_step(
        OFAParams(exponent=1.5, temperature=2.0),
        read_entry(REFERENCE, "ofa"),
        {"projector.": "exits."},
        rename=rename_exit,
    )


def test_every_entry_of_the_file_is_compared() -> None:
    with np.load(REFERENCE) as file:
        names = {key.partition("/")[0] for key in file.files}
    assert names == {*LOGIT_ENTRIES, *TWO_VIEW_ENTRIES, *PROJECTOR_ENTRIES, "ofa"}
