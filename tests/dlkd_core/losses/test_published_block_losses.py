"""Tests that losses on blocks, views and queues match the published code in value and gradient.

`block_loss_reference.npz` has the format of `loss_reference.npz` (see `test_published_losses`).
A number at the end of an array name is the number of the block or, for losses with a queue, the
number of the step. The second step starts with the queue that the first step leaves behind.
The references come from RepDistiller (ab, ft), mdistiller (reviewkd), SSKD, SEED, and CompRess
without momentum.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import (
    ABParams,
    CompRessParams,
    FTParams,
    LossParams,
    ReviewKDParams,
    SEEDParams,
    SSKDLogitsParams,
    SSKDParams,
)
from dlkd_core.common import import_target
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, first_view, other_views
from dlkd_core.losses.sskd import select_well_ranked_rows
from dlkd_core.network_outputs import Outputs, OutputShapes, Targets
from tests.dlkd_core.losses.conftest import make_targets

REFERENCE = Path(__file__).parents[2] / "data" / "block_loss_reference.npz"
Arrays = dict[str, Tensor]


def test_ab_matches_the_published_code_with_its_connectors() -> None:
    """The published code has no connector between the first blocks, as their shapes are equal."""

    def remove_first_connector(loss: DistillationLoss) -> None:
        loss.connectors[0] = nn.Identity()

    heads = {"connector.connectors.": "connectors."}
    _check_one_step(
        ABParams(), _read("ab"), heads, rename=_rename_connector, adapt=remove_first_connector
    )


def test_ft_matches_the_published_code_plus_the_weighted_reconstruction() -> None:
    arrays = {
        key + ("0" if key in {"m_s", "m_t", "grad_m_s"} else ""): value
        for key, value in _read("ft").items()
    }
    weight = 200.0
    arrays["loss"] = arrays["loss"] + arrays["reconstruction"] / weight
    heads = {
        "translator.encoder.": "translator.",
        "paraphraser.encoder.": "encoder.",
        "paraphraser.decoder.": "decoder.",
    }
    _check_one_step(FTParams(weight=weight), arrays, heads)


def test_reviewkd_matches_the_published_code_with_its_fusions() -> None:
    names = {"conv1": "reduce", "conv2": "expand", "att_conv": "attention"}
    _check_one_step(
        ReviewKDParams(),
        _read("reviewkd"),
        {"abfs.": "fusions."},
        rename=lambda key: _replace_parts(key, names),
    )


def test_sskd_keeps_the_published_rows_and_matches_the_published_code() -> None:
    arrays = _read("sskd")
    units = torch.nn.functional.normalize(arrays["f_t"], dim=1)
    kept = select_well_ranked_rows(other_views(units, 4) @ first_view(units, 4).T, 0.75)
    assert kept.sum() == len(arrays["kept"])
    assert torch.equal(kept.nonzero().flatten(), arrays["kept"])
    _check_one_step(SSKDParams(), arrays, {"head.": "head."}, views=4)


def test_sskd_logits_match_the_published_code() -> None:
    _check_one_step(SSKDLogitsParams(), _read("sskd_logits"), {}, views=4)


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
    arrays = _read(name)
    loss = _build_loss(params, _outputs(arrays, "s", "1"), _outputs(arrays, "t", "1"), images=16)
    heads = {key: value for key, value in arrays.items() if key.startswith("head.")}
    state = {f"{name}.rows": arrays[published] for published, name in queues.items()}
    loss.load_state_dict({**loss.state_dict(), **heads, **state})
    for step in "12":
        student, teacher = _outputs(arrays, "s", step), _outputs(arrays, "t", step)
        student.features.requires_grad_()
        value = loss(student, teacher, _zero_targets(len(student.features)))
        value.backward()
        expected_gradients = [arrays[f"grad_f_s{step}"]]
        _assert_matches(value, arrays[f"loss{step}"], [student.features], expected_gradients)


def test_every_entry_of_the_file_is_compared() -> None:
    with np.load(REFERENCE) as file:
        names = {key.partition("/")[0] for key in file.files}
    assert names == {"ab", "ft", "reviewkd", "sskd", "sskd_logits", "seed", "compress"}


def _check_one_step(
    params: LossParams,
    arrays: Arrays,
    heads: dict[str, str],
    *,
    views: int = 1,
    rename: Callable[[str], str] = str,
    adapt: Callable[[DistillationLoss], object] = id,
) -> None:
    """Assert that one step gives the published loss and gradients.

    Args:
        params: parameters of the loss.
        arrays: arrays of one entry in the reference file.
        heads: maps the prefix of each head's weights in the published code to our prefix.
        views: number of views per image.
        rename: function that maps published weight names to ours.
        adapt: function that modifies the loss before the weights are loaded.
    """
    student, teacher = _outputs(arrays, "s"), _outputs(arrays, "t")
    loss = _build_loss(params, student, teacher, views=views)
    adapt(loss)
    weights = {
        rename(prefix + key.removeprefix(published)): value
        for published, prefix in heads.items()
        for key, value in arrays.items()
        if key.startswith(published)
    }
    state = loss.state_dict()
    assert set(weights) == {key for key in state if not key.endswith("num_batches_tracked")}
    loss.load_state_dict({**state, **weights})
    parts = {
        "f_s": student.features,
        "z_s": student.logits,
        **{f"m_s{block}": maps for block, maps in enumerate(student.feature_maps)},
    }
    inputs = {
        name: part.requires_grad_() for name, part in parts.items() if f"grad_{name}" in arrays
    }
    value = loss(student, teacher, _zero_targets(len(student.features) // views))
    value.backward()
    expected_gradients = [arrays[f"grad_{name}"] for name in inputs]
    _assert_matches(value, arrays["loss"], list(inputs.values()), expected_gradients)


def _assert_matches(
    value: Tensor, expected: Tensor, inputs: list[Tensor], gradients: list[Tensor]
) -> None:
    torch.testing.assert_close(value.detach(), expected, rtol=1e-6, atol=0)
    assert inputs
    for tensor, gradient in zip(inputs, gradients, strict=True):
        assert tensor.grad is not None
        assert (tensor.grad - gradient).norm() <= 1e-5 * gradient.norm()


def _zero_targets(count: int) -> Targets:
    return make_targets(torch.zeros(count, dtype=torch.int64))


def _read(name: str) -> Arrays:
    with np.load(REFERENCE) as file:
        return {
            key.removeprefix(f"{name}/"): torch.from_numpy(file[key])
            for key in file.files
            if key.startswith(f"{name}/")
        }


def _outputs(arrays: Arrays, letter: str, step: str = "") -> Outputs:
    maps = tuple(
        arrays[f"m_{letter}{block}"] for block in range(3) if f"m_{letter}{block}" in arrays
    )
    features, logits = (arrays.get(f"{kind}_{letter}{step}") for kind in "fz")
    present = next(tensor for tensor in (features, logits, *maps) if tensor is not None)
    empty = present.new_zeros(len(present), 1)
    return Outputs(
        empty if logits is None else logits, empty if features is None else features, maps
    )


def _build_loss(
    params: LossParams, student: Outputs, teacher: Outputs, *, views: int = 1, images: int = 64
) -> DistillationLoss:
    shapes = OutputShapes.from_outputs(student), OutputShapes.from_outputs(teacher)
    loss: DistillationLoss = import_target(params.target)(
        params, LossContext(*shapes, shapes[0].classes, views, images)
    )
    return loss.double()


def _replace_parts(key: str, names: dict[str, str]) -> str:
    return ".".join(names.get(part, part) for part in key.split("."))


def _rename_connector(key: str) -> str:
    """Replace `conv` and `bn` with the indices that these layers have in our connectors."""
    return _replace_parts(key, {"conv": "0", "bn": "1"})
