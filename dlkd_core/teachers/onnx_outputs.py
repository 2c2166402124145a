"""Chooses the output of an ONNX graph that holds the logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx

from dlkd_core.errors import CheckpointRefused

_LOGITS_NAME = "logits"


@dataclass(frozen=True)
class ChosenOutput:
    """The output with the logits.

    Attributes:
        name: Name of the output.
        count: Number of logits per image.
        notices: Messages for the user.
    """

    name: str
    count: int
    notices: tuple[str, ...] = ()


def choose_output(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], requested: str | None
) -> ChosenOutput:
    """Choose the output `requested`, or the one that can only be the logits.

    Among several outputs, this is the one called "logits" or, if the other outputs are computed on
    the way to it, the last one.

    Args:
        model: The graph.
        shapes: Shape of each floating-point output for a batch of images.
        requested: Name of the output with the logits, or None to detect it.

    Raises:
        CheckpointRefused: No output can be the logits, or it is unclear which one is. The message
            lists the outputs.
    """
    counts = {name: count for name, shape in shapes.items() if (count := _count_logits(shape))}
    listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "none"
    if requested is not None:
        if requested not in counts:
            raise CheckpointRefused(
                f"The ONNX graph has no output {requested!r} with a number per class. Its"
                f" outputs are: {listed}.",
                hint="Name another output, or omit the field.",
            )
        return ChosenOutput(requested, counts[requested])
    if not counts:
        raise CheckpointRefused(
            "The ONNX graph cannot be used as an image classifier. It must have an output (batch,"
            f" classes). Its outputs are: {listed}.",
            hint="Export the network with the logits as an output.",
        )
    if len(counts) == 1:
        ((name, count),) = counts.items()
        return ChosenOutput(name, count)
    logits = _find_logits(model, list(counts))
    if logits is None:
        raise CheckpointRefused(
            f"The ONNX graph has several outputs that can be the logits: {listed}.",
            hint="Name the output with the logits in the field output of the upload.",
        )
    notice = f"Of the graph's outputs ({', '.join(counts)}), the teacher uses {logits}."
    return ChosenOutput(logits, counts[logits], (notice,))


def _count_logits(shape: tuple[int, ...]) -> int:
    """Return the number of logits per image, or 0 if an output of this shape holds none."""
    if len(shape) == 1:
        return 1
    has_values_per_class = len(shape) >= 2 and prod(shape[2:]) == 1
    return shape[1] if has_values_per_class else 0


def _find_logits(model: onnx.ModelProto, names: list[str]) -> str | None:
    """Return the name of the output with the logits, or None if it is unclear."""
    for matches in (
        [name for name in names if name.lower() == _LOGITS_NAME],
        [name for name in names if _LOGITS_NAME in name.lower()],
    ):
        if len(matches) == 1:
            return matches[0]
    last = [name for name in names if set(names) - {name} <= _list_ancestors(model, name)]
    return last[0] if len(last) == 1 else None


def _list_ancestors(model: onnx.ModelProto, name: str) -> set[str]:
    """Return the names of all tensors from which a tensor is computed."""
    producers = {output: node for node in model.graph.node for output in node.output}
    ancestors: set[str] = set()
    pending = [name]
    while pending:
        node = producers.get(pending.pop())
        new = set(node.input) - ancestors if node else set()
        ancestors |= new
        pending += new
    return ancestors
