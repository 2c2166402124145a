"""A worker's scratch folder, locked while the worker is alive.

The lock shows that the worker is alive. Each worker removes the folders of dead workers when it
starts.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK_FILE = "lock"


@contextmanager
def create_worker_folder(base: Path, name: str) -> Iterator[Path]:
    """Remove the folders of dead workers and create the private folder `base/name`.

    The new folder exists for the duration of the `with` block.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    for other in base.iterdir():
        _remove_if_dead(other)
    folder = base / name
    folder.mkdir(mode=0o700)
    with (folder / f".{_LOCK_FILE}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(folder / _LOCK_FILE)  # visible only once it is locked
        try:
            yield folder
        finally:
            # A trainer that is being killed may still write files. The next start removes them.
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    lock = folder / _LOCK_FILE
    if not lock.exists():
        return  # another worker is creating or removing it
    with lock.open("w") as file, suppress(OSError):  # its worker is alive
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
