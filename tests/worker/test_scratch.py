"""Tests for the workers' scratch folders.

The folder of a killed worker is removed when another worker starts.
"""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from worker.scratch import create_worker_folder

OTHER_WORKER = """
import sys
from pathlib import Path
from worker.scratch import create_worker_folder

with create_worker_folder(Path(sys.argv[1]), "worker_other") as folder:
    (folder / "attempt").mkdir()
    print(flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_private_and_removed_with_its_worker(tmp_path: Path) -> None:
    with create_worker_folder(tmp_path / "work", "worker_1") as folder:
        (folder / "attempt").mkdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list((tmp_path / "work").iterdir()) == []


def test_a_folder_is_removed_when_its_worker_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), create_worker_folder(tmp_path, "worker_1"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_worker_is_removed_and_that_of_a_running_one_kept(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_WORKER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with create_worker_folder(tmp_path, "worker_1"):
            assert (tmp_path / "worker_other" / "attempt").is_dir()
        other.kill()
        other.wait()
        assert (tmp_path / "worker_other" / "attempt").is_dir()
        with create_worker_folder(tmp_path, "worker_2"):
            assert [path.name for path in tmp_path.iterdir()] == ["worker_2"]


def test_workers_that_start_together_keep_their_folders(tmp_path: Path) -> None:
    workers, rounds = 8, 20
    start, inside = Barrier(workers), Barrier(workers)

    def create_folders(worker: int) -> bool:
        kept = True
        for round_number in range(rounds):
            start.wait()
            with create_worker_folder(tmp_path, f"worker_{round_number}_{worker}") as folder:
                inside.wait()
                kept = kept and (folder / "lock").exists()
                inside.wait()
        return kept

    with ThreadPoolExecutor(workers) as pool:
        assert all(pool.map(create_folders, range(workers)))
