"""Which network of the catalog a checkpoint belongs to, by the names and shapes of its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from dlkd_core.catalog import find_architecture
from dlkd_core.errors import ArchitectureUnknown, ClassesDoNotFit, KeysDoNotFit, SpecError
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers import fingerprints
from dlkd_core.teachers.backbones import Backbone, find_backbone
from dlkd_core.teachers.fingerprints import Fingerprint
from dlkd_core.teachers.fit import Fit, classifiers, fit
from dlkd_core.teachers.names import CLASSIFIERS, Shape, of_classifier, some

_LIKENESS = 0.3  # below it a nearest network is no help


@dataclass(frozen=True)
class Recognised:
    """A network and its weights under its own names, in its own dtypes; `options` are complete.

    Without a classifier in the checkpoint `num_classes` is 0, and the tensors hold one of a single class, all zeros.
    """

    architecture: str
    options: dict[str, Any]
    num_classes: int
    tensors: dict[str, Tensor]
    notices: tuple[str, ...] = ()


def recognise(
    tensors: Mapping[str, Tensor],
    *,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
) -> Recognised:
    """The network that the weights belong to: of the whole catalog, or the variant of the `architecture` that is named.

    Raises:
        ArchitectureUnknown: none fits; names the nearest.
        KeysDoNotFit: not the architecture that is named; lists what does not fit, and names one that does.
        ClassesDoNotFit: another number of classes than `num_classes`.
        UnknownChoice, SpecError: no such architecture, or no such options.
    """
    found = _named(tensors, architecture, options) if architecture else _sought(tensors)
    check_classes(found.num_classes, num_classes)
    return found


def check_classes(found: int, told: int | None) -> None:
    """Raises `ClassesDoNotFit` where another number of classes was told than was found."""
    if told is not None and found != told:
        raise ClassesDoNotFit(
            f"The checkpoint's classifier has {found} classes, not {told}.",
            hint="Leave num_classes out to take the checkpoint's.",
            pointer="/num_classes",
        )


def _sought(tensors: Mapping[str, Tensor]) -> Recognised:
    match = _match(tensors)
    if match is None:
        backbone = find_backbone(tensors, fingerprints.known())
        if backbone is None:
            raise ArchitectureUnknown(_nothing_fits(tensors))
        return _without_heads(backbone)
    variant, classifier = match
    num_classes = tensors[f"{classifier}.weight"].shape[0]
    network = skeleton(variant.architecture, num_classes, variant.options)
    laid = fit(tensors, network, classifier)
    if laid.faults:  # the backbone is this network's and the classifier is not
        raise KeysDoNotFit(_misfit(variant.architecture, laid))
    return _recognised(variant.architecture, variant.options, num_classes, laid, network.module.state_dict())


def _named(tensors: Mapping[str, Tensor], architecture: str, options: Mapping[str, Any] | None) -> Recognised:
    choices = [_checked(architecture, options)] if options else fingerprints.variants(architecture)
    tries = [_try(tensors, architecture, choice) for choice in choices]
    best = min(tries, key=lambda one: one[1].faults)
    if best[1].faults == 0:
        return best[0]
    backbone = find_backbone(tensors, [fingerprints.take(architecture, choice) for choice in choices])
    if backbone:
        return _without_heads(backbone)
    raise KeysDoNotFit(_misfit(architecture, best[1]), hint=_another(tensors, architecture), pointer="/teacher/architecture")


def _try(tensors: Mapping[str, Tensor], architecture: str, options: dict[str, Any]) -> tuple[Recognised, Fit]:
    own = skeleton(architecture, 2, options).classifier
    classifier = next(iter(classifiers(tensors, own)), None)
    num_classes = tensors[f"{classifier}.weight"].shape[0] if classifier else 2
    network = skeleton(architecture, num_classes, options)
    laid = fit(tensors, network, classifier)
    return _recognised(architecture, options, num_classes, laid, network.module.state_dict()), laid


def _without_heads(backbone: Backbone) -> Recognised:
    """The layers of a self-supervised checkpoint as a network, with its own classifier where that is all that is beside them."""
    variant, classifier = backbone.variant, backbone.classifier
    if classifier:
        num_classes = len(backbone.tensors[f"{classifier}.weight"])
        network = skeleton(variant.architecture, num_classes, variant.options)
        laid = fit(backbone.tensors, network, classifier)
        if laid.faults == 0:
            return _recognised(variant.architecture, variant.options, num_classes, laid, network.module.state_dict())
    network = skeleton(variant.architecture, 1, variant.options)
    own = of_classifier(network.classifier)
    laid = fit({name: tensor for name, tensor in backbone.tensors.items() if name not in own}, network, None)
    expected = network.module.state_dict()
    head = {name: torch.zeros(expected[name].shape) for name in own if name in expected}
    found = _recognised(variant.architecture, variant.options, 0, laid, expected)
    return replace(found, tensors={**found.tensors, **head}, notices=(backbone.described(),))


def _match(tensors: Mapping[str, Tensor]) -> tuple[Fingerprint, str] | None:
    """The variant whose weights have these names and shapes, and the file's name of its classifier."""
    shapes = _shapes(tensors)
    by_digest = {variant.digest: variant for variant in reversed(fingerprints.known())}  # of two alike the first stays
    for classifier in _possible_classifiers(tensors):
        variant = by_digest.get(fingerprints.digest(shapes, classifier))
        if variant is not None:
            return variant, classifier
    return None


def _possible_classifiers(tensors: Mapping[str, Tensor]) -> list[str]:
    names = dict.fromkeys([*CLASSIFIERS, *(variant.classifier for variant in fingerprints.known())])
    return [name for name in names if name in classifiers(tensors, name)]


def _recognised(
    architecture: str, options: Mapping[str, Any], num_classes: int, laid: Fit, expected: Mapping[str, Tensor]
) -> Recognised:
    computed = {name: tensor for name, tensor in expected.items() if not tensor.is_meta}
    return Recognised(architecture, dict(options), num_classes, {**computed, **laid.tensors})


def _checked(architecture: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return find_architecture(architecture).options.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise SpecError(f"{architecture} has no such options: {error.errors()[0]['msg']}.", pointer="/teacher/options") from error


def _misfit(architecture: str, laid: Fit) -> str:
    return f"The checkpoint is no {architecture}: {laid.described()}."


def _another(tensors: Mapping[str, Tensor], architecture: str) -> str | None:
    """The hint that names the architecture which does fit; None where there is none."""
    match = _match(tensors)
    if match is None or match[0].architecture == architecture:
        return None
    return f"Its keys and shapes are those of {match[0].architecture}: name that, or leave the architecture out."


def _nothing_fits(tensors: Mapping[str, Tensor]) -> str:
    words = f"The checkpoint fits no architecture of the catalog. It has {some(tensors)}"
    nearest = max(fingerprints.known(), key=lambda variant: _likeness(variant, tensors))
    return f"{words}; the nearest is {nearest.architecture}." if _likeness(nearest, tensors) > _LIKENESS else f"{words}."


def _likeness(variant: Fingerprint, tensors: Mapping[str, Tensor]) -> float:
    """Share of weights that stand under the same first name components, in [0, 1]."""
    theirs = fingerprints.parts(_shapes(tensors), variant.classifier)
    names = {*variant.parts, *theirs}
    common = sum(min(variant.parts.get(name, 0), theirs.get(name, 0)) for name in names)
    return common / max(1, sum(max(variant.parts.get(name, 0), theirs.get(name, 0)) for name in names))


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
