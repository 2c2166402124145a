"""Reproduces the table of the DLKD paper, and prints and plots it with the published accuracies.

Usage: python -m benchmarks.paper_reproduction --data cifar100.zip --pairs wrn_40_2/wrn_16_2
    --methods plain,kd,crd,dlkd --seeds 3

Each entry is the accuracy after the last epoch, as mean and standard deviation over the seeds. A
method's parameters follow its name: dlkd:views=single:alignment=5:correlation=1. A teacher is
trained unless --teachers provides its file. An interrupted run resumes where it stopped. The
default of --epochs is 240 on a GPU, as in the paper. On a CPU it is 12, which exercises this
program but does not reproduce the table.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.results_table import TableCell, format_header, format_row, plot_table
from benchmarks.run_cache import RunCache
from dlkd_core.device import describe_device, pick_device

PUBLISHED: dict[str, Any] = json.loads(
    Path(__file__).with_name("published_results.json").read_text()
)
# Published parameters of methods that differ between pairs: mdistiller's configurations for dkd,
# and those of ReviewKD's authors.
_PAIR_PARAMETERS: dict[str, dict[str, dict[str, float]]] = {
    "dkd": {
        "wrn_40_2/wrn_16_2": {"beta": 6},
        "wrn_40_2/wrn_40_1": {"beta": 6},
        "vgg13/vgg8": {"beta": 6},
        "resnet56/resnet20": {"beta": 2},
    },
    "reviewkd": {
        "resnet32x4/ShuffleV2": {"review": 8},
        "resnet110/resnet32": {"review": 1},
        "resnet110/resnet20": {"review": 0.6},
    },
}
# Architectures that the paper trains with a fifth of the usual learning rate.
_LOW_LEARNING_RATE = {"MobileNetV2", "ShuffleV1", "ShuffleV2"}


def training_config(architecture: str, epochs: int, seed: int) -> dict[str, Any]:
    """Return the paper's training settings for an architecture."""
    return {
        "epochs": epochs,
        "seed": seed,
        "batch_size": 64,
        "schedule": {"name": "step"},
        "learning_rate": 0.01 if architecture in _LOW_LEARNING_RATE else 0.05,
        "evaluate_every": 10_000,
    }


class PaperTable:
    """Computes the missing entries of the table and prints each row as soon as it is complete."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run_cache = RunCache(arguments.out)
        self.data = {"path": self.run_cache.decode_dataset(arguments.data, arguments.val)}
        self.pairs: list[str] = arguments.pairs.split(",")
        self.sources = {
            pair: [name for name, table in PUBLISHED.items() if pair in table["pairs"]]
            for pair in self.pairs
        }
        self.teacher_top1: dict[str, float] = {}  # in percent, by pair

    def teacher_weights(self, name: str) -> Path:
        """Return the path of a teacher's weights. The teacher is trained first if necessary."""
        if name in self.arguments.teachers:
            file: Path = self.arguments.teachers[name]
            return file
        result = self.run_cache.get_or_run(
            student={"architecture": name},
            dataset=self.data,
            training=training_config(name, self.arguments.epochs, 0),
        )
        weights: Path = result["weights"]
        return weights

    def run_cell(self, pair: str, method: str) -> TableCell:
        """Train the student of one table entry with each seed and return the accuracies."""
        teacher, student = pair.split("/")
        results = [
            self.run_cache.get_or_run(
                student={"architecture": student},
                dataset=self.data,
                teacher=None if method == "plain" else {"path": self.teacher_weights(teacher)},
                method=parse_method(method, pair),
                training=training_config(student, self.arguments.epochs, seed),
            )
            for seed in range(self.arguments.seeds)
        ]
        if results[0]["teacher"]:
            self.teacher_top1[pair] = 100 * results[0]["teacher"]
        published = {
            name: value
            for name in self.sources[pair]
            if (value := _published_top1(name, pair, method)) is not None
        }
        return TableCell(pair, method, [100 * result["student"] for result in results], published)

    def run_and_print(self) -> None:
        """Print the table as Markdown and save its plot in the output folder."""
        print(format_header(self.pairs, self.sources), flush=True)
        cells: list[TableCell] = []
        for method in self.arguments.methods.split(","):
            row = [self.run_cell(pair, method) for pair in self.pairs]
            cells += row
            print(format_row(method, row, self.sources), flush=True)
        plot = self.arguments.out / "table.svg"
        plot_table(cells, self.teacher_top1, plot)
        for name in dict.fromkeys(name for names in self.sources.values() for name in names):
            print(f"\n{name}: {PUBLISHED[name]['setting']}.")
        print(f"\nPlot: {plot}")


def parse_method(text: str, pair: str = "") -> dict[str, Any]:
    """Parse a method written as `name:parameter=value:…`.

    Parameters that were published for the pair (teacher/student) replace the method's defaults.
    """
    name, *parameters = text.split(":")
    method: dict[str, Any] = {"name": name, **_PAIR_PARAMETERS.get(name, {}).get(pair, {})}
    for parameter in parameters:
        key, value = parameter.split("=", 1)
        method[key] = _parse_value(value)
    return method


def _parse_value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _published_top1(table: str, pair: str, method: str) -> float | None:
    pairs, top1 = PUBLISHED[table]["pairs"], PUBLISHED[table]["top1"]
    if method not in top1:
        return None
    value: float | None = top1[method][pairs.index(pair)]
    return value


def _parse_teachers(text: str) -> dict[str, Path]:
    """Return the teacher files by architecture.

    The text is either the path of a folder whose files are named <architecture>.<suffix>, or a list
    such as resnet56=one.th,vgg13=another.pth.
    """
    if "=" not in text:
        return {path.stem: path for path in Path(text).iterdir()}
    return {name: Path(path) for name, path in (pair.split("=", 1) for pair in text.split(","))}


def _parse_arguments() -> argparse.Namespace:
    gpu = pick_device().type == "cuda"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="dataset")
    parser.add_argument("--val", type=Path, help="dataset whose val split replaces that of --data")
    parser.add_argument(
        "--pairs", default="wrn_40_2/wrn_16_2", help="teacher/student pairs, separated by commas"
    )
    parser.add_argument("--methods", default="plain,kd,dlkd", help="methods, separated by commas")
    parser.add_argument("--seeds", type=int, default=3 if gpu else 1, help="runs per entry")
    parser.add_argument("--epochs", type=int, default=240 if gpu else 12, help="epochs per run")
    parser.add_argument(
        "--teachers",
        type=_parse_teachers,
        default={},
        help="folder with files named <architecture>.<suffix>, or a list such as resnet56=one.th",
    )
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="number of CPU threads"
    )
    parser.add_argument("--out", type=Path, default=Path("out/paper"), help="output folder")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    print(
        f"{describe_device(pick_device())}; {arguments.epochs} epochs, "
        f"{arguments.seeds} seed(s), {arguments.data.name}\n"
    )
    PaperTable(arguments).run_and_print()


if __name__ == "__main__":
    main()
