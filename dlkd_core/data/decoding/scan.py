"""Scans a dataset's file names and image headers before any image is decoded."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.data.decoding.archive import Member
from dlkd_core.data.decoding.folder_layout import (
    SPLITS,
    UNLABELED_FOLDER,
    FolderLayout,
    Placement,
    SplitName,
    parse_indexed_path,
    plan_layout,
    unused_test_notice,
)
from dlkd_core.data.decoding.image import ImageFormat, ValueRange, read_image_header
from dlkd_core.data.decoding.label_tables import (
    ANNOTATIONS_FILE,
    TABLE_SUFFIXES,
    read_annotations,
    read_tables,
)
from dlkd_core.data.decoding.unsupported_files import is_unsupported, reject_unsupported
from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ImageUnreadable, LayoutInvalid

Size = tuple[int, int]
# Files that are left out. Files with an unknown suffix count as images, so that images in an
# unsupported format are reported and not lost.
_SIDE_FILE = re.compile(
    r".*\.(txt|xml|jsonl?|csv|tsv|md|rst|html?|ya?ml|toml|ini|cfg|log|py|ipynb|pdf|docx?|xlsx?|mat"
    r"|np[yz]|pkl|pickle|db|sqlite|info|url|lnk|sh|bat|zip|tar|gz|names|data|cache|parquet|arrow|bin"
    r"|cls)|readme|licen[cs]e|copying|citation|authors|makefile|.*-ubyte",
    re.IGNORECASE,
)
# Number of things, in the singular and the plural, and what happened to them
_IGNORED = {
    "outside": (
        "image outside the split and class folders was",
        "images outside the split and class folders were",
    ),
    "side": ("file that is not an image was", "files that are not images were"),
    "hidden": ("hidden file was", "hidden files were"),
}

_MAX_TABLES = 20  # more tables than this are not read


@dataclass
class DatasetScan:
    """The files, image sizes and errors that a scan has collected.

    Args:
        images: paths of all images and of files that should be images.
        side_files: paths of other files.
        tables: contents of those files that may list the images with their labels.
        hidden_files: number of files that are hidden or in hidden folders.
        formats: format of each readable image.
        value_ranges: value range of each image with more than 8 bits.
        damaged_orientations: images whose EXIF orientation cannot be read.
        broken_files: error message of each unreadable image.
        placements: split and label of each image. Filled after the scan.
        is_indexed: whether the paths were made by the reader of a table, in the form
            <split>/<class index>/….
        notices: messages for the user.
    """

    images: set[PurePosixPath] = field(default_factory=set)
    side_files: list[PurePosixPath] = field(default_factory=list)
    tables: dict[PurePosixPath, bytes] = field(default_factory=dict)
    hidden_files: int = 0
    formats: dict[PurePosixPath, ImageFormat] = field(default_factory=dict)
    value_ranges: dict[PurePosixPath, ValueRange] = field(default_factory=dict)
    damaged_orientations: set[PurePosixPath] = field(default_factory=set)
    broken_files: dict[PurePosixPath, str] = field(default_factory=dict)
    placements: dict[PurePosixPath, Placement] = field(default_factory=dict)
    is_indexed: bool = False
    notices: list[str] = field(default_factory=list)

    @property
    def size_counts(self) -> Counter[Size]:
        """Number of images per size (H, W)."""
        return Counter((file.height, file.width) for file in self.formats.values())

    @property
    def channels(self) -> int:
        """Number of channels of the images: 1 if all of them are grayscale, and 3 otherwise."""
        is_gray = self.formats and all(file.is_gray for file in self.formats.values())
        return 1 if is_gray else RGB_CHANNELS

    @property
    def value_range(self) -> ValueRange | None:
        """Value range of all images with more than 8 bits, or None if there are none."""
        total: ValueRange | None = None
        for value_range in self.value_ranges.values():
            total = value_range.union(total)
        return total

    def add_file(
        self, name: PurePosixPath, read: Callable[[], bytes], limits: DatasetLimits
    ) -> None:
        """Add a file. Only the headers of images are read.

        Raises:
            LayoutInvalid: a file with the same name has already been added.
        """
        if not self.is_indexed and any(part.startswith(".") for part in name.parts):
            self.hidden_files += 1
            return
        if not self.is_indexed and (_SIDE_FILE.fullmatch(name.name) or is_unsupported(name)):
            self.side_files.append(name)
            is_table = name.suffix.lower() in TABLE_SUFFIXES or name.name == ANNOTATIONS_FILE
            if is_table and len(self.tables) < _MAX_TABLES:
                self.tables[name] = read()
            return
        if name in self.images:
            raise LayoutInvalid(
                f"{display_name(name)} occurs twice in the archive.",
                hint="Give every image a unique path.",
            )
        self.images.add(name)
        try:
            header = read_image_header(read(), display_name(name), limits)
            self.formats[name] = header.format
            if header.value_range is not None:
                self.value_ranges[name] = header.value_range
            if header.has_damaged_orientation:
                self.damaged_orientations.add(name)
        except ImageUnreadable as error:
            self.broken_files[name] = error.message

    def place_images(self) -> None:
        """Find the split and class of each image, and drop images outside the layout.

        Raises:
            LayoutInvalid: the folders have no clear meaning.
        """
        used_tables = 0
        if self.is_indexed:
            self.placements = {name: parse_indexed_path(name) for name in self.images}
        else:
            layout, used_tables = self._plan_layout()
            self.placements = layout.placements
            self.notices += layout.notices
        self._drop_stray_images()
        self._drop_unusable_test_split()
        counts = {
            "outside": len(self.images) - len(self.placements),
            "side": len(self.side_files) - used_tables,
            "hidden": self.hidden_files,
        }
        self._forget(self.images - self.placements.keys())
        self.notices += [
            f"{count} {_IGNORED[kind][count > 1]} ignored."
            for kind, count in counts.items()
            if count
        ]

    def _plan_layout(self) -> tuple[FolderLayout, int]:
        """Return the layout, and the number of tables from which its labels are."""
        if not self.images:
            reject_unsupported(self.side_files)
        annotations = read_annotations(self.images, self.tables)
        try:
            layout = plan_layout(self.images, self.side_files, annotations)
        except LayoutInvalid:
            from_tables, used = read_tables(self.images, self.tables)
            if not from_tables.placements:
                raise
            return from_tables, used
        if any(placement.label is not None for placement in layout.placements.values()):
            return layout, int(bool(annotations))
        from_tables, used = read_tables(self.images, self.tables)
        return (from_tables, used) if from_tables.placements else (layout, 0)

    def _drop_stray_images(self) -> None:
        """Drop images directly under a split folder if the split also has class folders."""
        labeled_splits = {
            placement.split for placement in self.placements.values() if placement.label is not None
        }
        self.placements = {
            name: placement
            for name, placement in self.placements.items()
            if placement.label is not None or placement.split not in labeled_splits
        }

    def _drop_unusable_test_split(self) -> None:
        """Drop the test split if its images have no labels, or labels that the others lack."""
        labels: dict[SplitName, set[str | None]] = {split: set() for split in SPLITS}
        for placement in self.placements.values():
            labels[placement.split].add(placement.label)
        unknown = {label for label in labels["test"] if label is None or label not in labels["val"]}
        if not unknown:
            return
        dropped = {name for name, placement in self.placements.items() if placement.split == "test"}
        self.placements = {
            name: placement for name, placement in self.placements.items() if name not in dropped
        }
        self._forget(dropped)
        self.notices.append(unused_test_notice(len(dropped), unknown))

    def _forget(self, names: Collection[PurePosixPath]) -> None:
        """Remove images that do not belong to the dataset."""
        for name in names:
            self.images.discard(name)
            self.formats.pop(name, None)
            self.value_ranges.pop(name, None)
            self.damaged_orientations.discard(name)
            self.broken_files.pop(name, None)


def scan_members(
    members: Iterator[Member], limits: DatasetLimits, *, is_indexed: bool = False
) -> DatasetScan:
    """Scan all files in a folder or archive."""
    scan = DatasetScan(is_indexed=is_indexed)
    for name, content in members:
        scan.add_file(name, BytesIO(content).read, limits)
    return scan


def display_name(name: PurePosixPath) -> str:
    """Return a file name as the user knows it, without the internal folder for unlabeled images."""
    return str(name).replace(f"{UNLABELED_FOLDER}/", "")
