"""The folders of workers: private, removed with them, and never taken from the living."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from worker.scratch import own_folder

HOLD = """
import sys
from pathlib import Path
from worker.scratch import own_folder

with own_folder(Path(sys.argv[1]), "worker_other") as folder:
    (folder / "attempt").mkdir()
    print(flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_private_and_goes_with_its_worker(tmp_path: Path) -> None:
    with own_folder(tmp_path / "work", "worker_1") as folder:
        (folder / "attempt").mkdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list((tmp_path / "work").iterdir()) == []


def test_a_folder_goes_when_its_worker_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), own_folder(tmp_path, "worker_1"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_and_a_living_one_keeps_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with own_folder(tmp_path, "worker_1"):
            assert (tmp_path / "worker_other" / "attempt").is_dir()
        other.kill()
        other.wait()
        assert (tmp_path / "worker_other" / "attempt").is_dir()
        with own_folder(tmp_path, "worker_2"):
            assert [path.name for path in tmp_path.iterdir()] == ["worker_2"]


def test_workers_that_start_together_keep_their_folders(tmp_path: Path) -> None:
    workers, rounds = 8, 20
    together, all_in = Barrier(workers), Barrier(workers)

    def work(number: int) -> bool:
        kept = True
        for turn in range(rounds):
            together.wait()
            with own_folder(tmp_path, f"worker_{turn}_{number}") as folder:
                all_in.wait()
                kept = kept and (folder / "lock").exists()
                all_in.wait()
        return kept

    with ThreadPoolExecutor(workers) as pool:
        assert all(pool.map(work, range(workers)))
