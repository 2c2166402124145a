"""An example of every dataset in the tables of docs/data.md, under the words of its first cell."""

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.dlkd_core.data.sample_images import encode_png, random_images, tar_bytes

Files = dict[str, bytes]
NAMES = ("cat", "dog")
_PNGS = [encode_png(image) for image in random_images(16)]
PNG = _PNGS[0]


def folders(
    *splits: str, names: Iterable[str] = NAMES, form: str = "{split}/{name}/{row}.png"
) -> Files:
    """Return two images per class and split, or four in the training split and without splits."""
    return {
        form.format(split=split, name=name, row=row): _PNGS[(row + 4 * label) % len(_PNGS)]
        for split in splits
        for label, name in enumerate(names)
        for row in range(4 if split in {"train", "."} else 2)
    }


def table(header: str, rows: Iterable[str]) -> bytes:
    return "\n".join([header, *rows]).encode()


def npz(images: str, labels: str, splits: dict[str, int], **more: Any) -> bytes:
    stream, arrays = io.BytesIO(), dict(more)
    for split, count in splits.items():
        arrays[images.format(split)] = random_images(count)
        arrays[labels.format(split)] = np.arange(count).reshape(-1, 1) % 2
    np.savez(stream, **arrays)
    return stream.getvalue()


def idx(array: Any) -> bytes:
    shape = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + shape + array.tobytes())


def features_table(count: int) -> Any:
    """Return an Arrow table as the `datasets` library makes it."""
    kinds = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(NAMES)}}
    images = [{"bytes": _PNGS[row], "path": None} for row in range(count)]
    image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array(images, image_type),
        "label": pa.array([row % 2 for row in range(count)], pa.int64()),
    }
    metadata = {"huggingface": json.dumps({"info": {"features": kinds}})}
    return pa.table(columns).replace_schema_metadata(metadata)


def parquet(count: int) -> bytes:
    stream = io.BytesIO()
    pq.write_table(features_table(count), stream)
    return stream.getvalue()


def saved_dataset(folder: str, count: int) -> Files:
    """Return the files that `Dataset.save_to_disk` writes."""
    data, stream = features_table(count), io.BytesIO()
    with pa.ipc.new_stream(stream, data.schema) as writer:
        writer.write_table(data, max_chunksize=3)
    return {
        f"{folder}/data-00000-of-00001.arrow": stream.getvalue(),
        f"{folder}/cache-0123456789abcdef.arrow": b"",
        f"{folder}/dataset_info.json": b"{}",
        f"{folder}/state.json": b"{}",
    }


def shard(count: int) -> bytes:
    return tar_bytes(
        {
            f"{row}.{suffix}": content
            for row in range(count)
            for suffix, content in (("png", _PNGS[row]), ("cls", str(row % 2).encode()))
        }
    )


def cifar_records(count: int) -> bytes:
    return b"".join(bytes([row % 2]) + bytes([20 * row]) * 3072 for row in range(count))


_FLAT = {f"images/{row}.png": _PNGS[row] for row in range(8)}
_THREE_SPLITS = {"train": 8, "val": 4, "test": 4}

