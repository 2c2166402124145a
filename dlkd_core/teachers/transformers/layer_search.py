"""Finds the classifiers of a network and the blocks whose outputs are feature maps, by running it.

The networks of transformers name their layers in many ways, so names alone do not tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn

from dlkd_core.models.feature_extractor import first_tensor
from dlkd_core.models.network import MAX_BLOCKS, Network, TensorLayout, pick_quarters

_HEAD_LAYERS = (nn.Linear, nn.Conv2d)
_HEAD_NAMES = ("classifier", "head")
# Parameters that are added before the tokens of the image
_PREFIX_TOKENS = ("cls_token", "class_embedding", "distillation_token", "register_tokens")


@dataclass(frozen=True)
class _Run:
    """Outputs of the modules that were run once, by name and in order."""

    outputs: Mapping[str, Tensor]
    logits: Tensor


@torch.no_grad()
def find_layers(module: nn.Module, images: Tensor) -> Network | None:
    """Run a network on images (N, C, H, W) and name its layers.

    Returns:
        The network, without blocks if none returns a feature map. None if the logits are not
        computed by a layer of their own.
    """
    run = _run(module, images)
    classifier, *others = _find_classifiers(module, run) or ("",)
    if not classifier:
        return None
    prefix = sum(
        parameter.shape[1] if parameter.dim() == 3 else 1
        for name, parameter in module.named_parameters()
        if name.rpartition(".")[2] in _PREFIX_TOKENS
    )
    blocks, layout = _find_blocks(module, run, prefix)
    return Network(module, classifier, blocks, layout, prefix, tuple(others))


def _run(module: nn.Module, images: Tensor) -> _Run:
    calls: dict[str, list[Tensor]] = {}

    def record(name: str, output: object) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            calls.setdefault(name, []).append(tensor)

    handles = [
        layer.register_forward_hook(lambda _layer, _args, output, name=name: record(name, output))
        for name, layer in module.named_modules()
    ]
    try:
        logits = module(images)
    finally:
        for handle in handles:
            handle.remove()
    return _Run({name: tensors[0] for name, tensors in calls.items() if len(tensors) == 1}, logits)


def _find_classifiers(module: nn.Module, run: _Run) -> list[str]:
    """Return the layers that compute the logits.

    It is the last one whose output is the logits, or those whose outputs are averaged.
    """
    heads = [
        name
        for name, output in run.outputs.items()
        if isinstance(module.get_submodule(name), _HEAD_LAYERS)
        and output.flatten(1).shape == run.logits.shape
    ]
    exact = [name for name in heads if torch.equal(run.outputs[name].flatten(1), run.logits)]
    if exact:
        return exact[-1:]
    named = [name for name in heads if any(part in name for part in _HEAD_NAMES)]
    if len(named) < 2:
        return []
    mean = torch.stack([run.outputs[name].flatten(1) for name in named]).mean(dim=0)
    return named if torch.allclose(mean, run.logits, rtol=1e-3, atol=1e-4) else []


def _find_blocks(module: nn.Module, run: _Run, prefix: int) -> tuple[tuple[str, ...], TensorLayout]:
    """Return the blocks of the outermost lists of modules that return feature maps."""
    blocks: dict[int, list[str]] = {}
    for name, output in run.outputs.items():
        parent, _, position = name.rpartition(".")
        is_listed = position.isdigit() and isinstance(
            module.get_submodule(parent), nn.ModuleList | nn.Sequential
        )
        if is_listed and "embed" not in parent and _map_side(output, prefix):
            blocks.setdefault(name.count("."), []).append(name)
    names = next((blocks[depth] for depth in sorted(blocks) if len(blocks[depth]) > 1), [])
    sides = {name: _map_side(run.outputs[name], prefix) for name in names}
    layouts = {_find_layout(run.outputs[name]) for name in names}
    if len(layouts) != 1:
        return (), "NCHW"
    (layout,) = layouts
    if len(set(sides.values())) == 1:
        return pick_quarters(names), layout
    last_of_each = {side: name for name, side in sides.items()}
    return tuple(list(last_of_each.values())[-MAX_BLOCKS:]), layout


def _map_side(output: Tensor, prefix: int) -> int:
    """Return the height and width of a block's output, or 0 if it is no square feature map."""
    if output.dim() == 4:
        height, width = output.shape[1:3] if _find_layout(output) == "NHWC" else output.shape[2:]
        return height if height == width > 1 else 0
    if output.dim() != 3:
        return 0
    for tokens in (output.shape[1] - prefix, output.shape[1]):
        if tokens > 1 and isqrt(tokens) ** 2 == tokens:
            return isqrt(tokens)
    return 0


def _find_layout(output: Tensor) -> TensorLayout:
    shape: Sequence[int] = output.shape
    is_last = output.dim() == 4 and shape[1] == shape[2] and shape[2] != shape[3]
    return "NHWC" if is_last else "NCHW"
