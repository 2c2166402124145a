"""Measures how fast the service answers while it checks hostile files.

`python -m tests.hostile.response_times` starts a service, measures requests without uploads, and
then the same requests while several clients upload hostile files one after another.
"""

import argparse
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from tests.hostile.case import Case
from tests.hostile.corpus import choose_cases
from tests.support.local_service import read_ready_line, run_local_service, stop

_PATHS = ("/v1/jobs", "/readyz", "/")
_PAUSE_SECONDS = 0.05
_UPLOAD_PATHS = {"check_teacher": "/v1/teachers", "check_dataset": "/v1/datasets"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="duration of each of both parts")
    parser.add_argument("--clients", type=int, default=3, help="clients that upload files")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name, run_local_service(Path(name) / "data") as process:
        folder, address = Path(name), read_ready_line(process)
        headers = {"Authorization": f"Bearer {address['api_key']}"}
        with httpx.Client(base_url=address["url"], headers=headers, timeout=60) as client:
            for path in _PATHS:
                client.get(path).raise_for_status()
            print("| request | uploads | requests | median (ms) | 95th (ms) | maximum (ms) |")
            print("| --- | --- | --- | --- | --- | --- |")
            print_rows(measure_requests(client, arguments.seconds), uploads=0)
            with upload_cases(client, folder, arguments.clients) as statuses:
                seconds = measure_requests(client, arguments.seconds)
            print_rows(seconds, uploads=statuses.total())
        print(f"\nAnswers to uploads: {dict(statuses)}. Load average: {os.getloadavg()[0]:.1f}.")
        stop(process)


def measure_requests(client: httpx.Client, seconds: float) -> dict[str, list[float]]:
    """Return how many seconds each request took, by path."""
    taken: dict[str, list[float]] = {path: [] for path in _PATHS}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in _PATHS:
            start = time.perf_counter()
            client.get(path)
            taken[path].append(time.perf_counter() - start)
        time.sleep(_PAUSE_SECONDS)
    return taken


def print_rows(taken: dict[str, list[float]], uploads: int) -> None:
    for path, seconds in taken.items():
        middle, high, longest = (1000 * np.quantile(seconds, part) for part in (0.5, 0.95, 1))
        print(
            f"| {path} | {uploads} | {len(seconds)} | {middle:.1f} | {high:.1f} | {longest:.1f} |"
        )


@contextmanager
def upload_cases(client: httpx.Client, folder: Path, clients: int) -> Iterator[Counter[int]]:
    """Upload hostile files during the `with` block. Yields how often each status was answered."""
    cases = choose_cases(sample=True)
    statuses: Counter[int] = Counter()
    done = threading.Event()
    threads = []
    for number in range(clients):
        own_folder = folder / f"client-{number}"
        own_folder.mkdir()
        arguments = (client, cases[number::clients], own_folder, statuses, done)
        threads.append(threading.Thread(target=_upload_repeatedly, args=arguments))
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _upload_repeatedly(
    client: httpx.Client,
    cases: Sequence[Case],
    folder: Path,
    statuses: Counter[int],
    done: threading.Event,
) -> None:
    while not done.is_set():
        for case in cases:
            if done.is_set():
                return
            path = case.write(folder)
            with path.open("rb") as file:
                answer = client.post(_UPLOAD_PATHS[case.check], files={"file": (path.name, file)})
            statuses[answer.status_code] += 1
            path.unlink()


if __name__ == "__main__":
    main()
