"""Image datasets: decoded uint8 images and labels, in two or three splits."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlkd_core.data import dataset_cache, packed_file
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, DecodedSplit
from dlkd_core.data.decoding.image import resize_image
from dlkd_core.data.formats.reader import decode_dataset
from dlkd_core.data.host_images import HostImages, Images, convert_channels, move_images
from dlkd_core.data.quality.findings import describe_findings
from dlkd_core.data.quality.image_measures import ImageMeasures, measure_images
from dlkd_core.data.read_options import DEFAULT_READ_OPTIONS, ReadOptions
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode


@dataclass(frozen=True)
class DatasetSplit:
    """A split of a dataset.

    Args:
        images: (N, C, H, W) uint8, in memory or on disk.
        labels: (N,) int64, -1 for images without a label.
    """

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_labeled(self) -> bool:
        """Whether the images have labels. Either all images of a split have labels or none do."""
        return bool((self.labels >= 0).all())

    def to(self, device: torch.device) -> "DatasetSplit":
        """Return a copy of the split on the given device."""
        return DatasetSplit(move_images(self.images, device), self.labels.to(device))

    def with_channels(self, channels: int) -> "DatasetSplit":
        """Return the split with its images converted to grayscale (1) or RGB (3)."""
        return DatasetSplit(convert_channels(self.images, channels), self.labels)


@dataclass(frozen=True)
class ImageDataset:
    """A dataset with a training and an evaluation split, and possibly a test split.

    Args:
        train: training split.
        val: evaluation split.
        classes: class names in label order, empty if no image has a label.
        notices: messages for the user about how the dataset was read.
        resize: resize mode that was used for images whose size differed from `image_size`.
        test: labeled split on which the trained student is measured once, or None. It stays in
            memory or on disk when the dataset is moved to a device.
        val_names: names of the evaluation images, as the user knows them, or empty if the dataset
            was packed without them.
    """

    train: DatasetSplit
    val: DatasetSplit
    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()
    resize: ResizeMode = DEFAULT_RESIZE
    test: DatasetSplit | None = None

    @property
    def splits(self) -> dict[str, DatasetSplit]:
        """The splits by name."""
        splits = {"train": self.train, "val": self.val}
        return splits if self.test is None else {**splits, "test": self.test}

    val_names: tuple[str, ...] = ()

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.train.images.shape[2:]
        return height, width

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def channels(self) -> int:
        """Number of channels of the images."""
        return self.train.images.shape[1]

    @property
    def on_disk(self) -> bool:
        """Whether the images are on disk because they exceed the memory budget."""
        return isinstance(self.train.images, HostImages)

    def to(self, device: torch.device) -> "ImageDataset":
        """Return a copy of the dataset on the given device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))

    def with_channels(self, channels: int) -> "ImageDataset":
        """Return the dataset with its images converted to grayscale (1) or RGB (3).

        Raises:
            ImagesDoNotFit: the images cannot be converted to this number of channels.
        """
        return replace(
            self,
            train=self.train.with_channels(channels),
            val=self.val.with_channels(channels),
            test=self.test and self.test.with_channels(channels),
        )

    def save(self, path: Path) -> None:
        """Write the dataset as a packed file."""
        splits = {
            name: packed_file.StoredSplit(split.images, split.labels)
            for name, split in self.splits.items()
        }
        metadata = packed_file.DatasetMetadata(
            self.classes, self.notices, self.resize, self.val_names
        )
        packed_file.write_packed(path, splits, metadata)


def open_dataset(path: Path, read_options: ReadOptions = DEFAULT_READ_OPTIONS) -> ImageDataset:
    """Open a packed file, or a folder, zip or tar in one of the catalog's formats.

    If the images exceed the memory budget of `read_options`, they are kept on disk. With a cache
    folder, they are decoded only once, even if several runs use them.

    Raises:
        DatasetError: the dataset is invalid. The message names the file or class.
    """
    if path.suffix == ".safetensors":
        return _load_packed(path, read_options)
    cached = dataset_cache.find_cached(path, read_options)
    if cached is not None:
        return _load_packed(cached, replace(read_options, image_size=None))
    decoded = decode_dataset(path, read_options)
    dataset = build_dataset(decoded, measure_images(decoded), read_options)
    if read_options.cache_dir is None or not dataset.on_disk:
        return dataset
    target = dataset_cache.cache_path(path, read_options.cache_dir, read_options)
    dataset.save(target)
    return _load_packed(target, replace(read_options, image_size=None))


def build_dataset(
    decoded: DecodedDataset, measures: ImageMeasures, read_options: ReadOptions
) -> ImageDataset:
    """Return a decoded dataset as tensors, with notices about what its measures show."""
    return ImageDataset(
        _build_split(decoded.train),
        _build_split(decoded.val),
        decoded.classes,
        (*decoded.notices, *describe_findings(measures)),
        read_options.resize,
        _build_split(decoded.test) if decoded.test else None,
        tuple(source.name for source in decoded.val.sources),
    )


def _build_split(decoded: DecodedSplit) -> DatasetSplit:
    labels = torch.from_numpy(decoded.labels)
    if isinstance(decoded.pixels, np.memmap):
        return DatasetSplit(HostImages(decoded.pixels, decoded.rows), labels)
    pixels = decoded.pixels if decoded.rows is None else decoded.pixels[decoded.rows]
    return DatasetSplit(torch.from_numpy(pixels), labels)


def _load_packed(path: Path, read_options: ReadOptions) -> ImageDataset:
    """Load a packed file and resize its images if `read_options` asks for another size."""
    splits, metadata = packed_file.read_packed(path, read_options.memory_budget)
    side = read_options.image_size
    if side is None or splits["train"].images.shape[2:] == (side, side):
        return _assemble(
            {name: DatasetSplit(*split) for name, split in splits.items()},
            metadata,
            metadata.resize,
        )
    resized = read_options.allocate(
        {
            name: (len(split.labels), split.images.shape[1], side, side)
            for name, split in splits.items()
        }
    )
    for name, split in splits.items():
        for row in range(len(split.labels)):
            image = split.images[row : row + 1][0].numpy()
            resized[name][row] = resize_image(image, (side, side), read_options.resize)
    resized_splits = {
        name: _build_split(DecodedSplit(resized[name], split.labels.numpy()))
        for name, split in splits.items()
    }
    return _assemble(resized_splits, metadata, read_options.resize)


def _assemble(
    splits: dict[str, DatasetSplit], metadata: packed_file.DatasetMetadata, resize: ResizeMode
) -> ImageDataset:
    return ImageDataset(
        splits["train"],
        splits["val"],
        metadata.classes,
        metadata.notices,
        resize,
        splits.get("test"),
        metadata.val_names,
    )
