"""WebDataset: tar files in which the files of a sample share a key, as in `cat.jpg` and `cat.cls`.

See https://github.com/webdataset/webdataset. The split of a shard is given by its folder (train or
val) or by the name of the tar file.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dlkd_core.catalog.architectures.architecture import MAX_CLASSES
from dlkd_core.data.decoding.archive import (
    Member,
    MemberStream,
    open_members,
)
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.decoding.folder_layout import (
    INDEX_DIGITS,
    UNLABELED_FOLDER,
    SplitName,
    choose_splits,
    split_by_name,
)
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import LayoutInvalid

_IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "ppm", "bmp"})
_LABEL_SUFFIXES = ("cls", "json", "txt")  # the first kind that contains labels is used
_NO_LABEL_FILES = ""
_MAX_DIGITS = 100  # of a class index, with leading zeros
_LABEL_KEYS = ("label", "cls", "class", "class_name", "category", "target")
_MAX_DISTINCT_TEXTS = 0.5  # more distinct .txt files than this fraction are captions


@dataclass
class _LabelFiles:
    """What the label files with one suffix contain.

    Args:
        values: all distinct labels.
        samples: hashes of the keys of the labeled samples, per split.
    """

    values: set[str] = field(default_factory=set)
    samples: dict[SplitName, set[int]] = field(default_factory=lambda: defaultdict(set))


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read WebDataset shards.

    Labels are in .cls files, in .json files under a key such as `label`, or in .txt files. They are
    class indices, which also serve as class names, or words. If a split has no such files, its
    images are unlabeled.
    """
    images: dict[SplitName, set[int]] = defaultdict(set)
    files: dict[str, _LabelFiles] = defaultdict(_LabelFiles)
    for name, stream in _iter_files(path, read_options.limits):
        (key, suffix), split = _split_name(name), split_by_name(name.parent)
        if suffix in _IMAGE_SUFFIXES:
            _add_key(images[split], key, "images")
        elif suffix in _LABEL_SUFFIXES and (label := _read_label(name, stream.read(), suffix)):
            files[suffix].values.add(label)
            _add_key(files[suffix].samples[split], key, f".{suffix} files")
    suffix = _choose_label_suffix(files)
    labels = files[suffix]
    classes = _list_classes(labels.values, suffix)
    splits = choose_splits({split: len(keys) for split, keys in images.items()})
    used = [(images[split], keys) for split, keys in labels.samples.items()]
    unlabeled = sum(len(image_keys - keys) for image_keys, keys in used)
    unused = sum(len(keys - image_keys) for image_keys, keys in used)
    notices: list[str] = []
    if unused:
        notices.insert(0, f"{unused} labels without an image were left out.")
    if unlabeled:
        notices.insert(0, f"{unlabeled} images without a label were left out.")
    complete = {split: keys & images[split] for split, keys in labels.samples.items()}
    reader = _SampleReader(path, read_options.limits, suffix, classes, splits, complete)
    return dataset_from_files(reader.iter_images, read_options, classes, notices=notices)


@dataclass(frozen=True)
class _SampleReader:
    """Reads the samples of all shards.

    Args:
        path: Folder or archive of the shards.
        limits: Limits on the contents.
        label_suffix: Suffix of the files with the labels.
        classes: Class names in label order.
        splits: The use of each split, by the name that the user gave it.
        complete: Hashes of the keys of the samples with an image and a label, for each split
            whose images have labels.
    """

    path: Path
    limits: DatasetLimits
    label_suffix: str
    classes: Sequence[str]
    splits: Mapping[SplitName, SplitName]
    complete: Mapping[SplitName, set[int]]

    def iter_images(self) -> Iterator[Member]:
        """Yield each image under a name of the form <split>/<class index>/<shard>/<key>.

        In unlabeled splits, a placeholder takes the place of the class index.
        """
        indices = {label: index for index, label in enumerate(self.classes)}
        samples: dict[PurePosixPath, dict[str, bytes]] = defaultdict(dict)
        for name, stream in _iter_files(self.path, self.limits):
            key, suffix = _split_name(name)
            named_split = split_by_name(name.parent)
            split = self.splits[named_split]
            is_image = suffix in _IMAGE_SUFFIXES
            if not (is_image or suffix == self.label_suffix):
                continue
            if named_split not in self.complete:
                if is_image:
                    yield PurePosixPath(split, UNLABELED_FOLDER, *key.parts), stream.read()
                continue
            if hash(key) not in self.complete[named_split]:
                continue
            samples[key]["image" if is_image else "label"] = stream.read()
            if len(samples[key]) == 2:
                sample = samples.pop(key)
                label = _read_label(key, sample["label"], self.label_suffix)
                folder = f"{indices[label]:0{INDEX_DIGITS}}"
                yield PurePosixPath(split, folder, *key.parts), sample["image"]


