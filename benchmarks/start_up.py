"""How long the doors take to open: imports in fresh processes, median and range.

python -m benchmarks.start_up [--runs 5]
"""

import argparse
import subprocess
import sys
from statistics import median
from time import perf_counter

IMPORTS = {"nothing": "pass", "the API": "import api.app", "the core (torch)": "import dlkd_core.pipeline"}


def seconds(code: str) -> float:
    """Wall-clock seconds of a fresh interpreter that runs `code`."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the constants above
    return perf_counter() - start


def main() -> None:
    """Prints the table as markdown; the three are run in turn, so that a slow moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    seen: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(runs):
        for name, code in IMPORTS.items():
            seen[name].append(seconds(code))
    print("| process imports | seconds, median | range |\n|---|---|---|")
    for name, values in seen.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")


if __name__ == "__main__":
    main()
