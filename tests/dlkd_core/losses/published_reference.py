"""Comparison of losses with reference values of their published code.

The reference files have the format of `loss_reference.npz` (see `test_published_losses`). A number
at the end of the name of a feature map is the number of the block.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.common import import_target
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.network_outputs import Outputs, OutputShapes
from tests.dlkd_core.losses.conftest import make_targets

Arrays = dict[str, Tensor]


def check_one_step(
    params: LossParams,
    arrays: Arrays,
    heads: dict[str, str],
    *,
    views: int = 1,
    rename: Callable[[str], str] = str,
    adapt: Callable[[DistillationLoss], object] = id,
) -> None:
    """Assert that one step gives the published loss and gradients.

    The labels are zeros if the entry has none.

    Args:
        params: parameters of the loss.
        arrays: arrays of one entry in the reference file.
        heads: our state-dict prefix of each head, keyed by the published prefix.
        views: number of views per image.
        rename: function that maps published weight names to ours.
        adapt: function that modifies the loss before the weights are loaded.
    """
    student, teacher = read_outputs(arrays, "s"), read_outputs(arrays, "t")
    loss = build_double_loss(params, student, teacher, views=views)
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
    num_images = len(student.features) // views
    labels = arrays.get("labels", torch.zeros(num_images, dtype=torch.int64))
    value = loss(student, teacher, make_targets(labels))
    value.backward()
    expected_gradients = [arrays[f"grad_{name}"] for name in inputs]
    assert_matches(value, arrays["loss"], list(inputs.values()), expected_gradients)


def assert_matches(
    value: Tensor, expected: Tensor, inputs: list[Tensor], gradients: list[Tensor]
) -> None:
    """Assert that a loss and its gradients with respect to its inputs are the published ones."""
    torch.testing.assert_close(value.detach(), expected, rtol=1e-6, atol=0)
    assert inputs
    for tensor, gradient in zip(inputs, gradients, strict=True):
        assert tensor.grad is not None
        assert (tensor.grad - gradient).norm() <= 1e-5 * gradient.norm()


def read_entry(path: Path, name: str) -> Arrays:
    """Return the arrays of an entry of a reference file."""
    with np.load(path) as file:
        return {
            key.removeprefix(f"{name}/"): torch.from_numpy(file[key])
            for key in file.files
            if key.startswith(f"{name}/")
        }


def read_outputs(arrays: Arrays, letter: str, step: str = "") -> Outputs:
    """Return the outputs of the student ("s") or the teacher ("t") in an entry."""
    blocks = (f"m_{letter}{block}" for block in range(len(arrays)))
    maps = tuple(arrays[block] for block in blocks if block in arrays)
    features, logits = (arrays.get(f"{kind}_{letter}{step}") for kind in "fz")
    present = next(tensor for tensor in (features, logits, *maps) if tensor is not None)
    empty = present.new_zeros(len(present), 1)
    return Outputs(
        empty if logits is None else logits, empty if features is None else features, maps
    )


def build_double_loss(
    params: LossParams, student: Outputs, teacher: Outputs, *, views: int = 1, images: int = 64
) -> DistillationLoss:
    """Return the loss in float64, built for the shapes of the outputs."""
    shapes = OutputShapes.from_outputs(student), OutputShapes.from_outputs(teacher)
    loss: DistillationLoss = import_target(params.target)(
        params, LossContext(*shapes, shapes[0].classes, views, images)
    )
    return loss.double()


def replace_parts(key: str, names: dict[str, str]) -> str:
    """Replace parts of a dotted weight name."""
    return ".".join(names.get(part, part) for part in key.split("."))
