"""Measures how fast the service answers while it checks hostile files.

`python -m benchmarks.response_times` starts a service, measures requests without uploads, and
then the same requests while several clients upload hostile files one after another.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from tests.hostile.corpus import choose_cases
from tests.support.local_service import read_ready_line, run_local_service, stop

_PATHS = ("/v1/jobs", "/readyz", "/")
_PAUSE_SECONDS = 0.05
_UPLOAD_PATHS = {"check_teacher": "/v1/teachers", "check_dataset": "/v1/datasets"}


def main() -> None:
    """Measure the requests without and with uploads, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="duration of each of both parts")
    parser.add_argument("--clients", type=int, default=3, help="clients that upload files")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name, run_local_service(Path(name) / "data") as process:
        files = write_files(Path(name))
        address = read_ready_line(process)
        headers = {"Authorization": f"Bearer {address['api_key']}"}
        with (
            httpx.Client(base_url=address["url"], headers=headers, timeout=60) as client,
            # The clients are processes of their own, so that they do not delay the requests.
            ProcessPoolExecutor(arguments.clients, get_context("fork")) as pool,
        ):
            for path in _PATHS:
                client.get(path).raise_for_status()
            load = os.getloadavg()[0]
            baseline = measure_requests(client, arguments.seconds)
            uploads = [
                pool.submit(
                    upload_files,
                    client.base_url,
                    headers,
                    files[number :: arguments.clients],
                    arguments.seconds,
                )
                for number in range(arguments.clients)
            ]
            taken = measure_requests(client, arguments.seconds)
            statuses = sum((upload.result() for upload in uploads), Counter[int]())
        stop(process)
    print("| request | uploads | requests | median (ms) | 95th percentile (ms) | maximum (ms) |")
    print("| --- | --- | --- | --- | --- | --- |")
    print_rows(baseline, uploads=0)
    print_rows(taken, uploads=statuses.total())
    print(f"Answers to uploads: {dict(statuses)}. Load average before: {load:.1f}.")


def write_files(folder: Path) -> list[tuple[str, Path]]:
    """Write a sample of the hostile files. Return the path of each upload and its file."""
    files = []
    for number, case in enumerate(choose_cases(sample=True)):
        own_folder = folder / str(number)
        own_folder.mkdir()
        files.append((_UPLOAD_PATHS[case.check], case.write(own_folder)))
    return files


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
    """Print one row for each path."""
    for path, seconds in taken.items():
        middle, high, longest = (1000 * np.quantile(seconds, part) for part in (0.5, 0.95, 1))
        print(
            f"| {path} | {uploads} | {len(seconds)} | {middle:.1f} | {high:.1f} | {longest:.1f} |"
        )


def upload_files(
    url: httpx.URL,
    headers: Mapping[str, str],
    files: Sequence[tuple[str, Path]],
    seconds: float,
) -> Counter[int]:
    """Upload the files one after another, again and again. Return the counts of the statuses."""
    statuses: Counter[int] = Counter()
    end = time.monotonic() + seconds
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for upload_path, path in cycle(files):
            if time.monotonic() > end:
                break
            with path.open("rb") as file:
                answer = client.post(upload_path, files={"file": (path.name, file)})
            statuses[answer.status_code] += 1
    return statuses


if __name__ == "__main__":
    main()
