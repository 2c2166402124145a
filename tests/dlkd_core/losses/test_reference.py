"""The losses agree, in value and gradient, with what the published implementations return.

`loss_reference.npz` holds `<entry>/<array>`: inputs, head weights, `loss` and the gradients of the loss with respect to the
student's input, in float64. DLKD_LOSS_REFERENCE names another file of the same form. A new loss is one line of `ENTRIES`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dlkd_core.catalog.terms import (
    Alignment,
    Attention,
    Congruence,
    Contrast,
    Correlation,
    Decoupled,
    Geometry,
    Hint,
    Hinton,
    NeuronSelectivity,
    Probabilities,
    Relations,
    Similarity,
    SupervisedContrast,
    Term,
    Variational,
)
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Shapes
from dlkd_core.resolve import resolve
from tests.dlkd_core.losses.conftest import targets

REFERENCE = Path(os.environ.get("DLKD_LOSS_REFERENCE") or Path(__file__).parents[2] / "data" / "loss_reference.npz")
Arrays = dict[str, Tensor]


@dataclass(frozen=True)
class Entry:
    """One entry of the file: the term with its parameters, what it compares, views, and our name of each published head."""

    name: str
    term: Callable[[Arrays], Term]
    compares: str  # features (arrays f_s, f_t), logits (z_s, z_t) or maps (m_s, m_t)
    views: int = 1
    heads: dict[str, str] = field(default_factory=dict)


def _hidden_factor(arrays: Arrays) -> int:
    return arrays["head.net.0.weight"].shape[0] // arrays["f_t"].shape[1]


_EMBEDDINGS = {"embed_s.linear.": "embed_student.", "embed_t.linear.": "embed_teacher."}
_GUESS = {"regressor.": "guesses.0.regressor.", "log_scale": "guesses.0.log_scale"}
ENTRIES = [
    Entry("dlkd_align", lambda a: Alignment(hidden_factor=_hidden_factor(a)), "features", 4, {"head.net.": "head."}),
    Entry("dlkd_corr", lambda _: Correlation(), "features", 4, {"head.net.": "head."}),
    Entry("dlkd_supcon", lambda a: SupervisedContrast(dimensions=len(a["embed_s.linear.bias"])), "features", 4, _EMBEDDINGS),
    Entry("kd_T4", lambda _: Hinton(temperature=4.0), "logits"),
    Entry("dkd_a1_b8_T4", lambda _: Decoupled(alpha=1.0, beta=8.0, temperature=4.0), "logits"),
    Entry("dist_tau4", lambda _: Relations(temperature=4.0), "logits"),
    Entry("at", lambda _: Attention(), "maps"),
    Entry("at_unequal", lambda _: Attention(), "maps"),
    Entry("sp", lambda _: Similarity(), "maps"),
    Entry("nst", lambda _: NeuronSelectivity(), "maps"),
    Entry(
        "vid", lambda _: Variational(), "maps", heads={"regressor.": "guesses.0.regressor.", "log_scale": "guesses.0.log_scale"}
    ),
    Entry("rkd_d25_a50", lambda _: Geometry(distance=25.0, angle=50.0), "features"),
    Entry("pkt", lambda _: Probabilities(), "features"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_value_and_gradient_are_the_published_ones(entry: Entry) -> None:
    arrays = _read(entry.name)
    letter = {"features": "f", "logits": "z", "maps": "m"}[entry.compares]
    ours = arrays[f"{letter}_s"].requires_grad_()
    student, teacher = _outputs(entry.compares, ours), _outputs(entry.compares, arrays[f"{letter}_t"])
    module = _module(entry, arrays, Shapes.of(student), Shapes.of(teacher))

    labels = arrays.get("labels", torch.zeros(len(ours) // entry.views, dtype=torch.int64))
    loss = module(student, teacher, targets(labels))
    loss.backward()
    _agree(loss, ours, arrays, f"grad_{letter}_s")


BETWEEN = {"fitnet_mse": (Hint, "m"), "cc": (Congruence, "e")}  # published without their heads


@pytest.mark.parametrize("name", BETWEEN)
def test_what_follows_the_heads_is_the_published_loss(name: str) -> None:
    term, letter = BETWEEN[name]
    arrays = _read(name)
    ours = arrays[f"{letter}_s"].requires_grad_()
    loss = resolve(term.target).between(ours, arrays[f"{letter}_t"])
    loss.backward()
    _agree(loss, ours, arrays, f"grad_{letter}_s")


def test_contrast_is_the_published_one_in_its_first_step_and_with_updated_memories_in_its_second() -> None:
    first = _read("crd_first")
    _, temperature, _, _, momentum = first["params"].tolist()
    params = Contrast(temperature=temperature, momentum=momentum, dimensions=first["memory_v1"].shape[1])
    images = len(first["memory_v1"])
    student, teacher = (Shapes(1, first[f"f_{letter}"].shape[1], ()) for letter in "st")
    term = resolve(params.target)(params, Setting(student, teacher, 2, 1, images, torch.arange(images) % 2)).double()
    weights = _renamed(first, _EMBEDDINGS)
    memories = {"memory_student": first["memory_v1"], "memory_teacher": first["memory_v2"]}
    term.load_state_dict({**term.state_dict(), **weights, **memories})
    for arrays in (first, _read("crd_second")):
        ours = arrays["f_s"].requires_grad_()
        loss = term.between(term.embed_student(ours), term.embed_teacher(arrays["f_t"]), arrays["index"], arrays["sample"])
        loss.backward()
        _agree(loss, ours, arrays, "grad_f_s")


def test_every_entry_of_the_file_is_held_against_ours() -> None:
    with np.load(REFERENCE) as file:
        found = {key.partition("/")[0] for key in file.files}
    assert found == {entry.name for entry in ENTRIES} | set(BETWEEN) | {"crd_first", "crd_second"}


def _agree(loss: Tensor, ours: Tensor, arrays: Arrays, gradient: str) -> None:
    torch.testing.assert_close(loss.detach(), arrays["loss"], rtol=1e-6, atol=0)
    assert ours.grad is not None
    assert (ours.grad - arrays[gradient]).norm() <= 1e-5 * arrays[gradient].norm()


def _read(name: str) -> Arrays:
    with np.load(REFERENCE) as file:
        return {key.removeprefix(f"{name}/"): torch.from_numpy(file[key]) for key in file.files if key.startswith(f"{name}/")}


def _outputs(compares: str, rows: Tensor) -> Outputs:
    empty = rows.new_zeros(len(rows), 1)
    parts = {"logits": empty, "features": empty, "maps": ()}
    return Outputs(**{**parts, compares: (rows,) if compares == "maps" else rows})


def _module(entry: Entry, arrays: Arrays, student: Shapes, teacher: Shapes) -> TermModule:
    params = entry.term(arrays)
    module: TermModule = resolve(params.target)(params, Setting(student, teacher, student.classes, entry.views, images=64))
    module.double().load_state_dict(_renamed(arrays, entry.heads))
    return module


def _renamed(arrays: Arrays, heads: dict[str, str]) -> Arrays:
    """The published heads' weights under our names."""
    return {
        ours + key.removeprefix(theirs): value
        for theirs, ours in heads.items()
        for key, value in arrays.items()
        if key.startswith(theirs)
    }
