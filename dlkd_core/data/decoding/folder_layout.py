"""The layout of image folders, which gives each image its split and its class.

The usual layout is train/<class>/… and val/<class>/…. Split folders may have other usual names, and
folders around them are allowed. Images directly under a split folder have no label. The constant
`UNLABELED_FOLDER` is the name of a class folder whose images have no label either.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val"]
NamedSplit = Literal["train", "val", "test"]  # as the user names it
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
UNLABELED_FOLDER = "\0"  # no folder in a file system or archive can have this name
INDEX_DIGITS = 8  # number of digits in a folder name that is a class index
_MAX_LISTED = 5  # maximum number of classes that an error names
_SPLIT_WORDS: dict[str, NamedSplit] = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "valset": "val",
    "dev": "val",
    "eval": "val",
    "evaluation": "val",
    "test": "test",
    "testing": "test",
    "testset": "test",
}
# What may follow a split word in the name of a split folder, as in training_set
_SPLIT_SUFFIX = re.compile(r"[ _-]?(set|data|split|images|imgs)$")
_IMAGE_FOLDERS = {"image", "images", "img", "imgs", "jpegimages"}
_MASK_FOLDERS = {"mask", "masks", "segmentation", "segmentationclass", "labelids", "gt"}
_MAX_SPLIT_DEPTH = 4  # number of folders around the split folders
_LAYOUT_HINT = "Store images as train/<class>/<image> and val/<class>/<image>."
Folders = tuple[str, ...]


class Placement(NamedTuple):
    """An image's split and its label, which is None for an unlabeled image."""

    split: SplitName
    label: str | None


class FolderLayout(NamedTuple):
    """The placements of all images that belong to the dataset, and notices for the user."""

    placements: dict[PurePosixPath, Placement]
    notices: list[str]


def parse_indexed_path(path: PurePosixPath) -> Placement:
    """Return the placement of a path <split>/<class index>/…, as the readers of tables make it."""
    split, label = path.parts[:2]
    return Placement(
        "val" if split == "val" else "train", None if label == UNLABELED_FOLDER else label
    )


def split_by_name(path: PurePosixPath) -> NamedSplit:
    """Return the split that the name of a file or of one of its folders contains as a word.

    The innermost name counts. Without such a word, the file belongs to the training split.
    """
    words = (_find_split_token(part) for part in reversed(path.parts))
    return next((word for word in words if word is not None), "train")


def choose_splits(
    counts: Mapping[NamedSplit, int],
) -> tuple[dict[NamedSplit, SplitName], list[str]]:
    """Return which splits are used as the training and the evaluation split, and a notice.

    A test split is used for evaluation only if there is no validation split. Otherwise, the notice
    says that it is not used.

    Args:
        counts: number of images in each split that was found.
    """
    if not counts.get("val"):
        return {"train": "train", "test": "val"}, []
    unused = counts.get("test", 0)
    notice = (
        f"{unused} images of the test split are not used, because there is a validation split."
        " Keep them for measurements of your own."
    )
    return {"train": "train", "val": "val"}, [notice] if unused else []


def plan_layout(
    images: Collection[PurePosixPath], side_files: Collection[PurePosixPath]
) -> FolderLayout:
    """Find the split and class of each image from the folders.

    Args:
        images: paths of all images.
        side_files: paths of other files. They show whether the images belong to another task.

    Raises:
        LayoutInvalid: the folders have no clear meaning, or the dataset is not for classification.
    """
    _reject_other_tasks(images, side_files)
    by_split, notices = _find_splits(images)
    labels = _find_labels(by_split, notices)
    placements = {
        path: Placement(split, labels[folders] if folders else None)
        for split, members in by_split.items()
        for path, folders in members.items()
    }
    return FolderLayout(placements, notices)


def _split_word(folder: str) -> NamedSplit | None:
    """Return the split that a folder is named after."""
    name = folder.lower()
    return _SPLIT_WORDS.get(name) or _SPLIT_WORDS.get(_SPLIT_SUFFIX.sub("", name))


