"""Missing memory is an error of the machine, not of the file that was read."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from dlkd_core.memory_limits import is_out_of_memory

# Each file is read twice: first without a limit, to show that it is intact, then with almost no
# memory left.
READ_SCRIPT = """
import json, re, resource, sys
from pathlib import Path
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.errors import DistillationError
from dlkd_core.memory_limits import is_out_of_memory
from dlkd_core.teachers.reading.safetensors_reader import read_safetensors
from dlkd_core.teachers.reading.torch_reader import read_torch

def read(path):
    if path.suffix == ".zip" or path.suffix == ".npz":
        inspect_dataset(path, path.parent)
    elif path.suffix == ".pt":
        read_torch(path)
    else:
        read_safetensors(path)

paths = [Path(name) for name in sys.argv[1:]]
for path in paths:
    read(path)
used = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
_, hard = resource.getrlimit(resource.RLIMIT_DATA)
codes = {path.name: [] for path in paths}
for left in (8 << 20, 4 << 20, 0):
    resource.setrlimit(resource.RLIMIT_DATA, (used + left, hard))
    for path in paths:
        try:
            read(path)
            codes[path.name].append("read")
        except DistillationError as error:
            codes[path.name].append(error.code)
        except Exception as error:
            assert is_out_of_memory(error), error  # as the trainer process judges it
            codes[path.name].append("out_of_memory")
print(json.dumps(codes))
"""


def test_errors_of_missing_memory_are_recognized() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not is_out_of_memory(RuntimeError("bad magic number"))


def test_files_are_not_called_damaged_when_memory_runs_out(tmp_path: Path) -> None:
    weights = {"weight": torch.zeros(64 << 20, dtype=torch.uint8)}
    torch.save(weights, tmp_path / "weights.pt")
    save_file(weights, tmp_path / "weights.safetensors")
    pixels = np.zeros((4, 2000, 2000, 3), np.uint8)
    arrays = {"train_images": pixels, "train_labels": np.array([0, 1, 0, 1])}
    np.savez(tmp_path / "arrays.npz", **arrays)
    png = io.BytesIO()
    Image.fromarray(pixels[0]).save(png, "PNG", compress_level=1)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for label in ("a", "b"):
            for split in ("train", "val"):
                archive.writestr(f"{split}/{label}/0.png", png.getvalue())
    names = ["weights.pt", "weights.safetensors", "arrays.npz", "images.zip"]
    finished = subprocess.run(
        [sys.executable, "-c", READ_SCRIPT, *(tmp_path / name for name in names)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    codes = json.loads(finished.stdout)
    assert codes.keys() == set(names)
    for found in codes.values():
        # An archive is refused with a message that names the memory.
        assert set(found) <= {"out_of_memory", "archive_refused"}