def _add_key(keys: set[int], key: PurePosixPath, kind: str) -> None:
    """Add a sample's key, and raise `LayoutInvalid` if it is already there."""
    if hash(key) in keys:
        raise LayoutInvalid(
            f"The sample {key} has several {kind}.",
            hint="Give every sample a unique key, with one image and one label.",
        )
    keys.add(hash(key))


def _split_name(name: PurePosixPath) -> tuple[PurePosixPath, str]:
    """Return a sample's key and the suffix of one of its files, all after the first dot."""
    stem, _, suffix = name.name.partition(".")
    return name.parent / stem, suffix.lower()


def _read_label(name: PurePosixPath, content: bytes, suffix: str) -> str:
    """Return the label in a file as text, or an empty text if there is none."""
    text = content.decode("utf-8", errors="replace").strip()
    if suffix == "json":
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        keys = [key for key in _LABEL_KEYS if isinstance(values, dict) and key in values]
        text = str(values[keys[0]]).strip() if keys else ""
    if text.isdecimal() and len(text) > _MAX_DIGITS:
        raise LayoutInvalid(
            f"The label of {name} has {len(text)} digits, so it is not a valid class index.",
            hint="Number the classes 0, 1, 2 and so on.",
        )
    return str(int(text)) if text.isdecimal() else text


def _choose_label_suffix(files: Mapping[str, _LabelFiles]) -> str:
    """Return the suffix of the files with labels. Texts that hardly repeat are captions."""
    for suffix in _LABEL_SUFFIXES:
        values = files[suffix].values
        count = sum(map(len, files[suffix].samples.values()))
        if count and (suffix != "txt" or len(values) <= count * _MAX_DISTINCT_TEXTS):
            return suffix
    return _NO_LABEL_FILES


def _list_classes(values: set[str], suffix: str) -> list[str]:
    """Return the class names in label order.

    Raises:
        LayoutInvalid: the labels are numbers and words, or a number is not a class index.
    """
    numbers = {int(value) for value in values if value.isdecimal()}
    if not numbers:
        return sorted(values)
    if len(numbers) < len(values):
        word = min(value for value in values if not value.isdecimal())
        raise LayoutInvalid(
            f"The .{suffix} files contain class indices, but one of them contains {word[:50]!r}.",
            hint="Write the number of the class into each file, or its name into each file.",
        )
    if max(numbers) >= MAX_CLASSES:
        raise LayoutInvalid(
            f"A .{suffix} file contains {max(numbers)}, which is not a valid class index.",
            hint="Number the classes 0, 1, 2 and so on.",
        )
    return [str(number) for number in range(max(numbers) + 1)]


def _iter_files(path: Path, limits: DatasetLimits) -> Iterator[tuple[PurePosixPath, MemberStream]]:
    """Yield the files of an archive. Files in a nested tar have the tar's name as a prefix.

    Each file must be read before the next one is requested.
    """
    for name, stream in open_members(path, limits):
        if name.suffix == ".tar":
            yield from stream.open_tar(limits)
        else:
            yield name, stream
