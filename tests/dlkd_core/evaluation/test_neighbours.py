"""Features judged by neighbours on a whole data set."""

from dataclasses import replace

import torch
from torch import Tensor

from dlkd_core.data.packed import Packed, Split
from dlkd_core.evaluation.neighbours import features_top1, known_and_asked, worth
from dlkd_core.outputs import Outputs


def split(count: int) -> Split:
    """Images of one colour, which is their class."""
    labels = torch.arange(count) % 2
    return Split((labels * 255)[:, None, None, None].expand(count, 3, 4, 4).to(torch.uint8).contiguous(), labels)


DATA = Packed(split(20), split(10), ("dark", "bright"))
NOTHING = torch.full((20,), -1)


def colours(images: Tensor) -> Outputs:
    """One component of the feature is the brightness."""
    brightness = images.mean(dim=(1, 2, 3))
    return Outputs(torch.zeros(len(images), 0), torch.stack([brightness, 1 - brightness], dim=1), ())


def test_features_that_tell_the_classes_apart_are_right_and_constant_ones_are_at_chance() -> None:
    assert features_top1(colours, DATA) == 1.0
    same = features_top1(lambda images: colours(images)._replace(features=torch.ones(len(images), 2)), DATA)
    assert same == 0.5


def test_half_of_val_stands_in_for_training_images_without_labels() -> None:
    data = replace(DATA, train=replace(DATA.train, labels=NOTHING))
    bank, asked = known_and_asked(data)
    assert (len(bank), len(asked)) == (5, 5)
    assert features_top1(colours, data) == 1.0
    assert known_and_asked(DATA) == (DATA.train, DATA.val)


def test_without_labels_nothing_is_known() -> None:
    assert features_top1(colours, replace(DATA, val=replace(DATA.val, labels=NOTHING[:10]))) is None


def test_what_needs_a_classifier_is_left_out() -> None:
    assert worth(0.5, 10) == {
        **dict.fromkeys(("top1", "top5", "nll", "ece", "per_class", "confusion")),
        "images": 10,
        "knn_top1": 0.5,
    }
