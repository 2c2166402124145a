"""Tests for the selection of the layers and channels that a student inherits from a teacher."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer

from dlkd_core.models.inherited_weights import copy_weights, is_same_class
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import Network, build_network

CLASSES = (0, 1, 2)


def build(architecture: str, num_classes: int = 3, seed: int = 0, **options: Any) -> Network:
    """Build a network whose tensors all have different values."""
    torch.manual_seed(seed)
    network = build_network(architecture, num_classes, options)
    for tensor in network.module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1)
    return network


def inherited_from(student: Network, teacher: Network, student_name: str) -> set[str]:
    """Return the names of the teacher's tensors with the values of the student's tensor."""
    value = student.module.state_dict()[student_name]
    return {
        name
        for name, tensor in teacher.module.state_dict().items()
        if tensor.shape == value.shape and tensor.is_floating_point() and torch.equal(tensor, value)
    }


@pytest.mark.parametrize(
    ("student_name", "teacher_name", "blocks"),
    [
        ("resnet8", "resnet56", [0]),
        ("resnet20", "resnet56", [0, 4, 8]),
        ("resnet32", "resnet56", [0, 2, 4, 6, 8]),
        ("resnet44", "resnet56", [0, 1, 2, 4, 5, 6, 8]),
    ],
)
def test_blocks_of_a_stage_come_from_the_first_the_last_and_evenly_spaced_ones(
    student_name: str, teacher_name: str, blocks: list[int]
) -> None:
    student, teacher = build(student_name, seed=1), build(teacher_name, seed=2)
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == inherited.total_tensors
    assert inherited.parameters == inherited.total_parameters
    for stage in ("layer1", "layer2", "layer3"):
        for position, block in enumerate(blocks):
            for tensor in ("conv1.weight", "bn1.bias", "bn2.running_mean", "bn2.running_var"):
                assert inherited_from(student, teacher, f"{stage}.{position}.{tensor}") == {
                    f"{stage}.{block}.{tensor}"
                }
    for name in ("conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "fc.bias"):
        assert inherited_from(student, teacher, name) == {name}


@pytest.mark.parametrize(
    ("student_name", "teacher_name", "sources"),
    [
        (
            "wrn_16_2",
            "wrn_40_2",
            {"block2.layer.1.conv2.weight": "block2.layer.5.conv2.weight", "bn1.bias": "bn1.bias"},
        ),
        (
            "vgg11",
            "vgg19",
            {"block2.3.weight": "block2.9.weight", "block3.0.bias": "block3.0.bias"},
        ),
        ("vgg11_bn", "vgg16_bn", {"features.11.weight": "features.20.weight"}),
        ("resnet18", "resnet34", {"layer3.1.conv1.weight": "layer3.5.conv1.weight"}),
        ("timm/resnet18", "resnet34", {"layer3.1.bn2.running_var": "layer3.5.bn2.running_var"}),
    ],
)
def test_families_with_other_names_of_blocks(
    student_name: str, teacher_name: str, sources: dict[str, str]
) -> None:
    student, teacher = build(student_name, seed=1), build(teacher_name, seed=2)
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == inherited.total_tensors
    for name, source in sources.items():
        assert inherited_from(student, teacher, name) == {source}


def randomize(module: nn.Module, classifier: str) -> Network:
    for parameter in module.parameters():
        nn.init.uniform_(parameter)
    return Network(module, classifier, ())


def build_vit(depth: int, width: int = 64) -> Network:
    module = timm.create_model("test_vit", img_size=32, num_classes=3, depth=depth, embed_dim=width)
    return randomize(module, "head")


def build_swin(depths: list[int]) -> Network:
    module = SwinTransformer([4, 4], 12, depths, [3, 6], [4, 4], num_classes=3)
    return randomize(module, "head")


def test_a_vision_transformer_takes_blocks() -> None:
    student, teacher = build_vit(3), build_vit(7)
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == inherited.total_tensors
    for block, source in enumerate([0, 3, 6]):
        name = "attn.qkv.weight"
        assert inherited_from(student, teacher, f"blocks.{block}.{name}") == {
            f"blocks.{source}.{name}"
        }
    for name in ("pos_embed", "cls_token", "patch_embed.proj.weight", "norm.bias", "head.weight"):
        assert inherited_from(student, teacher, name) == {name}
    images = torch.rand(2, 3, 32, 32)
    same_depth = build_vit(7)
    copy_weights(same_depth, teacher, CLASSES)
    logits = [network.module.eval()(images) for network in (same_depth, teacher)]
    assert torch.equal(*logits)


def test_a_swin_transformer_takes_the_blocks_of_each_stage() -> None:
    student, teacher = build_swin([2, 2]), build_swin([2, 6])
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == inherited.total_tensors
    table = "attn.relative_position_bias_table"
    for name, source in (
        ("features.1.1.attn.qkv.weight", "features.1.1.attn.qkv.weight"),
        ("features.3.0.mlp.0.weight", "features.3.0.mlp.0.weight"),
        (f"features.3.1.{table}", f"features.3.5.{table}"),
    ):
        assert inherited_from(student, teacher, name) == {source}


def test_a_narrower_transformer_inherits_nothing() -> None:
    assert copy_weights(build_vit(3, 32), build_vit(3), CLASSES).tensors == 0


def embed(student: Network, teacher: Network, classes: int) -> None:
    """Make the teacher compute what the student computes, in a random part of its channels.

    All other channels are zero. Each width has one set of channels, as in the selection.
    """
    generator = torch.Generator().manual_seed(3)
    channels: dict[tuple[int, int], Tensor] = {}
    values = student.module.state_dict()
    for name, tensor in teacher.module.state_dict().items():
        value = values[name]
        if not tensor.is_floating_point():
            continue
        if not name.endswith("running_var"):
            tensor.zero_()
        kept = []
        for width, narrow in zip(tensor.shape[:2], value.shape[:2], strict=True):
            if (width, narrow) not in channels:
                order = torch.randperm(width, generator=generator)
                channels[width, narrow] = order[:narrow].sort().values
            kept.append(torch.arange(width) if width == classes else channels[width, narrow])
        if len(kept) == 1:
            tensor[kept[0]] = value
        else:
            tensor[kept[0].unsqueeze(1), kept[1]] = value


@pytest.mark.parametrize(
    ("student_name", "teacher_name", "student_options", "teacher_options"),
    [
        ("resnet20", "resnet20", {}, {"width": 2}),
        ("wrn", "wrn", {"depth": 16, "widen_factor": 2}, {"depth": 16, "widen_factor": 3}),
        ("mobilenet_v2", "mobilenet_v2", {"width_mult": 0.25}, {"width_mult": 0.75}),
        ("resnet50", "wide_resnet50_2", {}, {}),
    ],
)
def test_a_narrower_student_takes_the_channels_with_the_largest_filters(
    student_name: str,
    teacher_name: str,
    student_options: dict[str, Any],
    teacher_options: dict[str, Any],
) -> None:
    """The student must compute the teacher's logits if all channels that it lacks are zero.

    This holds only if each layer takes the channels that the layers around it take.
    """
    original = build(student_name, seed=1, **student_options)
    teacher = build(teacher_name, seed=2, **teacher_options)
    embed(original, teacher, classes=3)
    student = build(student_name, seed=3, **student_options)
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == inherited.total_tensors
    expected = original.module.state_dict()
    for name, tensor in student.module.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, expected[name]), name
    images = torch.rand(2, 3, 32, 32)
    logits = [network.module.double().eval()(images.double()) for network in (student, teacher)]
    torch.testing.assert_close(*logits)


def test_padded_shortcuts_rule_out_a_selection_of_channels() -> None:
    student = build("resnet8", seed=1, shortcut="pad")
    teacher = build("resnet8", seed=2, shortcut="pad", width=2)
    assert copy_weights(student, teacher, CLASSES).tensors == 0
    deeper = build("resnet20", seed=2, shortcut="pad")
    inherited = copy_weights(student, deeper, CLASSES)
    assert inherited.tensors == inherited.total_tensors


def test_a_deeper_student_keeps_the_weights_of_its_other_blocks() -> None:
    student, teacher = build("resnet32", seed=1), build("resnet20", seed=2)
    before = {name: tensor.clone() for name, tensor in student.module.state_dict().items()}
    inherited = copy_weights(student, teacher, CLASSES)
    assert (inherited.tensors, inherited.total_tensors) == (65, 101)
    after = student.module.state_dict()
    name = "conv1.weight"
    for position, block in ((0, 0), (2, 1), (4, 2)):
        source = inherited_from(student, teacher, f"layer2.{position}.{name}")
        assert source == {f"layer2.{block}.{name}"}
    for position in (1, 3):
        own = f"layer2.{position}.{name}"
        assert torch.equal(after[own], before[own])


def test_other_kinds_of_blocks_are_not_inherited() -> None:
    student, teacher = build("resnet18", seed=1), build("resnet50", seed=2)
    inherited = copy_weights(student, teacher, CLASSES)
    assert inherited.tensors == 3  # the stem: a convolution and a batch norm
    assert inherited_from(student, teacher, "conv1.weight") == {"conv1.weight"}
    # A block's second convolution has the same shape in both networks.
    assert inherited_from(student, teacher, "layer1.0.conv2.weight") == set()
    assert inherited_from(student, teacher, "fc.bias") == set()


def test_the_classifier_takes_the_rows_of_the_class_map() -> None:
    student, teacher = build("resnet8", 3, seed=1), build("resnet20", 10, seed=2)
    copy_weights(student, teacher, (7, 2, 5))
    for name in ("fc.weight", "fc.bias"):
        expected = teacher.module.state_dict()[name][[7, 2, 5]]
        assert torch.equal(student.module.state_dict()[name], expected)


@pytest.mark.parametrize("classes", [None, tuple(range(10))])
def test_a_classifier_for_other_classes_is_not_inherited(classes: tuple[int, ...] | None) -> None:
    student, teacher = build("resnet8", 3, seed=1), build("resnet20", 10, seed=2)
    before = student.module.get_parameter("fc.weight").clone()
    inherited = copy_weights(student, teacher, classes)
    assert inherited.total_tensors - inherited.tensors == 2
    assert inherited.total_parameters - inherited.parameters == 3 * 65
    assert torch.equal(student.module.get_parameter("fc.weight"), before)


@pytest.mark.parametrize(
    ("student_name", "teacher_name"), [("resnet20", "resnet8x4"), ("densenet121", "densenet169")]
)
def test_a_student_without_weights_has_the_same_counts(
    student_name: str, teacher_name: str
) -> None:
    teacher = build(teacher_name)
    counts = copy_weights(build(student_name), teacher, CLASSES)
    assert copy_weights(build_meta_network(student_name, 3), teacher, CLASSES) == counts
    assert 0 < counts.tensors < counts.total_tensors


def test_the_counts_become_a_sentence() -> None:
    counts = copy_weights(build("resnet32"), build("resnet20"), None)
    assert counts.summarize() == (
        "The student inherits 63 of 101 tensors (58 % of its parameters) from the teacher."
    )


def test_networks_of_two_libraries_can_be_of_the_same_class() -> None:
    resnet, *others = (
        build_meta_network(name, 3)
        for name in ("resnet18", "timm/resnet26", "vgg11_bn", "resnet20", "timm/test_vit")
    )
    assert [is_same_class(other, resnet) for other in others] == [True, False, False, False]
