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

from dlkd_core.catalog.terms import Alignment, Correlation, Hinton, SupervisedContrast, Term
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Shapes
from dlkd_core.resolve import resolve

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
ENTRIES = [
    Entry("dlkd_align", lambda a: Alignment(hidden_factor=_hidden_factor(a)), "features", 4, {"head.net.": "head."}),
    Entry("dlkd_corr", lambda _: Correlation(), "features", 4, {"head.net.": "head."}),
    Entry("dlkd_supcon", lambda a: SupervisedContrast(dimensions=len(a["embed_s.linear.bias"])), "features", 4, _EMBEDDINGS),
    Entry("kd_T4", lambda _: Hinton(temperature=4.0), "logits"),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_value_and_gradient_are_the_published_ones(entry: Entry) -> None:
    arrays = _read(entry.name)
    letter = {"features": "f", "logits": "z", "maps": "m"}[entry.compares]
    ours = arrays[f"{letter}_s"].requires_grad_()
    student, teacher = _outputs(entry.compares, ours), _outputs(entry.compares, arrays[f"{letter}_t"])
    module = _module(entry, arrays, Shapes.of(student), Shapes.of(teacher))

    loss = module(student, teacher, arrays.get("labels", torch.zeros(len(ours) // entry.views, dtype=torch.int64)))
    loss.backward()

    torch.testing.assert_close(loss.detach(), arrays["loss"], rtol=1e-6, atol=0)
    assert ours.grad is not None
    published = arrays[f"grad_{letter}_s"]
    assert (ours.grad - published).norm() <= 1e-5 * published.norm()


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
    weights = {
        ours + key.removeprefix(theirs): value
        for theirs, ours in entry.heads.items()
        for key, value in arrays.items()
        if key.startswith(theirs)
    }
    module.double().load_state_dict(weights)
    return module
