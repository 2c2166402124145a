"""WebDataset: tar files in which the files of a sample share a key, as in `cat.jpg` and `cat.cls`.

See https://github.com/webdataset/webdataset. The split of a shard is given by its folder (train or
val) or by the name of the tar file.
"""

import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from dlkd_core.data.decoding.archive import Member, MemberStream, open_members, read_tar
from dlkd_core.data.decoding.decoded_dataset import NO_LABEL, DecodedDataset
from dlkd_core.data.decoding.folder_layout import (
    INDEX_DIGITS,
    MAX_CLASSES,
    UNLABELED_FOLDER,
    NamedSplit,
    SplitName,
    choose_splits,
    split_by_name,
    unused_test_notice,
)
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "ppm", "bmp"})


class _ReadableStream(Protocol):
    def read(self) -> bytes: ...


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read WebDataset shards.

    The numbers in the .cls files are the labels and also serve as class names. If a split has no
    .cls files, its images are unlabeled.
    """
    labels: set[int] = set()
    labeled_splits: set[NamedSplit] = set()
    images = Counter[NamedSplit]()
    for name, stream in _iter_files(path, read_options.limits):
        if name.suffix == ".cls":
            labels.add(_parse_label(stream.read(), name))
            labeled_splits.add(split_by_name(name.parent))
        elif name.suffix.lower().lstrip(".") in _IMAGE_SUFFIXES:
            images[split_by_name(name.parent)] += 1
    names = [str(label) for label in range(max(labels, default=NO_LABEL) + 1)]
    splits = choose_splits(images)
    unused = [] if "test" in splits or not images["test"] else [unused_test_notice(images["test"])]
    return dataset_from_files(
        lambda: _iter_images(path, read_options.limits, labeled_splits, splits),
        read_options,
        names,
        notices=unused,
    )


def _iter_images(
    path: Path,
    limits: DatasetLimits,
    labeled_splits: set[NamedSplit],
    splits: Mapping[NamedSplit, SplitName],
) -> Iterator[Member]:
    """Yield each image under a name of the form <split>/<class index>/<shard>/<key>.

    In unlabeled splits, a placeholder takes the place of the class index.
    """
    samples: dict[PurePosixPath, dict[str, bytes]] = defaultdict(dict)
    for name, stream in _iter_files(path, limits):
        stem, _, suffix = name.name.partition(".")
        key, suffix = name.with_name(stem), suffix.lower()
        named_split = split_by_name(name.parent)
        split = splits.get(named_split)
        if split is None:
            continue
        if suffix in _IMAGE_SUFFIXES and named_split not in labeled_splits:
            yield PurePosixPath(split, UNLABELED_FOLDER, *key.parts), stream.read()
        elif suffix == "cls" or suffix in _IMAGE_SUFFIXES:
            samples[key]["cls" if suffix == "cls" else "image"] = stream.read()
            if len(samples[key]) == 2:
                sample = samples.pop(key)
                folder = f"{_parse_label(sample['cls'], name):0{INDEX_DIGITS}}"
                yield PurePosixPath(split, folder, *key.parts), sample["image"]


def _iter_files(
    path: Path, limits: DatasetLimits
) -> Iterator[tuple[PurePosixPath, _ReadableStream]]:
    """Yield the files of an archive. Files in a nested tar have the tar's name as a prefix.

    Each file must be read before the next one is requested.
    """
    for name, stream in open_members(path, limits):
        if name.suffix == ".tar":
            yield from _iter_shard(name, stream, limits)
        else:
            yield name, stream


def _iter_shard(
    shard: PurePosixPath, shard_stream: MemberStream, limits: DatasetLimits
) -> Iterator[tuple[PurePosixPath, _ReadableStream]]:
    try:
        with read_tar(shard_stream) as archive:
            for info in archive:
                is_readable = info.isreg() and info.size <= limits.file_bytes
                stream = archive.extractfile(info) if is_readable else None
                if stream is not None:
                    yield shard / PurePosixPath(info.name).name, stream
    except tarfile.TarError as error:
        raise ArchiveUnreadable(f"The shard {shard} cannot be read: {error}") from error


def _parse_label(content: bytes, name: PurePosixPath) -> int:
    try:
        label = int(content)
    except ValueError as error:
        raise LayoutInvalid(
            f"{name} does not contain a class index.",
            hint="Write the number of the class into the file.",
        ) from error
    if not 0 <= label < MAX_CLASSES:
        raise LayoutInvalid(
            f"{name} contains {label}, which is not a valid class index.",
            hint="Number the classes 0, 1, 2 and so on.",
        )
    return label
