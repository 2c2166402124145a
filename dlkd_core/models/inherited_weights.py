"""Weights that a student takes from a teacher of the same family.

Layers and channels are selected in three steps:

- Modules are matched by name. In a sequence (the blocks of a stage), the shorter network's modules
  are matched with the first, the last and evenly spaced modules of the longer one.
- The tensors of a layer are copied if all of their shapes are equal.
- In residual convolutional networks, a narrower student takes the channels whose filters have the
  largest L1 norms. Each width of the teacher has a single selection. A layer's filters, its batch
  norm, the input of the next layer and the other end of every shortcut thus keep the same channels.

In other networks, channels cannot be selected in this way. The heads of a transformer and the
concatenated maps of a DenseNet, for example, mix several meanings in one dimension.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlkd_core.models.cifar.resnet import PadShortcut
from dlkd_core.models.network import Network
from dlkd_core.models.parameter_names import is_learned

# Classes of networks that add feature maps but never concatenate them, so that one selection per
# width fits all layers. `ResNet` is the class of torchvision and of timm.
_SELECTABLE_CLASSES = ("CifarResNet", "WideResNet", "ResNet", "MobileNetV2")
_SELECTABLE_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_CHANNEL_DIMS = 2  # the first dimensions of a weight: outputs and inputs


@dataclass(frozen=True)
class InheritedWeights:
    """Counts of the student's parameter tensors, and of those that it inherits."""

    tensors: int
    total_tensors: int
    parameters: int
    total_parameters: int

    def summarize(self) -> str:
        """Return a sentence for the user."""
        share = self.parameters / self.total_parameters
        return (
            f"The student inherits {self.tensors} of {self.total_tensors} tensors"
            f" ({100 * share:.0f} % of its parameters) from the teacher."
        )


@dataclass(frozen=True)
class _Match:
    """A tensor of the student and its counterpart.

    `source` is on the CPU. In a classifier, it holds only the student's classes.
    """

    name: str
    target: Tensor
    source: Tensor
    is_classifier: bool


@torch.no_grad()
def copy_weights(
    student: Network, teacher: Network, classes: Sequence[int] | None
) -> InheritedWeights:
    """Copy the teacher's weights into the student where they fit.

    The student may be on the meta device. The result is then the same, and nothing is copied.

    Args:
        student: The network to initialize.
        teacher: The network with the weights, on any device.
        classes: The teacher's class index for each of the student's classes, or None if the
            teacher's classifier is not used.
    """
    layers = _match_layers(student, teacher, classes)
    selections = _select_channels(student, teacher, layers)
    inherited = set()
    for layer in layers:
        values = [_fit_channels(match, selections) for match in layer]
        for match, value in zip(layer, values, strict=True):
            if value is not None and all(other is not None for other in values):
                match.target.copy_(value)
                inherited.add(match.name)
    sizes = {name: parameter.numel() for name, parameter in student.module.named_parameters()}
    return InheritedWeights(
        tensors=len(inherited & sizes.keys()),
        total_tensors=len(sizes),
        parameters=sum(sizes[name] for name in inherited & sizes.keys()),
        total_parameters=sum(sizes.values()),
    )


def is_same_class(student: Network, teacher: Network) -> bool:
    """Return whether the networks are of the same class, in any code base."""
    return _class_name(student.module) == _class_name(teacher.module)


def _class_name(module: nn.Module) -> str:
    return type(module).__name__


def _match_layers(
    student: Network, teacher: Network, classes: Sequence[int] | None
) -> list[list[_Match]]:
    """Return the tensors of each of the student's layers that has a complete counterpart."""
    teacher_tensors = teacher.module.state_dict()
    counterparts = dict(_match_modules(student.module, teacher.module))
    counterparts |= dict(zip(student.classifiers, teacher.classifiers, strict=False))
    layers = defaultdict(list)
    for name, target in student.module.state_dict().items():
        if is_learned(name):
            layers[name.rpartition(".")[0]].append((name, target))
    matched = []
    for layer, tensors in layers.items():
        is_classifier = layer in student.classifiers
        if layer not in counterparts or (
            is_classifier and len(classes or ()) != len(tensors[0][1])
        ):
            continue
        matches = []
        for name, target in tensors:
            source_name = f"{counterparts[layer]}.{name.rpartition('.')[2]}".removeprefix(".")
            if source_name in teacher_tensors:
                source = teacher_tensors[source_name].cpu()
                source = source[list(classes or ())] if is_classifier else source
                matches.append(_Match(name, target, source, is_classifier))
        if len(matches) == len(tensors):
            matched.append(matches)
    return matched


