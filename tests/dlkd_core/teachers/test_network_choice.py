"""Tests that a teacher is used as the network that it was trained as.

The weights of every network here have the same names and shapes as those of the others in its
group. The classifiers of the teachers are trained for a few steps on colored squares.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlkd_core.catalog.architectures.alike_networks import find_alike_networks
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.errors import TeacherAtChance
from dlkd_core.models import FeatureExtractor
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.loading import LoadedTeacher, load_teacher_file
from dlkd_core.teachers.network_choice import choose_network
from dlkd_core.teachers.verification import Verification
from dlkd_core.teachers.verified_teacher import VerifiedTeacher, load_teacher
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_network,
    random_state_dict,
    save_torch,
)

CPU = torch.device("cpu")
CLASSES = ("cyan", "magenta", "yellow")
IDENTITY = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
SMALL = ["timm/mobilenetv3_small_075", "timm/tf_mobilenetv3_small_075"]
LARGEST_GROUPS = ["timm/efficientnet_b0", "timm/mobilenetv4_conv_medium", "resnet50"]


def colored_squares(count: int, side: int, seed: int) -> DatasetSplit:
    """Return noisy images with a square that is dark in the channel of the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    images = torch.randint(90, 130, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), labels, side // 4 : -side // 4, side // 4 : -side // 4] -= 90
    return DatasetSplit(images, labels)


def make_dataset(side: int) -> ImageDataset:
    return ImageDataset(colored_squares(120, side, 0), colored_squares(60, side, 1), CLASSES)


def train(name: str, data: ImageDataset, steps: int = 60) -> dict[str, Tensor]:
    """Train the classifier of a random network for a few steps and return the state dict."""
    network = random_network(name, len(CLASSES))
    images = data.train.images.float() / 255
    for layer in network.module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # exact mean
    with torch.no_grad():
        network.module.train()(images)
        extractor = FeatureExtractor(network, IDENTITY.mean, IDENTITY.std).eval()
        features = extractor(images).features
    classifier = network.module.get_submodule(network.classifier)
    optimizer = torch.optim.Adam(classifier.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(classifier(features), data.train.labels).backward()
        optimizer.step()
    return dict(network.module.state_dict())


def load(path: Path, data: ImageDataset, architecture: str | None = None) -> VerifiedTeacher:
    file = TeacherFile(path=path, normalization=IDENTITY, architecture=architecture)
    return load_teacher(file, data, CPU)


@pytest.fixture(scope="module")
def small_data() -> ImageDataset:
    return make_dataset(32)


@pytest.fixture(scope="module")
def small_weights(small_data: ImageDataset) -> dict[str, dict[str, Tensor]]:
    return {name: train(name, small_data) for name in SMALL}


@pytest.mark.parametrize("name", SMALL)
def test_the_network_that_explains_the_images_best_is_used_and_the_margin_is_stated(
    tmp_path: Path,
    small_data: ImageDataset,
    small_weights: dict[str, dict[str, Tensor]],
    name: str,
) -> None:
    teacher = load(save_torch(tmp_path / "a.pth", small_weights[name]), small_data)
    assert teacher.loaded.architecture == name
    losses = teacher.network_losses
    assert min(losses, key=lambda title: losses[title]) == name
    fits, choice = teacher.loaded.notices
    assert all(title in fits for title in SMALL)
    assert f"used as {name}. Its mean loss on 60 evaluation images is {losses[name]:.4g}" in choice
    assert name in teacher.identity


@pytest.mark.parametrize(
    ("losses", "chosen", "others"),
    [
        ({SMALL[0]: 0.5, SMALL[1]: 0.2}, SMALL[1], "It would be 0.5 as timm/mobilenetv3"),
        ({SMALL[0]: 0.2, SMALL[1]: 0.2}, SMALL[0], "It would be 0.2 as timm/tf_mobilenetv3"),
        ({SMALL[1]: 0.2}, SMALL[1], "The other networks are no better than guessing."),
    ],
)
def test_the_first_network_is_preferred_unless_another_is_clearly_better(
    tmp_path: Path, losses: dict[str, float], chosen: str, others: str
) -> None:
    path = save_torch(tmp_path / "a.pth", random_state_dict(SMALL[0], 3))

    def verify(loaded: LoadedTeacher) -> Verification:
        if loaded.title not in losses:
            raise TeacherAtChance("The teacher guesses.")
        values = torch.full((50,), losses[loaded.title])
        return Verification(IDENTITY, torch.zeros(50, 3), None, {}, sample_losses=values)

    choice = choose_network(load_teacher_file(path), path, verify, lambda *_: None)
    assert choice.loaded.architecture == chosen
    assert choice.losses == pytest.approx(losses)
    assert others in choice.loaded.notices[-1]


def test_a_named_architecture_is_used_without_a_comparison(
    tmp_path: Path, small_data: ImageDataset, small_weights: dict[str, dict[str, Tensor]]
) -> None:
    second = SMALL[1]
    path = save_torch(tmp_path / "a.pth", small_weights[second])
    assert load(path, small_data, second).network_losses == {}
    named = save_torch(
        tmp_path / "b.pth",
        {"state_dict": small_weights[second], "arch": second.removeprefix("timm/")},
    )
    teacher = load(named, small_data)
    assert (teacher.loaded.architecture, teacher.network_losses) == (second, {})
    assert f"The file names {second}" in teacher.loaded.notices[0]


def test_a_teacher_at_chance_as_every_network_is_refused(
    tmp_path: Path, small_data: ImageDataset
) -> None:
    path = save_torch(tmp_path / "a.pth", train(SMALL[0], small_data, steps=0))
    with pytest.raises(TeacherAtChance):
        load(path, small_data)


@pytest.mark.e2e
@pytest.mark.parametrize("group", LARGEST_GROUPS)
def test_the_largest_groups_are_told_apart(tmp_path: Path, group: str) -> None:
    names = [equivalents[0] for equivalents in find_alike_networks(group)]
    assert len(names) == 3
    data = make_dataset(64)
    for name in names:
        teacher = load(save_torch(tmp_path / "a.pth", train(name, data)), data)
        assert teacher.loaded.architecture == name, teacher.network_losses
