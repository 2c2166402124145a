"""Scans a dataset's file names and image headers before any image is decoded."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath

from dlkd_core.data.decoding.archive import Member
from dlkd_core.data.decoding.folder_layout import UNLABELED_FOLDER, Placement, parse_path
from dlkd_core.data.decoding.image import read_image_size
from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ImageUnreadable, LayoutInvalid

Size = tuple[int, int]


@dataclass
class DatasetScan:
    """The files, image sizes and errors that a scan has collected.

    Args:
        placements: split and label of each image.
        image_sizes: height and width of each readable image.
        broken_files: error message of each unreadable image.
        ignored_files: number of files outside the layout.
        notices: messages for the user.
    """

    placements: dict[PurePosixPath, Placement] = field(default_factory=dict)
    image_sizes: dict[PurePosixPath, Size] = field(default_factory=dict)
    broken_files: dict[PurePosixPath, str] = field(default_factory=dict)
    ignored_files: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def size_counts(self) -> Counter[Size]:
        """Number of images per size (H, W)."""
        return Counter(self.image_sizes.values())

    def add_file(
        self, name: PurePosixPath, read: Callable[[], bytes], limits: DatasetLimits
    ) -> None:
        """Add a file. If its path does not fit the layout, the file is counted but not read.

        Raises:
            LayoutInvalid: a file with the same name has already been added.
        """
        placement = parse_path(name) if name.parts else None
        if placement is None:
            self.ignored_files += 1
            return
        if name in self.placements:
            raise LayoutInvalid(
                f"{display_name(name)} occurs twice in the archive.",
                hint="Give every image a unique path.",
            )
        self.placements[name] = placement
        try:
            self.image_sizes[name] = read_image_size(read(), display_name(name), limits)
        except ImageUnreadable as error:
            self.broken_files[name] = error.message

    def drop_stray_images(self) -> None:
        """Drop images directly under a split folder if the split also has class folders."""
        labeled_splits = {
            placement.split for placement in self.placements.values() if placement.label is not None
        }
        strays = [
            name
            for name, placement in self.placements.items()
            if placement.label is None and placement.split in labeled_splits
        ]
        for name in strays:
            del self.placements[name]
            self.image_sizes.pop(name, None)
            self.broken_files.pop(name, None)
            self.ignored_files += 1


def scan_members(members: Iterator[Member], limits: DatasetLimits) -> DatasetScan:
    """Scan all files in a folder or archive."""
    scan = DatasetScan()
    for name, content in members:
        scan.add_file(name, BytesIO(content).read, limits)
    return scan


def display_name(name: PurePosixPath) -> str:
    """Return a file name as the user knows it, without the internal folder for unlabeled images."""
    return str(name).replace(f"{UNLABELED_FOLDER}/", "")
