"""Recognition of a checkpoint's architecture by comparing its weights with the catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.alike_networks import find_alike_networks
from dlkd_core.errors import ArchitectureUnknown, ClassesDoNotFit, KeysDoNotFit, SpecError
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.parameter_names import (
    CLASSIFIER_NAMES,
    Shape,
    classifier_weights,
    summarize_names,
)
from dlkd_core.teachers.recognition import fingerprints
from dlkd_core.teachers.recognition.backbone_search import Backbone, find_backbone
from dlkd_core.teachers.recognition.channel_search import find_variant, possible_stems
from dlkd_core.teachers.recognition.declared_network import (
    describe_alternatives,
    describe_declaration,
    find_declared_network,
)
from dlkd_core.teachers.recognition.fingerprints import Fingerprint
from dlkd_core.teachers.recognition.makers import find_maker, suggest_onnx
from dlkd_core.teachers.recognition.weight_matching import (
    WeightMatch,
    find_classifiers,
    match_weights,
)

_MIN_SIMILARITY = 0.3  # below it, naming the nearest network does not help


@dataclass(frozen=True)
class RecognizedModel:
    """A recognized network and its weights.

    `tensors` contains the weights with the names that the network uses and the dtypes of the file.
    `options` contains the architecture options. Options that are left out have their default
    values. If the checkpoint has no classifier, `num_classes` is 0, and `tensors` contains an
    all-zero classifier for one class. `alternatives` names the networks whose weights have the same
    names and shapes but that compute differently. It is empty if the architecture is known from
    more than the weights.
    """

    architecture: str
    options: dict[str, Any]
    num_classes: int
    tensors: dict[str, Tensor]
    notices: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


def recognize(
    tensors: Mapping[str, Tensor],
    *,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    declared_names: Sequence[str] = (),
) -> RecognizedModel:
    """Find the network to which the weights belong.

    Searches the whole catalog, or only the variants of `architecture` if it is given. If several
    networks fit, `declared_names` chooses among them: the names that the file gives to its network.

    Raises:
        ArchitectureUnknown: No architecture matches. The message names the nearest one.
        KeysDoNotFit: The weights do not match `architecture`. The message lists the differences,
            and the hint names an architecture that matches, if there is one.
        ClassesDoNotFit: The checkpoint's number of classes is not `num_classes`.
        UnknownChoice: The catalog has no such architecture.
        SpecError: The architecture has no such options.
    """
    if architecture:
        model = _match_named(tensors, find_architecture(architecture).name, options)
    else:
        model = _choose_alike(tensors, _search_catalog(tensors), declared_names)
    check_class_count(model.num_classes, num_classes)
    return model


def check_class_count(actual: int, expected: int | None) -> None:
    """Raise `ClassesDoNotFit` if `expected` is given and differs from the checkpoint's count."""
    if expected is not None and actual != expected:
        raise ClassesDoNotFit(
            f"The checkpoint's classifier has {actual} classes, not {expected}.",
            hint="Omit num_classes to use the checkpoint's own number of classes.",
            pointer="/num_classes",
        )


def _search_catalog(tensors: Mapping[str, Tensor]) -> RecognizedModel:
    variant_and_classifier = _find_variant(tensors)
    if variant_and_classifier is None:
        backbone = find_backbone(tensors, fingerprints.all_fingerprints())
        if backbone is None:
            raise _unknown_error(tensors)
        return _from_backbone(backbone)
    variant, classifier = variant_and_classifier
    num_classes = tensors[f"{classifier}.weight"].shape[0]
    model, match = _match_network(
        tensors, variant.architecture, variant.options, num_classes, classifier
    )
    if match.mismatch_count:  # the backbone matches this network, but the classifier does not
        raise KeysDoNotFit(_mismatch_message(variant.architecture, match))
    return model


def _choose_alike(
    tensors: Mapping[str, Tensor], model: RecognizedModel, declared_names: Sequence[str]
) -> RecognizedModel:
    """Return the network that the file names among those with the same weights.

    If it names none of them and they compute differently, they are listed as alternatives.
    """
    alike = find_alike_networks(model.architecture)
    # The groups of alike networks are those of the first variants.
    is_indexed = model.options == fingerprints.list_variants(model.architecture)[0]
    if not is_indexed or len(alike) == 1 == len(alike[0]):
        return model
    declared = find_declared_network(declared_names, alike)
    if declared is None:
        others = tuple(names[0] for names in alike if model.architecture not in names)
        notices = (*model.notices, describe_alternatives(alike)) if others else model.notices
        return replace(model, alternatives=others, notices=notices)
    if declared != model.architecture:
        model = _match_named(tensors, declared, None)
    if len(alike) == 1:
        return model
    return replace(model, notices=(*model.notices, describe_declaration(declared, alike)))


def _match_named(
    tensors: Mapping[str, Tensor], architecture: str, options: Mapping[str, Any] | None
) -> RecognizedModel:
    if options:
        choices = [_validate_options(architecture, options)]
    else:
        counts = dict.fromkeys(channels for _, channels in possible_stems(_shapes(tensors)))
        choices = fingerprints.list_variants(architecture)
        choices += [{**choice, "in_channels": count} for choice in choices for count in counts]
    candidates = [_try_variant(tensors, architecture, choice) for choice in choices]
    best_model, best_match = min(candidates, key=lambda candidate: candidate[1].mismatch_count)
    if best_match.mismatch_count == 0:
        return best_model
    backbone = find_backbone(
        tensors, [fingerprints.compute_fingerprint(architecture, choice) for choice in choices]
    )
    if backbone:
        return _from_backbone(backbone)
    raise KeysDoNotFit(
        _mismatch_message(architecture, best_match),
        hint=_suggest_architecture(tensors, architecture),
        pointer="/teacher/architecture",
    )


