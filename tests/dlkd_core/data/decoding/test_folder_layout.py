"""Tests for the layouts in which people store image folders."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.data.decoding.folder_layout import (
    Placement,
    plan_layout,
    sort_class_names,
    split_by_name,
)
from dlkd_core.errors import LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, write_zip

CLASSES = ("ant", "bee", "cat")
PIXELS = encode_png(np.full((4, 4, 3), 100, np.uint8))


def list_images(split: str, count: int = 2, classes: tuple[str, ...] = CLASSES) -> list[str]:
    """Return paths <split>/<class>/<number>.png, without the split folder if `split` is empty."""
    return [
        "/".join([*filter(None, [split]), label, f"{number}.png"])
        for label in classes
        for number in range(count)
    ]


def plan(*paths: str, side_files: tuple[str, ...] = ()) -> tuple[dict[str, Placement], list[str]]:
    placements, notices = plan_layout(
        {PurePosixPath(path) for path in paths}, [PurePosixPath(path) for path in side_files]
    )
    return {str(path): placement for path, placement in placements.items()}, notices


def count_splits(placements: dict[str, Placement]) -> dict[str, int]:
    return {
        split: sum(placement.split == split for placement in placements.values())
        for split in ("train", "val", "test")
        if split != "test" or any(p.split == "test" for p in placements.values())
    }


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "val"),
        ("train", "valid"),
        ("train", "test"),
        ("training", "validation"),
        ("Train", "Val"),
        ("TRAIN", "EVAL"),
        ("train", "dev"),
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("photos/train", "photos/val"),
        ("archive/pets/train", "archive/pets/val"),
        ("train/data", "val/data"),
        ("train2017", "val2017"),
    ],
)
def test_split_folders_have_many_names_and_places(train: str, val: str) -> None:
    placements, notices = plan(*list_images(train, 2), *list_images(val, 1))
    assert count_splits(placements) == {"train": 6, "val": 3}
    assert {placement.label for placement in placements.values()} == set(CLASSES)
    assert notices == []


def test_a_test_split_is_kept_beside_the_validation_split() -> None:
    placements, notices = plan(
        *list_images("train", 3), *list_images("valid", 2), *list_images("test", 1)
    )
    assert count_splits(placements) == {"train": 9, "val": 6, "test": 3}
    assert notices == []


def test_the_test_split_does_not_decide_what_the_folders_mean() -> None:
    placements, _ = plan(
        *(f"{split}/{kind}/{n}.png" for split in ("train", "val") for kind in "ab" for n in "12"),
        "test/x/a/1.png",
    )
    assert {placement.label for placement in placements.values()} == {"a", "b", "x"}


@pytest.mark.parametrize("outer", ["", "flowers", "archive/flowers"])
def test_class_folders_without_splits_are_all_for_training(outer: str) -> None:
    placements, _ = plan(*list_images(outer), *(["preview.png"] if outer else []))
    assert count_splits(placements) == {"train": 6, "val": 0}
    assert {placement.label for placement in placements.values()} == set(CLASSES)


def test_a_class_may_have_the_name_of_a_split() -> None:
    vehicles = ("bus", "car", "train")
    placements, _ = plan(*list_images("", classes=vehicles))
    assert {placement.label for placement in placements.values()} == set(vehicles)
    placements, _ = plan(*list_images("train", classes=vehicles), *list_images("val", 1, vehicles))
    assert {placement.label for placement in placements.values()} == set(vehicles)
    stations = ("festival-photos", "train-station", "test-tube")
    placements, _ = plan(*list_images("", classes=stations))
    assert {placement.label for placement in placements.values()} == set(stations)


def test_names_of_classes_are_unicode_in_composed_form() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    placements, _ = plan(
        f"train/{decomposed}/1.png", "train/bar/1.png", f"val/{composed}/1.png", "val/bar/1.png"
    )
    assert {placement.label for placement in placements.values()} == {composed, "bar"}


def test_the_innermost_folders_are_the_classes_if_they_have_unique_names() -> None:
    nested = ("insects/ant", "insects/bee", "mammals/cat")
    placements, notices = plan(
        *list_images("train", classes=nested), *list_images("val", 1, nested)
    )
    assert {placement.label for placement in placements.values()} == set(CLASSES)
    assert "nested" in notices[0]


@pytest.mark.parametrize(
    "nested",
    [
        pytest.param(("ant/2020", "ant/2021", "cat/2020"), id="the same names in several classes"),
        pytest.param(("ant", "ant/wings", "cat"), id="images at both levels"),
    ],
)
def test_subfolders_that_are_no_classes_belong_to_their_class(nested: tuple[str, ...]) -> None:
    placements, notices = plan(
        *list_images("train", classes=nested), *list_images("val", 1, nested)
    )
    assert {placement.label for placement in placements.values()} == {"ant", "cat"}
    assert "subfolders" in notices[0]


def test_subfolders_that_differ_between_the_splits_are_no_classes() -> None:
    placements, _ = plan(
        *list_images("train", classes=("ant/session1", "cat/session2")),
        *list_images("val", classes=("ant/session3", "cat/session4")),
    )
    assert {placement.label for placement in placements.values()} == {"ant", "cat"}


def test_a_folder_of_images_inside_each_class_folder_is_no_class() -> None:
    inner = tuple(f"{label}/images" for label in CLASSES)
    placements, _ = plan(*list_images("train", classes=inner), *list_images("val", 1, inner))
    assert {placement.label for placement in placements.values()} == set(CLASSES)


@pytest.mark.parametrize(
    ("images", "side_files", "message"),
    [
        (["train/images/1.png", "train/masks/1.png"], [], "images and masks, as for segmentation"),
        (["train/images/1.png"], ["train/labels/1.txt"], "YOLO label files, as for detection"),
        (["train/1.jpg"], ["train/_annotations.coco.json"], "COCO annotations"),
        (["images/1.jpg"], ["annotations/instances_train2017.json"], "COCO annotations"),
        (["JPEGImages/1.jpg"], ["Annotations/1.xml"], "Pascal VOC annotations"),
        (["1.png", "2.png"], [], "not in split and class folders"),
        (["a/train/x/1.png", "b/train/x/1.png"], [], "Several folders contain split folders"),
        (["val/x/1.png", "test/x/1.png"], [], "no image under train"),
    ],
)
def test_other_layouts_are_rejected_with_a_way_out(
    images: list[str], side_files: list[str], message: str
) -> None:
    with pytest.raises(LayoutInvalid, match=message) as rejected:
        plan(*images, side_files=tuple(side_files))
    assert "train/<class>/<image>" in rejected.value.hint or "val/<class>/" in rejected.value.hint


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("validation-0.parquet", "val"),
        ("valid/0.parquet", "val"),
        ("imagenet-val-0001.tar", "val"),
        ("test.tar", "test"),
        ("train/test-00.parquet", "test"),
        ("festival-photos/0.parquet", "train"),
        ("latest.parquet", "train"),
        ("trainset-0.tar", "train"),
    ],
)
def test_the_split_of_a_file_is_a_word_of_its_name(path: str, split: str) -> None:
    assert split_by_name(PurePosixPath(path)) == split


def open_files(tmp_path: Path, files: dict[str, bytes]) -> ImageDataset:
    return open_dataset(write_zip(tmp_path / "set.zip", files))


def test_side_files_and_hidden_files_are_left_out_and_counted(tmp_path: Path) -> None:
    images = [*list_images("train"), *list_images("val")]
    files = dict.fromkeys(images, PIXELS) | {
        "train/ant/.gitkeep": b"",
        "train/.ipynb_checkpoints/0-checkpoint.png": PIXELS,
        "train/ant/.ipynb_checkpoints/0-checkpoint.png": PIXELS,
        "train/ant/0.xml": b"<annotation/>",
        "val/bee/boxes.txt": b"1 2 3 4",
        "val/README": b"about this dataset",
    }
    dataset = open_files(tmp_path, files)
    assert dataset.classes == CLASSES
    assert (len(dataset.train), len(dataset.val)) == (6, 6)
    assert "3 files that are not images were ignored." in dataset.notices
    assert "3 hidden files were ignored." in dataset.notices


def test_a_file_of_an_unknown_kind_in_a_class_folder_is_not_lost_silently(tmp_path: Path) -> None:
    images = [*list_images("train", 200), *list_images("val")]
    dataset = open_files(
        tmp_path, dict.fromkeys(images, PIXELS) | {"train/ant/photo.heic": b"ftypheic"}
    )
    assert "photo.heic is not an image in a supported format" in dataset.notices[0]


def test_classes_that_are_numbers_are_in_numeric_order() -> None:
    assert sort_class_names(["10", "9", "0"]) == ["0", "9", "10"]
    assert sort_class_names(["10", "9", "a"]) == ["10", "9", "a"]


def test_a_numbered_test_folder_is_a_split() -> None:
    placements, _ = plan("train/1.png", "train/2.png", "test1/1.png")
    assert count_splits(placements) == {"train": 2, "val": 1}


@pytest.mark.parametrize("folder", ["train/", ""])
def test_words_in_file_names_are_not_taken_for_classes(folder: str) -> None:
    names = [f"{folder}{word}.{number}.jpg" for word in ("cat", "dog") for number in range(2)]
    with pytest.raises(LayoutInvalid, match=r"names such as cat\.0\.jpg and") as rejected:
        plan(*names)
    assert "labels.csv" in (rejected.value.hint or "")


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["Abyssinian_1.jpg", "Abyssinian_2.jpg", "saint_bernard_1.jpg", "saint_bernard_2.jpg"], 1),
        (["IMG_1.jpg", "IMG_2.jpg"], 0),
        (["0.jpg", "1.jpg"], 0),
        (["a.1.jpg", "b.1.jpg"], 0),
    ],
)
def test_unlabeled_images_with_words_in_their_names_get_a_notice(
    names: list[str], count: int
) -> None:
    placements, notices = plan(*(f"train/{name}" for name in names))
    assert {placement.label for placement in placements.values()} == {None}
    assert sum("Classes are not read from names" in notice for notice in notices) == count


def test_splits_within_the_names_of_classes_are_refused() -> None:
    with pytest.raises(LayoutInvalid, match="bedroom_train and bedroom_val"):
        plan(*list_images("", classes=("bedroom_train", "bedroom_val", "tower_train", "tower_val")))
