"""A worker's folder: locked while it lives, so that the folders of dead workers can be told apart and removed."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_LOCK = "lock"


@contextmanager
def own_folder(base: Path, name: str) -> Iterator[Path]:
    """A private folder ``base/name`` for the block; what dead workers left beside it is removed first."""
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    for other in base.iterdir():
        _remove_if_dead(other)
    folder = base / name
    folder.mkdir(mode=0o700)
    with (folder / f".{_LOCK}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(folder / _LOCK)  # whoever sees it finds it held
        try:
            yield folder
        finally:
            # A trainer that is being killed may still be writing: the next start removes what is left.
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    lock = folder / _LOCK
    if not lock.exists():
        return  # being made or being removed right now
    with lock.open("w") as file:
        if _locked(file):
            shutil.rmtree(folder, ignore_errors=True)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
