"""Tests for the report about a dataset's health, on archives with known defects."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from dlkd_core.data.dataset import open_dataset
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.data.quality.example_sheet import EXAMPLES_FILE
from dlkd_core.data.read_options import ReadOptions
from tests.dlkd_core.data.sample_images import encode_png, random_images, write_zip


def inspect(folder: Path, files: dict[str, bytes], **options: Any) -> dict[str, Any]:
    path = write_zip(folder / "set.zip", files)
    report: dict[str, Any] = inspect_dataset(path, folder, ReadOptions(**options))["report"]
    return report


def find(report: dict[str, Any], kind: str) -> dict[str, Any]:
    (finding,) = [finding for finding in report["findings"] if finding["kind"] == kind]
    assert isinstance(finding, dict)
    return finding


def list_examples(finding: dict[str, Any]) -> list[tuple[str, int]]:
    return [(example["name"], example["group"]) for example in finding["examples"]]


def textured(count: int, side: int = 32, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """Make random images with large and small shapes."""
    coarse = random_images(count, 6, seed)
    large = [
        Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC) for image in coarse
    ]
    noise = random_images(count, side, seed + 1)
    return [np.asarray(image) // 2 + dots // 4 for image, dots in zip(large, noise, strict=True)]


@pytest.fixture
def defects() -> dict[str, bytes]:
    """Return the files of a dataset with one or two images of each defect."""
    images = textured(23)
    files = {f"train/cat/{number:02}.png": images[number] for number in range(10)}
    files |= {f"train/cats/{number:02}.png": images[10 + number] for number in range(5)}
    files |= {f"val/cat/{number:02}.png": images[15 + number] for number in range(4)}
    files |= {f"val/cats/{number:02}.png": images[19 + number] for number in range(4)}
    files["train/cats/copy.png"] = images[0]  # also with another label
    files["val/cat/leak.png"] = images[1]
    files["train/cat/black.png"] = np.zeros((32, 32, 3), np.uint8)
    files["val/cat/white.png"] = np.full((32, 32, 3), 250, np.uint8)
    files["val/cats/gray.png"] = np.full((32, 32, 3), 90, np.uint8)
    blurred = Image.fromarray(images[22]).filter(ImageFilter.GaussianBlur(4)).rotate(90)
    files["val/cats/blurred.png"] = np.asarray(blurred)
    files["train/cat/wide.png"] = random_images(1, 20)[0].repeat(5, axis=1)
    encoded = {name: encode_png(image) for name, image in files.items()}
    stream = io.BytesIO()
    Image.fromarray(images[2]).save(stream, "JPEG", quality=60)
    encoded["val/cat/near.jpg"] = stream.getvalue()
    return encoded


def test_every_defect_is_counted_and_shown(tmp_path: Path, defects: dict[str, bytes]) -> None:
    report = inspect(tmp_path, defects)
    counts = {
        finding["kind"]: (finding["train"], finding["val"], finding["across_splits"])
        for finding in report["findings"]
    }
    assert counts == {
        "exact_duplicates": (1, 0, 1),
        "near_duplicates": (0, 0, 1),
        "black": (1, 0, None),
        "white": (0, 1, None),
        "constant": (0, 1, None),
        "blurred": (0, 1, None),
        "odd_shape": (1, 0, None),
    }
    exact = find(report, "exact_duplicates")
    assert exact["label_conflicts"] == 1
    assert list_examples(exact) == [
        ("train/cat/01.png", 0),
        ("val/cat/leak.png", 0),
        ("train/cat/00.png", 1),
        ("train/cats/copy.png", 1),
    ]
    assert list_examples(find(report, "near_duplicates")) == [
        ("train/cat/02.png", 0),
        ("val/cat/near.jpg", 0),
    ]
    assert list_examples(find(report, "blurred")) == [("val/cats/blurred.png", 0)]
    assert list_examples(find(report, "odd_shape")) == [("train/cat/wide.png", 0)]
    assert report["similar_classes"] == [{"classes": [0, 1], "difference": "plural"}]


def test_examples_have_the_index_and_thumbnail_of_the_image(
    tmp_path: Path, defects: dict[str, bytes]
) -> None:
    report = inspect(tmp_path, defects)
    dataset = open_dataset(tmp_path / "packed.safetensors")
    layout = report["thumbnails"]
    assert layout == {"columns": 12, "width": 32, "height": 32}
    with Image.open(tmp_path / EXAMPLES_FILE) as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    rows = [finding["row"] for finding in report["findings"]]
    assert rows == list(range(7))
    for finding in report["findings"]:
        for column, example in enumerate(finding["examples"]):
            split = dataset.train if example["split"] == "train" else dataset.val
            pixels = split.images[example["index"] : example["index"] + 1][0].permute(1, 2, 0)
            top, left = 32 * finding["row"], 32 * column
            tile = sheet[top : top + 32, left : left + 32]
            # WebP is lossy, so only the average colors are compared.
            assert np.abs(tile.mean((0, 1)) - pixels.double().numpy().mean((0, 1))).max() < 8
            assert split.labels[example["index"]] == example["label"]
    assert dataset.val_names[:2] == ("val/cat/00.png", "val/cat/01.png")


def test_the_balance_of_classes_and_the_majority_baseline(tmp_path: Path) -> None:
    counts = {"train/a": 6, "train/b": 3, "val/a": 1, "val/b": 3}
    images = iter(textured(13))
    files = {
        f"{folder}/{number}.png": encode_png(next(images))
        for folder, count in counts.items()
        for number in range(count)
    }
    report = inspect(tmp_path, files)
    assert report["splits"] == {
        "train": {
            "images": 9,
            "largest_class": {"label": 0, "images": 6},
            "smallest_class": {"label": 1, "images": 3},
            "imbalance": 2.0,
        },
        "val": {
            "images": 4,
            "largest_class": {"label": 1, "images": 3},
            "smallest_class": {"label": 0, "images": 1},
            "imbalance": 3.0,
        },
    }
    assert report["majority_top1"] == 0.25  # the most common training class is the rare one here
    assert report["thumbnails"] is None
    assert not (tmp_path / EXAMPLES_FILE).exists()


def test_test_images_in_other_splits_are_counted(tmp_path: Path) -> None:
    images = textured(10)
    files = {f"train/cat/{row}.png": images[row] for row in range(3)}
    files |= {f"train/dog/{row}.png": images[3 + row] for row in range(2)}
    files |= {"val/cat/0.png": images[5], "val/dog/0.png": images[6]}
    files |= {"test/cat/0.png": images[7], "test/cat/1.png": images[8], "test/dog/0.png": images[9]}
    clean = {name: encode_png(image) for name, image in files.items()}
    report = inspect(tmp_path, clean)
    assert report["test_duplicates"] == 0
    assert report["splits"]["test"] == {
        "images": 3,
        "largest_class": {"label": 0, "images": 2},
        "smallest_class": {"label": 1, "images": 1},
        "imbalance": 2,
    }

    leaks = {"test/cat/a.png": images[0], "test/dog/b.png": images[6], "test/dog/c.png": images[0]}
    leaky = clean | {name: encode_png(image) for name, image in leaks.items()}
    assert inspect(tmp_path, leaky)["test_duplicates"] == 3
    notices = open_dataset(tmp_path / "set.zip").notices
    assert any(notice.startswith("3 of 6 test images are also in the train") for notice in notices)

    without_test = {name: file for name, file in clean.items() if not name.startswith("test")}
    assert inspect(tmp_path, without_test)["test_duplicates"] is None


def test_sizes_channels_and_bits_are_those_of_the_files(tmp_path: Path) -> None:
    def encode(image: Image.Image, file_format: str = "PNG") -> bytes:
        stream = io.BytesIO()
        image.save(stream, file_format)
        return stream.getvalue()

    pixels = random_images(6, 16)
    color = [Image.fromarray(image) for image in pixels]
    wide = np.linspace(0, 65535, 16 * 16, dtype=np.uint16).reshape(16, 16)
    files = {
        "train/a/0.png": encode(color[0]),
        "train/a/1.jpg": encode(color[1], "JPEG"),
        "train/a/2.png": encode(color[2].convert("L")),
        "train/a/3.png": encode(color[3].convert("P")),
        "val/a/0.png": encode(color[4].convert("RGBA").resize((24, 8))),
        "val/a/1.png": encode(Image.fromarray(wide)),
        "val/a/2.png": encode(color[5].convert("1")),
    }
    files |= {name.replace("/a/", "/b/"): content for name, content in files.items()}
    described = inspect(tmp_path, files)["files"]
    formats = {
        (entry["channels"], entry["bits"]): entry["images"] for entry in described["formats"]
    }
    assert formats == {(3, 8): 6, (1, 8): 2, (4, 8): 2, (1, 16): 2, (1, 1): 2}
    assert described["width"] == {"min": 16, "median": 16.0, "max": 24}
    assert described["height"] == {"min": 8, "median": 16.0, "max": 16}
    assert described["distinct_sizes"] == 2
    assert described["sizes"] == [
        {"width": 16, "height": 16, "images": 12},
        {"width": 24, "height": 8, "images": 2},
    ]


def test_unlabeled_images_and_a_held_out_split(tmp_path: Path) -> None:
    images = textured(20)
    files = {f"train/{number:02}.png": encode_png(image) for number, image in enumerate(images)}
    files["train/20.png"] = files["train/03.png"]
    report = inspect(tmp_path, files)
    assert report["splits"]["train"]["imbalance"] is None
    assert report["splits"]["val"]["largest_class"] is None
    assert report["majority_top1"] is None
    assert report["similar_classes"] == []
    exact = find(report, "exact_duplicates")
    assert exact["train"] + exact["val"] + exact["across_splits"] == 1
    names = {name for name, _ in list_examples(exact)}
    assert names == {"train/03.png", "train/20.png"}
    assert {example["label"] for example in exact["examples"]} == {None}


def test_arrays_name_their_images_by_position(tmp_path: Path) -> None:
    images = np.stack([np.asarray(image)[:, :, :1] for image in textured(20)])  # (20, 32, 32, 1)
    images[13] = images[4]
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=np.arange(20) % 2)
    report = inspect_dataset(tmp_path / "set.npz", tmp_path)["report"]
    assert {name for name, _ in list_examples(find(report, "exact_duplicates"))} == {
        "train[4]",
        "train[13]",
    }
    assert report["files"]["formats"] == [{"channels": 1, "bits": 8, "images": 20}]
    assert report["files"]["width"] == {"min": 32, "median": 32.0, "max": 32}


def test_a_single_class_of_images_that_are_all_the_same(tmp_path: Path) -> None:
    images = np.stack(textured(1) * 3)
    labels = np.zeros(3, np.int64)
    arrays = {"train_images": images, "train_labels": labels, "val_images": images}
    np.savez(tmp_path / "set.npz", **arrays, val_labels=labels)
    report = inspect_dataset(tmp_path / "set.npz", tmp_path)["report"]
    assert (report["splits"]["train"]["imbalance"], report["majority_top1"]) == (1.0, 1.0)
    exact = find(report, "exact_duplicates")
    assert (exact["train"], exact["val"], exact["across_splits"]) == (2, 2, 3)
    assert len(exact["examples"]) == 6
    assert find(report, "near_duplicates")["examples"] == []
    assert find(report, "blurred")["examples"] == []
