"""The losses of several blocks, of views and of queues agree, in value and gradient, with what their published code returns.

`loss_reference_2.npz` is made as `loss_reference.npz` (see `test_reference`); blocks are numbered, and so are the steps of the
losses that keep a queue: their second one is taken with the queue as the first one left it. Published code: RepDistiller (ab,
ft), mdistiller (reviewkd), SSKD, SEED, and CompRess without momentum.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlkd_core.catalog.terms import (
    Boundaries,
    Compression,
    Factors,
    Instances,
    Review,
    RotatedLogits,
    SelfSupervision,
    Term,
)
from dlkd_core.losses.sskd import well_ranked
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import rotated, unrotated
from dlkd_core.outputs import Outputs, Shapes
from dlkd_core.resolve import resolve
from tests.dlkd_core.losses.conftest import targets

REFERENCE = Path(__file__).parents[2] / "data" / "loss_reference_2.npz"
Arrays = dict[str, Tensor]


def test_boundaries_are_the_published_ones_through_their_connectors() -> None:
    """But for blocks of one shape, between which the published code has nothing and ours a convolution; the first ones are."""

    def as_published(term: TermModule) -> None:
        term.connectors[0] = nn.Identity()

    heads = {"connector.connectors.": "connectors."}
    _of_one_step(Boundaries(), _read("ab"), heads, rename=_connector, adapt=as_published)


def test_factors_are_the_published_ones_and_their_reconstruction_stands_beside_them() -> None:
    arrays = {key + ("0" if key in {"m_s", "m_t", "grad_m_s"} else ""): value for key, value in _read("ft").items()}
    weight = 200.0
    arrays["loss"] = arrays["loss"] + arrays["reconstruction"] / weight
    heads = {"translator.encoder.": "translator.", "paraphraser.encoder.": "encoder.", "paraphraser.decoder.": "decoder."}
    _of_one_step(Factors(weight=weight), arrays, heads)


def test_review_is_the_published_one_through_its_fusions() -> None:
    names = {"conv1": "reduce", "conv2": "expand", "att_conv": "attention"}
    _of_one_step(Review(), _read("reviewkd"), {"abfs.": "fusions."}, rename=lambda key: _replaced(key, names))


def test_self_supervision_keeps_the_published_rows_and_is_the_published_one() -> None:
    arrays = _read("sskd")
    units = torch.nn.functional.normalize(arrays["f_t"], dim=1)
    kept = well_ranked(rotated(units, 4) @ unrotated(units, 4).T, 0.75)
    assert kept.sum() == len(arrays["kept"])
    assert torch.equal(kept.nonzero().flatten(), arrays["kept"])
    _of_one_step(SelfSupervision(), arrays, {"head.": "head."}, views=4)


def test_the_logits_of_rotated_views_are_compared_as_published() -> None:
    _of_one_step(RotatedLogits(), _read("sskd_logits"), {}, views=4)


@pytest.mark.parametrize(
    ("name", "params", "queues"),
    [("seed", Instances(), {"queue": "queue"}), ("compress", Compression(), {"queue": "queue", "own": "own"})],
    ids=["seed", "compress"],
)
def test_queues_are_the_published_ones_in_a_first_and_a_second_step(name: str, params: Term, queues: dict[str, str]) -> None:
    arrays = _read(name)
    module = _module(params, _outputs(arrays, "s", "1"), _outputs(arrays, "t", "1"), images=16)
    heads = {key: value for key, value in arrays.items() if key.startswith("head.")}
    state = {f"{ours}.rows": arrays[theirs] for theirs, ours in queues.items()}
    module.load_state_dict({**module.state_dict(), **heads, **state})
    for step in "12":
        student, teacher = _outputs(arrays, "s", step), _outputs(arrays, "t", step)
        student.features.requires_grad_()
        loss = module(student, teacher, targets(torch.zeros(len(student.features), dtype=torch.int64)))
        loss.backward()
        _agree(loss, arrays[f"loss{step}"], [student.features], [arrays[f"grad_f_s{step}"]])


def test_every_entry_of_the_file_is_held_against_ours() -> None:
    with np.load(REFERENCE) as file:
        found = {key.partition("/")[0] for key in file.files}
    assert found == {"ab", "ft", "reviewkd", "sskd", "sskd_logits", "seed", "compress"}


def _of_one_step(
    params: Term,
    arrays: Arrays,
    heads: dict[str, str],
    *,
    views: int = 1,
    rename: Callable[[str], str] = str,
    adapt: Callable[[TermModule], object] = id,
) -> None:
    """`heads` are published prefixes of weights and ours; `adapt` changes the module before it gets them."""
    student, teacher = _outputs(arrays, "s"), _outputs(arrays, "t")
    module = _module(params, student, teacher, views=views)
    adapt(module)
    weights = {
        rename(ours + key.removeprefix(theirs)): value
        for theirs, ours in heads.items()
        for key, value in arrays.items()
        if key.startswith(theirs)
    }
    own = module.state_dict()
    assert set(weights) == {key for key in own if not key.endswith("num_batches_tracked")}
    module.load_state_dict({**own, **weights})
    parts = {"f_s": student.features, "z_s": student.logits, **{f"m_s{place}": one for place, one in enumerate(student.maps)}}
    inputs = {name: part.requires_grad_() for name, part in parts.items() if f"grad_{name}" in arrays}
    loss = module(student, teacher, targets(torch.zeros(len(student.features) // views, dtype=torch.int64)))
    loss.backward()
    _agree(loss, arrays["loss"], list(inputs.values()), [arrays[f"grad_{name}"] for name in inputs])


def _agree(loss: Tensor, expected: Tensor, inputs: list[Tensor], gradients: list[Tensor]) -> None:
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-6, atol=0)
    assert inputs
    for one, gradient in zip(inputs, gradients, strict=True):
        assert one.grad is not None
        assert (one.grad - gradient).norm() <= 1e-5 * gradient.norm()


def _read(name: str) -> Arrays:
    with np.load(REFERENCE) as file:
        return {key.removeprefix(f"{name}/"): torch.from_numpy(file[key]) for key in file.files if key.startswith(f"{name}/")}


def _outputs(arrays: Arrays, letter: str, step: str = "") -> Outputs:
    maps = tuple(arrays[f"m_{letter}{place}"] for place in range(3) if f"m_{letter}{place}" in arrays)
    features, logits = (arrays.get(f"{kind}_{letter}{step}") for kind in "fz")
    some = next(one for one in (features, logits, *maps) if one is not None)
    empty = some.new_zeros(len(some), 1)
    return Outputs(empty if logits is None else logits, empty if features is None else features, maps)


def _module(params: Term, student: Outputs, teacher: Outputs, *, views: int = 1, images: int = 64) -> TermModule:
    shapes = Shapes.of(student), Shapes.of(teacher)
    module: TermModule = resolve(params.target)(params, Setting(*shapes, shapes[0].classes, views, images))
    return module.double()


def _replaced(key: str, names: dict[str, str]) -> str:
    return ".".join(names.get(part, part) for part in key.split("."))


def _connector(key: str) -> str:
    """Published: connectors.1.conv and .bn; ours: the same two in a row."""
    return _replaced(key, {"conv": "0", "bn": "1"})
