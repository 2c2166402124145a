"""Tests that losses match their published implementations in value and gradient.

`loss_reference.npz` contains float64 arrays with names of the form `<entry>/<array>`: the inputs,
the head weights, the loss, and the gradient of the loss with respect to the student's input.

The environment variable DLKD_LOSS_REFERENCE selects another file of the same format. To test a new
loss, add a line to `ENTRIES`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import (
    ATParams,
    FitNetParams,
    NSTParams,
    SPParams,
    VIDParams,
)
from dlkd_core.catalog.loss_params import (
    AlignmentParams,
    CCParams,
    CorrelationParams,
    CRDParams,
    DISTParams,
    DKDParams,
    KDParams,
    PKTParams,
    RKDParams,
    SupConParams,
)
from dlkd_core.common import import_target
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.network_outputs import Outputs, OutputShapes
from tests.dlkd_core.losses.conftest import make_targets

REFERENCE = Path(
    os.environ.get("DLKD_LOSS_REFERENCE")
    or Path(__file__).parents[2] / "data" / "loss_reference.npz"
)
Arrays = dict[str, Tensor]


@dataclass(frozen=True)
class Entry:
    """An entry of the reference file and the loss that is compared with it.

    Args:
        name: name of the entry.
        params: function that derives the parameters of the loss from the arrays.
        compares: network output that the loss uses: features (arrays f_s and f_t), logits (z_s
            and z_t) or feature_maps (m_s and m_t).
        views: number of views per image.
        heads: maps the prefix of each head's weights in the published code to our prefix.
    """

    name: str
    params: Callable[[Arrays], LossParams]
    compares: str
    views: int = 1
    heads: dict[str, str] = field(default_factory=dict)


def _hidden_factor(arrays: Arrays) -> int:
    return arrays["head.net.0.weight"].shape[0] // arrays["f_t"].shape[1]


_EMBEDDINGS = {"embed_s.linear.": "embed_student.", "embed_t.linear.": "embed_teacher."}
_VID_HEADS = {"regressor.": "guesses.0.regressor.", "log_scale": "guesses.0.log_scale"}
ENTRIES = [
    Entry(
        "dlkd_align",
        lambda a: AlignmentParams(hidden_factor=_hidden_factor(a)),
        "features",
        4,
        {"head.net.": "head."},
    ),
    Entry("dlkd_corr", lambda _: CorrelationParams(), "features", 4, {"head.net.": "head."}),
    Entry(
        "dlkd_supcon",
        lambda a: SupConParams(dimensions=len(a["embed_s.linear.bias"])),
        "features",
        4,
        _EMBEDDINGS,
    ),
    Entry("kd_T4", lambda _: KDParams(temperature=4.0), "logits"),
    Entry("dkd_a1_b8_T4", lambda _: DKDParams(alpha=1.0, beta=8.0, temperature=4.0), "logits"),
    Entry("dist_tau4", lambda _: DISTParams(temperature=4.0), "logits"),
    Entry("at", lambda _: ATParams(), "feature_maps"),
    Entry("at_unequal", lambda _: ATParams(), "feature_maps"),
    Entry("sp", lambda _: SPParams(), "feature_maps"),
    Entry("nst", lambda _: NSTParams(), "feature_maps"),
    Entry("vid", lambda _: VIDParams(), "feature_maps", heads=_VID_HEADS),
    Entry("rkd_d25_a50", lambda _: RKDParams(distance=25.0, angle=50.0), "features"),
    Entry("pkt", lambda _: PKTParams(), "features"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_value_and_gradient_match_the_published_code(entry: Entry) -> None:
    arrays = _read(entry.name)
    letter = {"features": "f", "logits": "z", "feature_maps": "m"}[entry.compares]
    student_input = arrays[f"{letter}_s"].requires_grad_()
    student = _outputs(entry.compares, student_input)
    teacher = _outputs(entry.compares, arrays[f"{letter}_t"])
    loss = _build_loss(
        entry, arrays, OutputShapes.from_outputs(student), OutputShapes.from_outputs(teacher)
    )

    num_images = len(student_input) // entry.views
    labels = arrays.get("labels", torch.zeros(num_images, dtype=torch.int64))
    value = loss(student, teacher, make_targets(labels))
    value.backward()
    _assert_matches(value, student_input, arrays, f"grad_{letter}_s")


# Entries whose arrays are the outputs of the heads, so that only `compute_loss` is compared.
WITHOUT_HEADS = {"fitnet_mse": (FitNetParams, "m"), "cc": (CCParams, "e")}


@pytest.mark.parametrize("name", WITHOUT_HEADS)
def test_the_loss_after_the_heads_matches_the_published_code(name: str) -> None:
    params, letter = WITHOUT_HEADS[name]
    arrays = _read(name)
    student = arrays[f"{letter}_s"].requires_grad_()
    value = import_target(params.target).compute_loss(student, arrays[f"{letter}_t"])
    value.backward()
    _assert_matches(value, student, arrays, f"grad_{letter}_s")


def test_crd_matches_the_published_code_in_its_first_and_second_step() -> None:
    first = _read("crd_first")
    _, temperature, _, _, momentum = first["params"].tolist()
    params = CRDParams(
        temperature=temperature, momentum=momentum, dimensions=first["memory_v1"].shape[1]
    )
    images = len(first["memory_v1"])
    student, teacher = (OutputShapes(1, first[f"f_{letter}"].shape[1], ()) for letter in "st")
    loss = import_target(params.target)(
        params, LossContext(student, teacher, 2, 1, images, torch.arange(images) % 2)
    ).double()
    weights = _rename_heads(first, _EMBEDDINGS)
    memories = {"memory_student": first["memory_v1"], "memory_teacher": first["memory_v2"]}
    loss.load_state_dict({**loss.state_dict(), **weights, **memories})
    for arrays in (first, _read("crd_second")):
        student_features = arrays["f_s"].requires_grad_()
        value = loss.compute_loss(
            loss.embed_student(student_features),
            loss.embed_teacher(arrays["f_t"]),
            arrays["index"],
            arrays["sample"],
        )
        value.backward()
        _assert_matches(value, student_features, arrays, "grad_f_s")


def test_every_entry_of_the_file_is_compared() -> None:
    with np.load(REFERENCE) as file:
        names = {key.partition("/")[0] for key in file.files}
    assert names == {entry.name for entry in ENTRIES} | set(WITHOUT_HEADS) | {
        "crd_first",
        "crd_second",
    }


def _assert_matches(value: Tensor, student: Tensor, arrays: Arrays, gradient: str) -> None:
    torch.testing.assert_close(value.detach(), arrays["loss"], rtol=1e-6, atol=0)
    assert student.grad is not None
    assert (student.grad - arrays[gradient]).norm() <= 1e-5 * arrays[gradient].norm()


def _read(name: str) -> Arrays:
    with np.load(REFERENCE) as file:
        return {
            key.removeprefix(f"{name}/"): torch.from_numpy(file[key])
            for key in file.files
            if key.startswith(f"{name}/")
        }


def _outputs(compares: str, rows: Tensor) -> Outputs:
    empty = rows.new_zeros(len(rows), 1)
    parts = {"logits": empty, "features": empty, "feature_maps": ()}
    return Outputs(**{**parts, compares: (rows,) if compares == "feature_maps" else rows})


def _build_loss(
    entry: Entry, arrays: Arrays, student: OutputShapes, teacher: OutputShapes
) -> DistillationLoss:
    params = entry.params(arrays)
    loss: DistillationLoss = import_target(params.target)(
        params, LossContext(student, teacher, student.classes, entry.views, num_images=64)
    )
    loss.double().load_state_dict(_rename_heads(arrays, entry.heads))
    return loss


def _rename_heads(arrays: Arrays, heads: dict[str, str]) -> Arrays:
    """Return the published head weights, keyed by our parameter names."""
    return {
        prefix + key.removeprefix(published): value
        for published, prefix in heads.items()
        for key, value in arrays.items()
        if key.startswith(published)
    }
