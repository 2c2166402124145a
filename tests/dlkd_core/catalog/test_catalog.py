"""Tests that every name in the catalog can be built and has a schema."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.catalog import (
    ARCHITECTURES,
    EVALUATIONS,
    EXPORTERS,
    METHODS,
    describe_catalog,
    find_architecture,
)
from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import SimKDParams
from dlkd_core.catalog.loss_params import ReusedClassifierParams
from dlkd_core.common import import_target
from dlkd_core.data.augmentation.views import VIEW_COUNTS
from dlkd_core.errors import UnknownChoice
from dlkd_core.losses import build_objective
from dlkd_core.losses.base_loss import DistillationLoss
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.network_outputs import OutputShapes
from dlkd_core.spec import DistillationSpec
from tests.dlkd_core.losses.conftest import example_method, make_context

CIFAR_NAMES = """
    resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet50
    wrn_16_1 wrn_40_1 wrn_16_2 wrn_40_2 wrn vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1
    ShuffleV2
"""
SHAPES = OutputShapes(classes=5, features=8, feature_maps=((4, 4, 4), (8, 2, 2)))


def test_the_catalog_has_the_names_of_the_paper_and_of_torchvision() -> None:
    assert [
        name for name, entry in ARCHITECTURES.items() if entry.family not in {"torchvision", "timm"}
    ] == CIFAR_NAMES.split()
    assert sum(entry.family == "torchvision" for entry in ARCHITECTURES.values()) == 80
    assert {"plain", "kd", "dlkd", "dlkd_sup"} <= set(METHODS)
    assert all(name == entry.name for name, entry in [*ARCHITECTURES.items(), *EXPORTERS.items()])
    assert all(METHODS[name].model_fields["name"].default == name for name in METHODS)


@pytest.mark.parametrize("name", CIFAR_NAMES.split())
def test_every_network_of_the_paper_builds_with_default_options(name: str) -> None:
    # models/test_torchvision_models.py builds the torchvision networks
    network = build_meta_network(name, 5)
    assert network.module.get_submodule(network.classifier).weight.shape[0] == 5
    assert all(network.module.get_submodule(block) is not None for block in network.blocks)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_builds_its_terms(name: str) -> None:
    method = example_method(name)
    objective = build_objective(method, make_context(VIEW_COUNTS[method.views]))
    assert list(objective.terms) == [term.name for term in method.active_terms()]
    assert all(isinstance(term, DistillationLoss) for term in objective.terms.values())


def test_every_loss_term_names_its_class_and_only_two_are_used_by_no_method() -> None:
    used = {
        type(term)
        for name in set(METHODS) - {"combine"}
        for term in example_method(name).active_terms()
    }
    terms = set(LossParams.__subclasses__())
    assert terms - used == {SimKDParams, ReusedClassifierParams}
    assert all(issubclass(import_target(term.target), DistillationLoss) for term in terms)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_names_a_class_that_writes_and_loads(name: str) -> None:
    exporter = import_target(EXPORTERS[name].target)
    assert inspect.isclass(exporter)
    assert callable(exporter.write)
    assert callable(exporter.load)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_evaluation_protocol_names_its_code_and_has_valid_defaults(name: str) -> None:
    assert callable(import_target(EVALUATIONS[name].target))
    (entry,) = [entry for entry in describe_catalog()["evaluations"] if entry["name"] == name]
    properties = entry["schema"]["properties"]
    defaults = {name: field["default"] for name, field in properties.items()}
    extra = {"dataset": {"path": Path("other")}} if name == "transfer" else {}
    spec = DistillationSpec.model_validate(
        {
            "student": {"architecture": "resnet8"},
            "dataset": {"path": Path("d")},
            "evaluation": [{**defaults, **extra}],
        }
    )
    assert isinstance(spec.evaluation[0], EVALUATIONS[name])


def test_every_exporter_writes_its_own_file() -> None:
    files = [entry.file for entry in EXPORTERS.values()]
    assert sorted(set(files)) == sorted(files)
    assert {"student.safetensors", "student.onnx"} <= set(files)


@pytest.mark.parametrize("kind", ["methods", "architectures", "exporters", "evaluations"])
def test_the_description_is_plain_json_with_a_schema_for_every_entry(kind: str) -> None:
    entries: list[dict[str, Any]] = json.loads(json.dumps(describe_catalog()))[kind]
    listed = [name for name, entry in ARCHITECTURES.items() if entry.family != "timm"]
    names = {
        "methods": METHODS,
        "architectures": listed,
        "exporters": EXPORTERS,
        "evaluations": EVALUATIONS,
    }[kind]
    assert [entry["name"] for entry in entries] == list(names)
    for entry in entries:
        assert entry["schema"]["type"] == "object"
        assert "properties" in entry["schema"]
        assert kind == "architectures" or len(entry["summary"]) > 20


def test_the_description_says_which_methods_train_no_classifier() -> None:
    methods = describe_catalog()["methods"]
    assert {entry["name"] for entry in methods if not entry["trains_classifier"]} == {
        "seed",
        "compress",
    }


@pytest.mark.parametrize("name", METHODS)
def test_the_defaults_of_a_methods_schema_are_a_valid_spec(name: str) -> None:
    (entry,) = [entry for entry in describe_catalog()["methods"] if entry["name"] == name]
    properties = entry["schema"]["properties"]
    defaults = {name: field["default"] for name, field in properties.items()}
    teacher = {"path": Path("teacher.pth")} if entry["needs_teacher"] else None
    spec = DistillationSpec.model_validate(
        {
            "student": {"architecture": "resnet8"},
            "dataset": {"path": Path("d")},
            "method": defaults,
            "teacher": teacher,
        }
    )
    assert spec.method == METHODS[name](name=name)


def test_the_networks_of_timm_are_a_table_of_reasonable_size() -> None:
    catalog = describe_catalog()
    table = catalog["timm"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert list(rows) == [name for name, entry in ARCHITECTURES.items() if entry.family == "timm"]
    resnet, vit = rows["timm/resnet26"], rows["timm/vit_tiny_patch16_224"]
    assert (resnet["min_size"], resnet["image_size"]) == (8, None)
    assert (resnet["pretrained"], resnet["parameters"]) == (True, 13_946_176)
    assert (vit["image_size"], vit["max_size"]) == (224, None)
    assert "image_size" in table["image_size_schema"]["properties"]
    assert len(json.dumps(catalog)) < 220_000


def test_the_schema_of_an_architecture_has_its_options() -> None:
    entries = {entry["name"]: entry for entry in describe_catalog()["architectures"]}
    assert entries["resnet20"]["schema"]["properties"]["shortcut"]["enum"] == ["conv", "pad"]
    assert list(entries["vgg8"]["schema"]["properties"]) == ["in_channels"]
    assert (entries["vit_b_16"]["min_size"], entries["vit_b_16"]["max_size"]) == (224, 224)


@pytest.mark.parametrize(
    ("unknown", "similar"),
    [("resnet-20", "resnet20"), ("wrn_40-2", "wrn_40_2"), ("mobilenetV2", "MobileNetV2")],
)
def test_an_unknown_name_is_rejected_with_similar_names(unknown: str, similar: str) -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture(unknown)
    assert similar in caught.value.hint


def test_a_name_without_similar_names_is_rejected_with_the_default_hint() -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture("")
    assert caught.value.hint == UnknownChoice.default_hint
