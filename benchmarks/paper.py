"""The paper's table: ours beside the published numbers, mean and spread over seeds, last epoch, and a drawing of it.

    python -m benchmarks.paper --data cifar100.zip --pairs wrn_40_2/wrn_16_2 --methods plain,kd,crd,dlkd --seeds 3

A method's parameters may follow its name: dlkd:views=single:alignment=5:correlation=1. Teachers are trained where --teachers
names no file. A run that was interrupted goes on where it stood.
Without --epochs a GPU trains the paper's 240 and a CPU 12, which is a smoke test of the table and no reproduction of it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import Cells
from benchmarks.table import Cell, draw, header, row
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
        self.data = {"path": self.cells.packed(given.data, given.val)}
        self.pairs: list[str] = given.pairs.split(",")
        self.sources = {pair: [name for name, table in PUBLISHED.items() if pair in table["pairs"]] for pair in self.pairs}
        self.teachers: dict[str, float] = {}

    def teacher(self, name: str) -> Path:
        """The weights of that teacher."""
        if name in self.given.teachers:
            file: Path = self.given.teachers[name]
            return file
        found = self.cells.result(
            student={"architecture": name}, dataset=self.data, training=training(name, self.given.epochs, 0)
        )
        weights: Path = found["weights"]
        return weights

    def cell(self, pair: str, method: str) -> Cell:
        """One entry, a run for each seed."""
        teacher, student = pair.split("/")
        found = [
            self.cells.result(
                student={"architecture": student},
                dataset=self.data,
                teacher=None if method == "plain" else {"path": self.teacher(teacher)},
                method=_parsed(method),
                training=training(student, self.given.epochs, seed),
            )
            for seed in range(self.given.seeds)
        ]
        if found[0]["teacher"]:
            self.teachers[pair] = 100 * found[0]["teacher"]
        known = {name: value for name in self.sources[pair] if (value := _published(name, pair, method)) is not None}
        return Cell(pair, method, [100 * one["student"] for one in found], known)

    def show(self) -> None:
        """Prints the table as markdown and draws it beside its runs."""
        print(header(self.pairs, self.sources), flush=True)
        cells: list[Cell] = []
        for method in self.given.methods.split(","):
            cells += (line := [self.cell(pair, method) for pair in self.pairs])
            print(row(method, line, self.sources), flush=True)
        draw(cells, self.teachers, picture := self.given.out / "table.svg")
        print(f"\nDrawn: {picture}")


def _parsed(told: str) -> dict[str, Any]:
    """The method that name:parameter=value:… names."""
    name, *parameters = told.split(":")
    return {"name": name, **{key: _value(value) for key, value in (one.split("=", 1) for one in parameters)}}


def _value(told: str) -> float | str:
    try:
        return float(told)
    except ValueError:
        return told


def _published(table: str, pair: str, method: str) -> float | None:
    entry = PUBLISHED[table]
    value: float | None = entry["top1"].get(method, [None] * len(entry["pairs"]))[entry["pairs"].index(pair)]
    return value


def _teachers(given: str) -> dict[str, Path]:
    """Files by architecture: a folder of <architecture>.<suffix>, or resnet56=one.th,vgg13=another.pth."""
    if "=" not in given:
        return {path.stem: path for path in Path(given).iterdir()}
    return {name: Path(path) for name, path in (pair.split("=", 1) for pair in given.split(","))}


def main() -> None:
    """See the top of this file."""
    gpu = pick_device().type == "cuda"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--val", type=Path, help="another data set, whose val split is evaluated on")
    parser.add_argument("--pairs", default="wrn_40_2/wrn_16_2")
    parser.add_argument("--methods", default="plain,kd,dlkd")
    parser.add_argument("--seeds", type=int, default=3 if gpu else 1)
    parser.add_argument("--epochs", type=int, default=240 if gpu else 12)
    parser.add_argument("--teachers", type=_teachers, default={}, help="a folder of <architecture>.<suffix>, or name=file,…")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("out/paper"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{describe(pick_device())}; {given.epochs} epochs, {given.seeds} seed(s), {given.data.name}\n")
    Table(given).show()


if __name__ == "__main__":
    main()
