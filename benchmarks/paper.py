"""The CIFAR-100 table of the paper: ours beside the published numbers, mean and spread over seeds, last epoch.

    python -m benchmarks.paper --data cifar100.zip --pairs wrn_40_2/wrn_16_2 --methods plain,kd,crd,dlkd --seeds 3

Teachers are trained where --teachers has no file of their name. A run that was interrupted goes on where it stood.
Without --epochs a GPU trains the paper's 240 and a CPU 12, which is a smoke test of the table and no reproduction of it.
"""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.cells import Cells
from dlkd_core.device import describe, pick_device

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text())
_SLOW = {"MobileNetV2", "ShuffleV1", "ShuffleV2"}  # the paper trains these at a fifth of the learning rate


def training(architecture: str, epochs: int, seed: int) -> dict[str, Any]:
    """The paper's recipe."""
    return {"epochs": epochs, "seed": seed, "learning_rate": 0.01 if architecture in _SLOW else 0.05, "evaluate_every": 10_000}


class Table:
    """Runs what is missing and prints a row as soon as it is whole."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.cells = Cells(given.out)
        self.data = {"path": self.cells.packed(given.data)}
        self.pairs = [tuple(pair.split("/")) for pair in given.pairs.split(",")]

    def teacher(self, name: str) -> Path:
        """The weights of that teacher."""
        file: Path = self.given.teachers / f"{name}.safetensors" if self.given.teachers else Path()
        if file.is_file():
            return file
        found = self.cells.result(
            student={"architecture": name}, dataset=self.data, training=training(name, self.given.epochs, 0)
        )
        weights: Path = found["weights"]
        return weights

    def ours(self, teacher: str, student: str, method: str) -> list[float]:
        """Top-1 in percent, one of each seed."""
        source = None if method == "plain" else {"path": self.teacher(teacher)}
        return [
            100
            * self.cells.result(
                student={"architecture": student},
                dataset=self.data,
                teacher=source,
                method={"name": method},
                training=training(student, self.given.epochs, seed),
            )["student"]
            for seed in range(self.given.seeds)
        ]

    def show(self) -> None:
        """Prints the table as markdown."""
        header = " | ".join(f"{teacher} → {student} | RepDistiller | SSKD" for teacher, student in self.pairs)
        print(f"| | {header} |\n|---|" + "---|" * 3 * len(self.pairs), flush=True)
        for method in self.given.methods.split(","):
            cells = []
            for teacher, student in self.pairs:
                values = self.ours(teacher, student, method)
                spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
                known = [_published(table, f"{teacher}/{student}", method) for table in ("RepDistiller", "SSKD")]
                cells += [f"**{mean(values):.2f}**{spread}", *known]
            print(f"| {method} | {' | '.join(cells)} |", flush=True)


def _published(table: str, pair: str, method: str) -> str:
    entry = PUBLISHED[table]
    if pair not in entry["pairs"] or method not in entry["top1"]:
        return ""
    value = entry["top1"][method][entry["pairs"].index(pair)]
    return "" if value is None else f"{value:.2f}"


def main() -> None:
    """See the top of this file."""
    gpu = pick_device().type == "cuda"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", default="wrn_40_2/wrn_16_2")
    parser.add_argument("--methods", default="plain,kd,dlkd")
    parser.add_argument("--seeds", type=int, default=3 if gpu else 1)
    parser.add_argument("--epochs", type=int, default=240 if gpu else 12)
    parser.add_argument("--teachers", type=Path, help="folder of <architecture>.safetensors")
    parser.add_argument("--out", type=Path, default=Path("out/paper"))
    given = parser.parse_args()
    print(f"{describe(pick_device())}; {given.epochs} epochs, {given.seeds} seed(s), {given.data.name}\n")
    Table(given).show()


if __name__ == "__main__":
    main()
