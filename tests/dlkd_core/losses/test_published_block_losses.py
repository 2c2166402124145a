"""Tests that losses on blocks, views and queues match the published code in value and gradient.

`block_loss_reference.npz` has the format of `loss_reference.npz` (see `test_published_losses`).
A number at the end of an array name is the number of the block or, for losses with a queue, the
number of the step. The second step starts with the queue that the first step leaves behind.
The references come from RepDistiller (ab, ft), mdistiller (reviewkd), SSKD, SEED, and CompRess
without momentum.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import ABParams, FTParams, ReviewKDParams
from dlkd_core.catalog.loss_params import CompRessParams, SEEDParams, SSKDLogitsParams, SSKDParams
from dlkd_core.losses.base_loss import DistillationLoss, first_view, other_views
from dlkd_core.losses.sskd import select_well_ranked_rows
from tests.dlkd_core.losses.conftest import make_targets
from tests.dlkd_core.losses.published_reference import (
    assert_matches,
    build_double_loss,
    check_one_step,
    read_entry,
    read_outputs,
    replace_parts,
)

REFERENCE = Path(__file__).parents[2] / "data" / "block_loss_reference.npz"


def test_ab_matches_the_published_code_with_its_connectors() -> None:
    """The published code has no connector between the first blocks, as their shapes are equal."""

    def remove_first_connector(loss: DistillationLoss) -> None:
        loss.connectors[0] = nn.Identity()

    heads = {"connector.connectors.": "connectors."}
    check_one_step(
        ABParams(),
        read_entry(REFERENCE, "ab"),
        heads,
        rename=_rename_connector,
        adapt=remove_first_connector,
    )


def test_ft_matches_the_published_code_plus_the_weighted_reconstruction() -> None:
    arrays = {
        key + ("0" if key in {"m_s", "m_t", "grad_m_s"} else ""): value
        for key, value in read_entry(REFERENCE, "ft").items()
    }
    weight = 200.0
    arrays["loss"] = arrays["loss"] + arrays["reconstruction"] / weight
    heads = {
        "translator.encoder.": "translator.",
        "paraphraser.encoder.": "encoder.",
        "paraphraser.decoder.": "decoder.",
    }
    check_one_step(FTParams(weight=weight), arrays, heads)


def test_reviewkd_matches_the_published_code_with_its_fusions() -> None:
    names = {"conv1": "reduce", "conv2": "expand", "att_conv": "attention"}
    check_one_step(
        ReviewKDParams(),
        read_entry(REFERENCE, "reviewkd"),
        {"abfs.": "fusions."},
        rename=lambda key: replace_parts(key, names),
    )


def test_sskd_keeps_the_published_rows_and_matches_the_published_code() -> None:
    arrays = read_entry(REFERENCE, "sskd")
    units = torch.nn.functional.normalize(arrays["f_t"], dim=1)
    kept = select_well_ranked_rows(other_views(units, 4) @ first_view(units, 4).T, 0.75)
    assert kept.sum() == len(arrays["kept"])
    assert torch.equal(kept.nonzero().flatten(), arrays["kept"])
    check_one_step(SSKDParams(), arrays, {"head.": "head."}, views=4)


def test_sskd_logits_match_the_published_code() -> None:
    check_one_step(SSKDLogitsParams(), read_entry(REFERENCE, "sskd_logits"), {}, views=4)


@pytest.mark.parametrize(
    ("name", "params", "queues"),
    [
        ("seed", SEEDParams(), {"queue": "queue"}),
        ("compress", CompRessParams(), {"queue": "queue", "own": "own"}),
    ],
    ids=["seed", "compress"],
)
def test_losses_with_queues_match_the_published_code_in_two_steps(
    name: str, params: LossParams, queues: dict[str, str]
) -> None:
    arrays = read_entry(REFERENCE, name)
    loss = build_double_loss(
        params, read_outputs(arrays, "s", "1"), read_outputs(arrays, "t", "1"), images=16
    )
    heads = {key: value for key, value in arrays.items() if key.startswith("head.")}
    state = {f"{name}.rows": arrays[published] for published, name in queues.items()}
    loss.load_state_dict({**loss.state_dict(), **heads, **state})
    for step in "12":
        student, teacher = read_outputs(arrays, "s", step), read_outputs(arrays, "t", step)
        student.features.requires_grad_()
        value = loss(
            student, teacher, make_targets(torch.zeros(len(student.features), dtype=torch.int64))
        )
        value.backward()
        expected_gradients = [arrays[f"grad_f_s{step}"]]
        assert_matches(value, arrays[f"loss{step}"], [student.features], expected_gradients)


def test_every_entry_of_the_file_is_compared() -> None:
    with np.load(REFERENCE) as file:
        names = {key.partition("/")[0] for key in file.files}
    assert names == {"ab", "ft", "reviewkd", "sskd", "sskd_logits", "seed", "compress"}


def _rename_connector(key: str) -> str:
    """Replace `conv` and `bn` with the indices that these layers have in our connectors."""
    return replace_parts(key, {"conv": "0", "bn": "1"})
