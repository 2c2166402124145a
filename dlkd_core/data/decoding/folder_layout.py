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
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
REQUIRED_SPLITS: tuple[SplitName, ...] = ("train", "val")
UNLABELED_FOLDER = "\0"  # no folder in a file system or archive can have this name
INDEX_DIGITS = 8  # number of digits in a folder name that is a class index
_MAX_LISTED = 5  # maximum number of classes that an error names
_SPLIT_WORDS: dict[str, SplitName] = {
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
_SPLIT_SUFFIX = re.compile(r"[ _-]?(set|data|split|images|imgs)?\d*$")
# Names such as cat.0.jpg, which may contain the class
_NAME_WITH_WORD = re.compile(r"([^\W\d_]+(?:[ _-][^\W\d_]+)*)[._ -]+\d+")
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
    name = next(name for name in SPLITS if name == split)
    return Placement(name, None if label == UNLABELED_FOLDER else label)


def split_by_name(path: PurePosixPath) -> SplitName:
    """Return the split that the name of a file or of one of its folders contains as a word.

    The innermost name counts. Without such a word, the file belongs to the training split.
    """
    words = (_find_split_token(part) for part in reversed(path.parts))
    return next((word for word in words if word is not None), "train")


def choose_splits(counts: Mapping[SplitName, int]) -> dict[SplitName, SplitName]:
    """Return the use of each split, by the name that the user gave it.

    If there is no validation split, the test split takes its place.

    Args:
        counts: number of images in each split that was found.
    """
    return {"train": "train", "val": "val", "test": "test" if counts.get("val") else "val"}


def unused_test_notice(num_images: int, unknown: Collection[str | None]) -> str:
    """Return the notice for a test split that is not used.

    Args:
        num_images: number of images in the test split.
        unknown: labels that occur in no other split, or None if the images have no labels.
    """
    named = sorted(label for label in unknown if label and label.lower() not in _IMAGE_FOLDERS)
    reason = f"no other split has the class {named[0]!r}" if named else "its images have no labels"
    return f"The test split ({num_images} images) is not used: {reason}."


def plan_layout(
    images: Collection[PurePosixPath],
    side_files: Collection[PurePosixPath],
    annotations: Mapping[PurePosixPath, str] = MappingProxyType({}),
) -> FolderLayout:
    """Find the split and class of each image from the folders.

    Args:
        images: paths of all images.
        side_files: paths of other files. They show whether the images belong to another task.
        annotations: classes of images that a file lists. They take the place of class folders.

    Raises:
        LayoutInvalid: the folders have no clear meaning, or the dataset is not for classification.
    """
    _reject_other_tasks(images, side_files)
    by_split = _find_splits(images)
    notices: list[str] = []
    for members in by_split.values():
        members.update({path: (annotations[path],) for path in members.keys() & annotations})
    notices += _check_names_of_unlabeled(by_split["train"])
    labels = _find_labels(by_split, notices)
    placements = {
        path: Placement(split, labels[folders] if folders else None)
        for split, members in by_split.items()
        for path, folders in members.items()
    }
    return FolderLayout(placements, notices)


def _split_word(folder: str) -> SplitName | None:
    """Return the split that a folder is named after."""
    name = folder.lower()
    return _SPLIT_WORDS.get(name) or _SPLIT_WORDS.get(_SPLIT_SUFFIX.sub("", name))


def _find_split_token(name: str) -> SplitName | None:
    """Return the split of the first split word within a name, such as seg_train or val2017."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)


def _find_splits(
    images: Collection[PurePosixPath],
) -> dict[SplitName, dict[PurePosixPath, Folders]]:
    """Return the images of each split with the folders between the split folder and the image."""
    found: dict[SplitName, dict[PurePosixPath, Folders]] = defaultdict(dict)
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
    chosen = choose_splits({name: len(members) for name, members in found.items()})
    return {chosen[name]: members for name, members in found.items() if members}


def _find_split_folders(folders: Collection[Folders]) -> dict[Folders, SplitName]:
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


def _find_prefixed_split_folders(folders: Collection[Folders]) -> dict[Folders, SplitName]:
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
        _check_names_of_unlabeled(dict.fromkeys(images, ()))
        raise LayoutInvalid(
            "The images are not in split and class folders."
            if images
            else "There are no images in the archive.",
            hint=f"{_LAYOUT_HINT} Class folders without train/ and val/ are also accepted, and so"
            " are unlabeled images in train/.",
        )
    _reject_splits_within_classes({folders[0] for folders in members.values() if folders})
    return {path: folders for path, folders in members.items() if folders}


def _reject_splits_within_classes(names: Collection[str]) -> None:
    """Reject class folders such as bedroom_train and bedroom_val.

    Raises:
        LayoutInvalid: every name contains a split word, and there are several splits.
    """
    splits = {name: _find_split_token(name) for name in sorted(names)}
    if None not in splits.values() and len(set(splits.values())) > 1:
        raise LayoutInvalid(
            f"The folders have names such as {' and '.join(list(splits)[:2])}, which contain both a"
            " class and a split.",
            hint=_LAYOUT_HINT,
        )


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
    # A test split may lack classes or labels, so the other splits decide what the folders mean.
    by_split_folders = [
        {simplified[folders] for folders in by_split[split].values() if folders}
        for split in REQUIRED_SPLITS
        if split in by_split
    ]
    all_folders = set().union(*by_split_folders)
    if {len(folders) for folders in all_folders} <= {1}:
        return {original: _normalize(folders[0]) for original, folders in simplified.items()}
    if _leaves_are_classes(all_folders, by_split_folders):
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


def _check_names_of_unlabeled(images: Mapping[PurePosixPath, Folders]) -> list[str]:
    """Return a notice if images without class folders have names that may contain the class.

    Raises:
        LayoutInvalid: the names are like cat.0.jpg and dog.0.jpg, as in Kaggle's cats and dogs.
    """
    words = _find_words_in_names(images) if not any(images.values()) else []
    if not words:
        return []
    examples = " and ".join(str(path.name) for path in words)
    found = f"The images have no class folders, but names such as {examples}"
    if all("." in path.stem for path in words):
        raise LayoutInvalid(
            f"{found}. It is not clear whether the names contain the classes.",
            hint="Move each image to train/<class>/<image>, or add a table labels.csv with the"
            " columns file and label. If the images have no classes, rename them to numbers.",
        )
    return [f"{found}. Classes are not read from names. Class folders or a labels.csv name them."]


def _find_words_in_names(images: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return two images with different words in their names, if all names repeat a few words."""
    by_word: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in sorted(images):
        match = _NAME_WITH_WORD.fullmatch(path.stem)
        if match is None:
            return []
        by_word[match[1].lower()].append(path)
    if len(by_word) < 2 or any(len(paths) < 2 for paths in by_word.values()):
        return []
    return [paths[0] for paths in by_word.values()][:2]


def sort_class_names(names: Iterable[str]) -> list[str]:
    """Return the names in alphabetical order, or in numeric order if all of them are numbers."""
    in_order = sorted(names)
    if all(name.isascii() and name.isdecimal() for name in in_order):
        in_order.sort(key=int)
    return in_order


def find_class_names(placements: Iterable[Placement]) -> tuple[str, ...]:
    """Return the class names in label order (see `sort_class_names`).

    The tuple is empty if no image has a label.

    Raises:
        LayoutInvalid: a split has no images, only one class exists, only the training split has
            labels, or both splits have labels but a class is missing from one of them.
    """
    distinct = set(placements)
    for split in REQUIRED_SPLITS:
        if not any(placement.split == split for placement in distinct):
            raise LayoutInvalid(f"There is no image under {split}/<class>/.", hint=_LAYOUT_HINT)
    labels = {
        split: {p.label for p in distinct if p.split == split and p.label is not None}
        for split in REQUIRED_SPLITS
    }
    if labels["train"]:
        _check_same_classes(labels["train"], labels["val"])
    if len(labels["val"]) == 1:
        raise LayoutInvalid(
            "There is only one class.", hint="A classifier needs at least two class folders."
        )
    return tuple(sort_class_names(labels["val"]))


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
