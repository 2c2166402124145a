"""Measures how long the main packages take to import in a new process: median and range.

Usage: python -m benchmarks.import_time [--runs 5]
"""

import argparse
import subprocess
import sys
from statistics import median
from time import perf_counter

IMPORTS = {
    "nothing": "pass",
    "the API": "import api.app",
    "the core (torch)": "import dlkd_core.pipeline",
}


def measure_seconds(code: str) -> float:
    """Return how many seconds a new interpreter takes to run `code`."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the constants above
    return perf_counter() - start


def main() -> None:
    """Print the table of import times as Markdown.

    Each round measures every import once, so that a slow period on the machine affects all of them.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="number of runs per import")
    num_runs = parser.parse_args().runs
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(num_runs):
        for name, code in IMPORTS.items():
            seconds[name].append(measure_seconds(code))
    print("| process imports | seconds, median | range |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")


if __name__ == "__main__":
    main()