def _try_variant(
    tensors: Mapping[str, Tensor], architecture: str, options: dict[str, Any]
) -> tuple[RecognizedModel, WeightMatch]:
    own_classifier = build_meta_network(architecture, 2, options).classifier
    classifier = next(iter(find_classifiers(tensors, own_classifier)), None)
    num_classes = tensors[f"{classifier}.weight"].shape[0] if classifier else 2
    return _match_network(tensors, architecture, options, num_classes, classifier)


def _from_backbone(backbone: Backbone) -> RecognizedModel:
    """Build the result for a backbone.

    It includes the classifier if `backbone` names one and it fits the network.
    """
    variant = backbone.variant
    if backbone.classifier:
        num_classes = len(backbone.tensors[f"{variant.classifier}.weight"])
        model, match = _match_network(
            backbone.tensors, variant.architecture, variant.options, num_classes, variant.classifier
        )
        if match.mismatch_count == 0:
            notices = () if backbone.is_whole_file else (backbone.describe(),)
            return replace(model, notices=notices)
        backbone = replace(
            backbone,
            classifier=None,
            ignored=(
                *backbone.ignored,
                *(
                    f"{backbone.classifier}.{kind}"
                    for kind in ("weight", "bias")
                    if f"{variant.classifier}.{kind}" in backbone.tensors
                ),
            ),
        )
    network = build_meta_network(variant.architecture, 1, variant.options)
    head_names = classifier_weights(network.classifier)
    layers = {name: tensor for name, tensor in backbone.tensors.items() if name not in head_names}
    match = match_weights(layers, network, None)
    expected = network.module.state_dict()
    head = {name: torch.zeros(expected[name].shape) for name in head_names if name in expected}
    model = _build_result(variant.architecture, variant.options, 0, match, expected)
    return replace(model, tensors={**model.tensors, **head}, notices=(backbone.describe(),))


def _find_variant(tensors: Mapping[str, Tensor]) -> tuple[Fingerprint, str] | None:
    """Return the variant with exactly these names and shapes, and the file's classifier name.

    The number of input channels may differ, see `channel_search`.
    """
    # Reversed, so that the first of several equal digests wins.
    by_digest = {variant.digest: variant for variant in reversed(fingerprints.all_fingerprints())}
    shapes = _shapes(tensors)
    for classifier in _possible_classifiers(tensors):
        variant = find_variant(shapes, classifier, by_digest)
        if variant is not None:
            return variant, classifier
    return None


def _possible_classifiers(tensors: Mapping[str, Tensor]) -> list[str]:
    names = dict.fromkeys(
        [*CLASSIFIER_NAMES, *(variant.classifier for variant in fingerprints.all_fingerprints())]
    )
    return [name for name in names if name in find_classifiers(tensors, name)]


def _match_network(
    tensors: Mapping[str, Tensor],
    architecture: str,
    options: dict[str, Any],
    num_classes: int,
    classifier: str | None,
) -> tuple[RecognizedModel, WeightMatch]:
    network = build_meta_network(architecture, num_classes, options)
    match = match_weights(tensors, network, classifier)
    expected = network.module.state_dict()
    return _build_result(architecture, options, num_classes, match, expected), match


def _build_result(
    architecture: str,
    options: Mapping[str, Any],
    num_classes: int,
    match: WeightMatch,
    expected: Mapping[str, Tensor],
) -> RecognizedModel:
    computed = {name: tensor for name, tensor in expected.items() if not tensor.is_meta}
    return RecognizedModel(architecture, dict(options), num_classes, {**computed, **match.tensors})


def _validate_options(architecture: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return find_architecture(architecture).options.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        raise SpecError(
            f"{architecture} does not accept these options: {error.errors()[0]['msg']}.",
            pointer="/teacher/options",
        ) from error


def _mismatch_message(architecture: str, match: WeightMatch) -> str:
    return f"The checkpoint is not a {architecture}: {match.describe()}."


def _suggest_architecture(tensors: Mapping[str, Tensor], architecture: str) -> str | None:
    """Return a hint that names another matching architecture, or None if there is none."""
    match = _find_variant(tensors)
    if match is None or match[0].architecture == architecture:
        return None
    return (
        f"Its keys and shapes are those of {match[0].architecture}. "
        "Name that architecture, or omit the field."
    )


def _unknown_error(tensors: Mapping[str, Tensor]) -> ArchitectureUnknown:
    """Return an error that names the maker and the nearest network, if they can be found."""
    maker = find_maker(tensors)
    message = (
        "The checkpoint does not match any architecture in the catalog. "
        f"Its weights: {summarize_names(tensors)}."
    )
    if maker:
        message += f" They are named as in {maker.title}."
    variants = fingerprints.all_fingerprints()
    shapes = _shapes(tensors)
    parts = {
        classifier: fingerprints.count_parts(shapes, classifier)
        for classifier in {variant.classifier for variant in variants}
    }
    similarity, nearest = max(
        ((_similarity(variant, parts[variant.classifier]), variant) for variant in variants),
        key=itemgetter(0),
    )
    if similarity > _MIN_SIMILARITY:
        _, match = _try_variant(tensors, nearest.architecture, nearest.options)
        message += f" The nearest architecture is {nearest.architecture}: {match.describe()}."
    return ArchitectureUnknown(message, hint=suggest_onnx(maker))


def _similarity(variant: Fingerprint, parts: Mapping[str, int]) -> float:
    """Return the share of weights that a network and a checkpoint have in common, in [0, 1].

    `parts` contains the number of the checkpoint's weights by the first component of their names.
    """
    common = sum(min(count, parts.get(name, 0)) for name, count in variant.parts.items())
    total = sum(variant.parts.values()) + sum(parts.values()) - common
    return common / max(1, total)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