def _find_split_token(name: str) -> NamedSplit | None:
    """Return the split of the first split word within a name, such as seg_train or val2017."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)


def _find_splits(
    images: Collection[PurePosixPath],
) -> tuple[dict[SplitName, dict[PurePosixPath, Folders]], list[str]]:
    """Return the images of each split with the folders between the split folder and the image."""
    found: dict[NamedSplit, dict[PurePosixPath, Folders]] = defaultdict(dict)
    folders = {path.parts[:-1] for path in images}
    split_folders = _find_split_folders(folders) or _find_prefixed_split_folders(folders)
    if not split_folders:
        found["train"] = _list_without_splits(images)
    depths = {len(folder) for folder in split_folders}
    for path in images:
        for depth in depths:
            split = split_folders.get(path.parts[:-1][:depth])
            if split is not None:
                found[split][path] = path.parts[depth:-1]
    if not found["train"]:
        raise LayoutInvalid("There is no image under train/<class>/.", hint=_LAYOUT_HINT)
    chosen, notices = choose_splits({name: len(members) for name, members in found.items()})
    return {split: found[name] for name, split in chosen.items() if found[name]}, notices


def _find_split_folders(folders: Collection[Folders]) -> dict[Folders, NamedSplit]:
    """Return the split folders nearest to the root, with their splits.

    Raises:
        LayoutInvalid: several folders contain split folders.
    """
    for depth in range(_MAX_SPLIT_DEPTH + 1):
        found = {
            parts[: depth + 1]: split
            for parts in folders
            if len(parts) > depth and (split := _split_word(parts[depth])) is not None
        }
        parents = {folder[:-1] for folder in found}
        if len(parents) > 1:
            names = ", ".join(sorted("/".join(parent) for parent in parents)[:_MAX_LISTED])
            raise LayoutInvalid(
                f"Several folders contain split folders such as train: {names}.",
                hint=f"{_LAYOUT_HINT} Upload one dataset per archive.",
            )
        if found:
            return {} if _is_class_level(folders, next(iter(parents))) else found
    return {}


def _find_prefixed_split_folders(folders: Collection[Folders]) -> dict[Folders, NamedSplit]:
    """Return folders such as seg_train and seg_test, if they contain the same folders of images."""
    for depth in range(_MAX_SPLIT_DEPTH + 1):
        found = {
            parts[: depth + 1]: split
            for parts in folders
            if len(parts) > depth + 1 and (split := _find_split_token(parts[depth])) is not None
        }
        classes = defaultdict(set)
        for parts in folders:
            if parts[: depth + 1] in found:
                classes[found[parts[: depth + 1]]].add(parts[-1])
        others = [names for split, names in classes.items() if split != "train"]
        if classes.get("train") and any(names & classes["train"] for names in others):
            return found
    return {}


def _is_class_level(folders: Collection[Folders], parent: Folders) -> bool:
    """Return whether folders that look like splits are classes, such as train beside bus and car.

    This is the case if only one of them has such a name and it directly contains images, as its
    neighbors do.
    """
    depth = len(parent)
    level = [parts for parts in folders if parts[:depth] == parent and len(parts) > depth]
    named = {parts[depth] for parts in level if _split_word(parts[depth])}
    others = {parts[depth] for parts in level} - named
    return len(named) == 1 and bool(others) and all(len(parts) == depth + 1 for parts in level)


def _list_without_splits(images: Collection[PurePosixPath]) -> dict[PurePosixPath, Folders]:
    """Return the images in class folders, with the folders inside the common outer folders.

    Raises:
        LayoutInvalid: the images are not in class folders.
    """
    in_folders = [path for path in images if len(path.parts) > 1]
    common = _common_prefix({path.parts[:-1] for path in in_folders})
    members = {path: path.parts[len(common) : -1] for path in in_folders}
    if not any(members.values()):
        raise LayoutInvalid(
            "The images are not in split and class folders.",
            hint=f"{_LAYOUT_HINT} Class folders without train/ and val/ are also accepted, and so"
            " are unlabeled images in train/.",
        )
    return {path: folders for path, folders in members.items() if folders}


def _common_prefix(folders: Collection[Folders]) -> Folders:
    smallest, largest = min(folders, default=()), max(folders, default=())
    length = next(
        (n for n, (a, b) in enumerate(zip(smallest, largest, strict=False)) if a != b),
        min(len(smallest), len(largest)),
    )
    return smallest[:length]


def _find_labels(
    by_split: Mapping[SplitName, Mapping[PurePosixPath, Folders]], notices: list[str]
) -> dict[Folders, str]:
    """Return the label of each combination of folders between a split folder and an image."""
    simplified: dict[Folders, Folders] = {}
    for members in by_split.values():
        originals = {folders for folders in members.values() if folders}
        simplified |= dict(zip(originals, _strip_wrappers(originals), strict=True))
    depths = {len(folders) for folders in simplified.values()}
    if depths <= {1}:
        return {original: _normalize(folders[0]) for original, folders in simplified.items()}
    by_split_folders = [
        {simplified[folders] for folders in members.values() if folders}
        for members in by_split.values()
    ]
    if _leaves_are_classes(set(simplified.values()), by_split_folders):
        notices.append("The class folders are nested. The innermost folders are the classes.")
        return {original: _normalize(folders[-1]) for original, folders in simplified.items()}
    notices.append("Images in subfolders of a class folder were counted to that class.")
    return {original: _normalize(folders[0]) for original, folders in simplified.items()}


def _strip_wrappers(folders: Collection[Folders]) -> list[Folders]:
    """Remove a folder around all class folders, and folders such as `images` inside each of them.

    The order of the result is that of the argument.
    """
    depth = min((len(parts) for parts in folders), default=0)
    common = _common_prefix(set(folders))
    start = min(len(common), depth - 1) if len(set(folders)) > 1 else 0
    stripped = [parts[start:] for parts in folders]
    if all(len(parts) > 1 and parts[-1].lower() in _IMAGE_FOLDERS for parts in stripped):
        return [parts[:-1] for parts in stripped]
    return stripped


def _leaves_are_classes(
    folders: Collection[Folders], by_split: Collection[Collection[Folders]]
) -> bool:
    """Return whether the innermost folders are the classes, and not groups within a class.

    They are if no name occurs in several outer folders, no folder contains both images and
    folders with images, and every split has the same innermost folders.
    """
    leaves = [parts[-1] for parts in folders]
    has_mixed_folder = any(
        parts[:length] in folders for parts in folders for length in range(1, len(parts))
    )
    is_unique = len(set(leaves)) == len(leaves)
    return is_unique and not has_mixed_folder and len({frozenset(part) for part in by_split}) == 1


def _normalize(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _reject_other_tasks(
    images: Collection[PurePosixPath], side_files: Collection[PurePosixPath]
) -> None:
    """Reject datasets for segmentation and detection, and labels in files that are not read.

    Raises:
        LayoutInvalid: the folders and files are those of another task.
    """
    folders = {part.lower() for path in images for part in path.parts[:-1]}
    side_folders = {part.lower() for path in side_files for part in path.parts[:-1]}
    names = {path.name.lower() for path in side_files}
    suffixes = {path.suffix.lower() for path in side_files}
    task = None
    if folders & _IMAGE_FOLDERS and folders & _MASK_FOLDERS:
        task = "images and masks, as for segmentation"
    elif any("coco" in name or name.startswith("instances_") for name in names):
        task = "COCO annotations, as for detection"
    elif "jpegimages" in folders and "annotations" in side_folders and ".xml" in suffixes:
        task = "Pascal VOC annotations, as for detection"
    elif folders & _IMAGE_FOLDERS and "labels" in side_folders and ".txt" in suffixes:
        task = "YOLO label files, as for detection"
    if task is not None:
        raise LayoutInvalid(
            f"This dataset contains {task}. The service trains classifiers.",
            hint=f"{_LAYOUT_HINT} To classify objects, crop each one and store it by its class.",
        )
    if "val_annotations.txt" in names:
        raise LayoutInvalid(
            "The classes of the val images are in val_annotations.txt, as in Tiny ImageNet. This"
            " file is not read.",
            hint="Move each image of val/images/ into a folder val/<class>/.",
        )


def find_class_names(placements: Iterable[Placement]) -> tuple[str, ...]:
    """Return the class names in label order, which is alphabetical.

    The tuple is empty if no image has a label.

    Raises:
        LayoutInvalid: a split has no images, only one class exists, only the training split has
            labels, or both splits have labels but a class is missing from one of them.
    """
    distinct = set(placements)
    for split in SPLITS:
        if not any(placement.split == split for placement in distinct):
            raise LayoutInvalid(f"There is no image under {split}/<class>/.", hint=_LAYOUT_HINT)
    labels = {
        split: {p.label for p in distinct if p.split == split and p.label is not None}
        for split in SPLITS
    }
    if labels["train"]:
        _check_same_classes(labels["train"], labels["val"])
    if len(labels["val"]) == 1:
        raise LayoutInvalid(
            "There is only one class.", hint="A classifier needs at least two class folders."
        )
    return tuple(sorted(labels["val"]))


def _check_same_classes(train: set[str], val: set[str]) -> None:
    for missing, split, other in ((train - val, "val", "train"), (val - train, "train", "val")):
        if missing:
            names = ", ".join(repr(name) for name in sorted(missing)[:_MAX_LISTED])
            more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
            first = min(missing)
            raise LayoutInvalid(
                f"{len(missing)} class(es) of {other} have no image in {split}: {names}{more}.",
                hint=f"Add {split}/{first}/ with at least one image, or remove {other}/{first}/.",
            )