ACCEPTED: dict[str, Files] = {
    "Folders of splits and classes": folders("train", "dev"),
    "ImageFolder without splits": folders(".", form="pets/{name}/{row}.png"),
    "Nested class folders": folders(".", form="animals/{name}/{row}.png")
    | folders(".", names=["bus", "car"], form="vehicles/{name}/{row}.png"),
    "Numbered class folders": folders("train", "val", names=map(str, range(12))),
    "Kaggle zip with a table of labels": _FLAT
    | {"train.csv": table("id,breed", (f"{row},{NAMES[row % 2]}" for row in range(8)))},
    "Table with one column per class": {
        **{f"{split}/{row}.png": _PNGS[row] for split in ("train", "valid") for row in range(4)},
        **{
            f"{split}/_classes.csv": table(
                "filename, cat, dog", (f"{row}.png, {row % 2}, {1 - row % 2}" for row in range(4))
            )
            for split in ("train", "valid")
        },
    },
    "YOLO classify export": folders("train", "val", "test", form="ds/{split}/{name}/{row}.png"),
    "Roboflow folder export": folders("train", "valid", "test") | {"README.roboflow.txt": b""},
    "Tiny ImageNet": {
        "tiny/wnids.txt": b"n01\nn02\n",
        **folders(
            "train", names=["n01", "n02"], form="tiny/{split}/{name}/images/{name}_{row}.JPEG"
        ),
        **{f"tiny/val/images/val_{row}.JPEG": _PNGS[row] for row in range(4)},
        "tiny/val/val_annotations.txt": table(
            "val_0.JPEG\tn01\t0\t0\t9\t9", (f"val_{n}.JPEG\tn0{n % 2 + 1}\t0" for n in range(1, 4))
        ),
        "tiny/test/images/test_0.JPEG": PNG,
    },
    "Hugging Face Parquet": {
        f"data/{split}-00000-of-00001.parquet": parquet(count)
        for split, count in (("train", 8), ("validation", 4), ("test", 4))
    },
    "Hugging Face folder (`save_to_disk`)": {
        "pets/dataset_dict.json": b"{}",
        **saved_dataset("pets/train", 8),
        **saved_dataset("pets/validation", 4),
        **saved_dataset("pets/test", 4),
    },
    "WebDataset shards": {
        f"pets-{split}-000.tar": shard(count) for split, count in _THREE_SPLITS.items()
    },
    "MedMNIST npz": {"bloodmnist.npz": npz("{}_images", "{}_labels", _THREE_SPLITS)},
    "Keras npz": {"mnist.npz": npz("x_{}", "y_{}", {"train": 8, "test": 4})},
    "MNIST files": {
        f"MNIST/raw/{split}-{kind}-ubyte.gz": idx(array)
        for split, count in (("train", 8), ("t10k", 4))
        for kind, array in (
            ("images-idx3", random_images(count)[..., 0]),
            ("labels-idx1", (np.arange(count) % 2).astype(np.uint8)),
        )
    },
    "CIFAR binary version": {
        "cifar-10-batches-bin/data_batch_1.bin": cifar_records(8),
        "cifar-10-batches-bin/test_batch.bin": cifar_records(4),
        "cifar-10-batches-bin/batches.meta.txt": b"cat\ndog\n",
    },
    "Images without labels": {f"train/{row}.png": _PNGS[row] for row in range(10)},
}

_PICKLE = pickle.dumps({"data": [], "labels": []})
REFUSED: dict[str, Files] = {
    "CIFAR Python version, pickle files": {"cifar-10-batches-py/data_batch_1": _PICKLE},
    "File of torch.save": {"processed/training.pt": b"PK"},
    "LMDB, as in LSUN": {"bedroom_train_lmdb/data.mdb": b"", "bedroom_val_lmdb/data.mdb": b""},
    "TFRecord": {"train.tfrecord-00000-of-00002": b""},
    "HDF5 or MATLAB file": {"train_32x32.mat": b"MATLAB"},
    "RecordIO or FFCV": {"train.rec": b"", "val.rec": b""},
    "Table of pixel values": {"train.csv": b"label,pixel0,pixel1\n1,0,255\n"},
    "Videos": {"train/cat/1.mp4": b"", "train/dog/1.mp4": b""},
    "Archives within the archive": {"train.zip": b"PK", "test.zip": b"PK"},
    "Kaggle cats and dogs (`cat.0.jpg`)": {
        **{f"train/{name}.{row}.jpg": PNG for name in NAMES for row in range(4)},
        **{f"test1/{row}.jpg": PNG for row in range(4)},
    },
    "Class and split in one folder name": folders(
        "train", "val", names=["bedroom", "church"], form="{name}_{split}/{row}.png"
    ),
    "Several classes per image": _FLAT
    | {"labels.csv": table("file,cat,dog", (f"{row}.png,1,{row % 2}" for row in range(8)))},
    "COCO, Pascal VOC or YOLO boxes": {
        "train/images/1.png": PNG,
        "train/labels/1.txt": b"0 .5 .5 .1 .1",
    },
    "Images and masks": {"train/images/1.png": PNG, "train/masks/1.png": PNG},
    "Object arrays in npz": {
        "set.npz": npz("{}_images", "{}_labels", {"train": 8}, classes=np.array([{}], object))
    },
}


def write_example(files: Files, path: Path) -> Path:
    """Write the files as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