def _match_modules(
    student: nn.Module, teacher: nn.Module, student_name: str = "", teacher_name: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the names of matched modules, which have the same class."""
    if _class_name(student) != _class_name(teacher):
        return
    yield student_name, teacher_name
    for student_child, teacher_child in _match_children(student, teacher):
        yield from _match_modules(
            student.get_submodule(student_child),
            teacher.get_submodule(teacher_child),
            f"{student_name}.{student_child}".removeprefix("."),
            f"{teacher_name}.{teacher_child}".removeprefix("."),
        )


def _match_children(student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    if not isinstance(student, nn.Sequential | nn.ModuleList):
        names = {name for name, _ in teacher.named_children()}
        return [(name, name) for name, _ in student.named_children() if name in names]
    groups = _group_children(teacher)
    return [
        pair
        for group, names in _group_children(student).items()
        for pair in _match_evenly(names, groups.get(group, []))
    ]


def _group_children(sequence: nn.Module) -> dict[tuple[int, str], list[str]]:
    """Return the names of a sequence's modules by stage and class.

    Pooling layers divide a sequence such as VGG's into stages. In a stage of convolutions and batch
    norms, each class is matched on its own, which keeps a convolution with its batch norm.
    """
    groups = defaultdict(list)
    stage = 0
    for name, child in sequence.named_children():
        stage += isinstance(child, nn.MaxPool2d | nn.AvgPool2d)
        groups[stage, _class_name(child)].append(name)
    return groups


def _match_evenly(student: list[str], teacher: list[str]) -> list[tuple[str, str]]:
    """Match the first, the last and evenly spaced names of the longer list with the shorter one."""
    count = min(len(student), len(teacher))
    return list(zip(_pick_evenly(student, count), _pick_evenly(teacher, count), strict=True))


def _pick_evenly(names: list[str], count: int) -> list[str]:
    if count == 1:
        return names[:1]  # only the first block of a stage changes the shape
    return [names[index * (len(names) - 1) // (count - 1)] for index in range(count)]


def _select_channels(
    student: Network, teacher: Network, layers: list[list[_Match]]
) -> dict[tuple[int, int], Tensor]:
    """Return the indices of the selected channels for each width of the teacher that shrinks.

    The keys are the widths of teacher and student. Layers that are connected have the same widths
    in both networks, so they get the same selection.
    """
    if not (_is_selectable(student.module) and _is_selectable(teacher.module)):
        return {}
    widths = {
        (len(match.source), len(match.target))
        for layer in layers
        for match in layer
        if not match.is_classifier and match.source.dim() > 0
    }
    return {
        (width, kept): _rank_channels(teacher, width)[:kept].sort().values
        for width, kept in widths
        if kept < width
    }


def _is_selectable(module: nn.Module) -> bool:
    if _class_name(module) not in _SELECTABLE_CLASSES:
        return False
    for layer in module.modules():
        has_weights = next(layer.parameters(recurse=False), None) is not None
        if isinstance(layer, PadShortcut) or (
            has_weights and not isinstance(layer, _SELECTABLE_LAYERS)
        ):
            return False
        if isinstance(layer, nn.Conv2d) and layer.groups not in (1, layer.out_channels):
            return False
    return True


def _rank_channels(teacher: Network, width: int) -> Tensor:
    """Return the channel indices (width,) by descending L1 norm of the channel's filters.

    The norms are summed over all layers of this width. Those of each layer are divided by their
    mean, so that all layers have the same influence.
    """
    scores = torch.zeros(width, dtype=torch.float64)
    for name, layer in teacher.module.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or name in teacher.classifiers:
            continue
        if len(layer.weight) == width:
            norms = layer.weight.detach().cpu().double().abs().flatten(1).sum(1)
            scores += norms / norms.mean().clamp_min(1e-12)
    return scores.argsort(descending=True, stable=True)


def _fit_channels(match: _Match, selections: dict[tuple[int, int], Tensor]) -> Tensor | None:
    """Return the source with its channels selected, or None if it does not fit the target."""
    value, shape = match.source, match.target.shape
    if value.dim() != len(shape):
        return None
    for dim in range(min(_CHANNEL_DIMS, len(shape))):
        selection = selections.get((value.shape[dim], shape[dim]))
        if selection is not None:
            value = value.index_select(dim, selection)
    return value if value.shape == shape else None
