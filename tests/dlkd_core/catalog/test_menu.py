"""The catalog: every name resolves to code, is built, and comes with a schema."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.catalog import ARCHITECTURES, EVALUATIONS, EXPORTERS, METHODS, describe, find_architecture
from dlkd_core.catalog.terms import Term
from dlkd_core.data.views import VIEWS
from dlkd_core.errors import UnknownChoice
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.term import TermModule
from dlkd_core.models.skeleton import skeleton
from dlkd_core.outputs import Shapes
from dlkd_core.resolve import resolve
from dlkd_core.spec import DistillationSpec
from tests.dlkd_core.losses.conftest import example, setting

PAPER = """
    resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet50 wrn_16_1 wrn_40_1 wrn_16_2
    wrn_40_2 wrn vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1 ShuffleV2
"""
SHAPES = Shapes(classes=5, features=8, maps=((4, 4, 4), (8, 2, 2)))


def test_the_names_are_the_papers_and_torchvisions() -> None:
    assert [name for name, entry in ARCHITECTURES.items() if entry.family not in {"torchvision", "timm"}] == PAPER.split()
    assert sum(entry.family == "torchvision" for entry in ARCHITECTURES.values()) == 80
    assert {"plain", "kd", "dlkd", "dlkd_sup"} <= set(METHODS)
    assert all(name == entry.name for name, entry in [*ARCHITECTURES.items(), *EXPORTERS.items()])
    assert all(METHODS[name].model_fields["name"].default == name for name in METHODS)


@pytest.mark.parametrize("name", PAPER.split())
def test_every_network_of_the_paper_resolves_and_builds_with_its_default_options(name: str) -> None:
    network = skeleton(name, 5)  # those of torchvision are built in models/test_torchvision_nets.py
    assert network.module.get_submodule(network.classifier).weight.shape[0] == 5
    assert all(network.module.get_submodule(block) is not None for block in network.blocks)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_resolves_and_builds_its_terms(name: str) -> None:
    method = example(name)
    objective = build_objective(method, setting(VIEWS[method.views]))
    assert list(objective.terms) == [term.name for term in method.weighted()]
    assert all(isinstance(term, TermModule) for term in objective.terms.values())


def test_every_term_is_used_by_a_method_and_names_a_class() -> None:
    used = {type(term) for name in set(METHODS) - {"combine"} for term in example(name).weighted()}
    assert used == set(Term.__subclasses__())
    assert all(issubclass(resolve(term.target), TermModule) for term in used)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_resolves_to_a_class_that_has_a_writer_and_a_reader(name: str) -> None:
    exporter = resolve(EXPORTERS[name].target)
    assert inspect.isclass(exporter)
    assert callable(exporter.write)
    assert callable(exporter.load)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_protocol_resolves_and_its_defaults_are_a_good_entry_of_a_spec(name: str) -> None:
    assert callable(resolve(EVALUATIONS[name].target))
    (entry,) = [entry for entry in describe()["evaluations"] if entry["name"] == name]
    filled = {field: part["default"] for field, part in entry["schema"]["properties"].items()}
    extra = {"dataset": {"path": Path("other")}} if name == "transfer" else {}
    spec = DistillationSpec.model_validate(
        {"student": {"architecture": "resnet8"}, "dataset": {"path": Path("d")}, "evaluation": [{**filled, **extra}]}
    )
    assert isinstance(spec.evaluation[0], EVALUATIONS[name])


def test_no_two_exporters_write_one_file() -> None:
    files = [entry.file for entry in EXPORTERS.values()]
    assert sorted(set(files)) == sorted(files)
    assert {"student.safetensors", "student.onnx"} <= set(files)


@pytest.mark.parametrize("kind", ["methods", "architectures", "exporters", "evaluations"])
def test_the_menu_is_plain_json_and_every_entry_has_a_schema(kind: str) -> None:
    menu: list[dict[str, Any]] = json.loads(json.dumps(describe()))[kind]
    listed = [name for name, entry in ARCHITECTURES.items() if entry.family != "timm"]
    names = {"methods": METHODS, "architectures": listed, "exporters": EXPORTERS, "evaluations": EVALUATIONS}[kind]
    assert [entry["name"] for entry in menu] == list(names)
    for entry in menu:
        assert entry["schema"]["type"] == "object"
        assert "properties" in entry["schema"]
        assert kind == "architectures" or len(entry["summary"]) > 20


@pytest.mark.parametrize("name", METHODS)
def test_a_form_filled_in_from_the_schemas_defaults_is_a_good_spec(name: str) -> None:
    (entry,) = [entry for entry in describe()["methods"] if entry["name"] == name]
    filled = {field: part["default"] for field, part in entry["schema"]["properties"].items()}
    teacher = {"path": Path("teacher.pth")} if entry["needs_teacher"] else None
    spec = DistillationSpec.model_validate(
        {"student": {"architecture": "resnet8"}, "dataset": {"path": Path("d")}, "method": filled, "teacher": teacher}
    )
    assert spec.method == METHODS[name](name=name)


def test_timms_thousand_networks_are_a_table_of_a_reasonable_size() -> None:
    menu = describe()
    table = menu["timm"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert list(rows) == [name for name, entry in ARCHITECTURES.items() if entry.family == "timm"]
    resnet, vit = rows["timm/resnet26"], rows["timm/vit_tiny_patch16_224"]
    assert (resnet["min_size"], resnet["image_size"], resnet["pretrained"], resnet["parameters"]) == (8, None, True, 13_946_176)
    assert (vit["image_size"], vit["max_size"]) == (224, None)
    assert "image_size" in table["image_size_schema"]["properties"]
    assert len(json.dumps(menu)) < 200_000


def test_options_of_an_architecture_stand_in_its_schema() -> None:
    menu = {entry["name"]: entry for entry in describe()["architectures"]}
    assert menu["resnet20"]["schema"]["properties"]["shortcut"]["enum"] == ["conv", "pad"]
    assert menu["vgg8"]["schema"]["properties"] == {}
    assert (menu["vit_b_16"]["min_size"], menu["vit_b_16"]["max_size"]) == (224, 224)


@pytest.mark.parametrize(("wrong", "near"), [("resnet-20", "resnet20"), ("wrn_40-2", "wrn_40_2"), ("mobilenetV2", "MobileNetV2")])
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture(wrong)
    assert near in caught.value.hint


def test_a_name_like_none_is_sent_to_the_list() -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture("")
    assert caught.value.hint == UnknownChoice.default_hint
