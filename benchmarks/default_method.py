"""Compares `dlkd_auto` with training on labels alone and with published methods.

Usage: python -m benchmarks.default_method --data FOLDER --teachers FOLDER
    [--cells cifar10_resnet8_10,…] [--methods plain,kd,…] [--seeds 3] [--plan]

A cell is a dataset, a teacher, a student and a number of epochs. Every rival is tuned on each cell:
each of its settings trains on four fifths of the training images and is measured on the rest. The
best setting then trains on all training images with several seeds and is measured once on the
test images, after the last epoch. `dlkd_auto` runs with the service's defaults and is not tuned.
All methods of a cell train side by side on the same views. Finished runs are stored in --out, so an
interrupted benchmark resumes where it stopped. --plan prints the planned CPU hours and stops.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.rival_settings import METHODS, Setting
from dlkd_core.data import ReadOptions, open_dataset
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.label_noise import subsample_labels
from dlkd_core.device import describe_device, pick_device
from dlkd_core.distributed.process_group import SINGLE_PROCESS
from dlkd_core.pipeline import build_training_run, fit_to_run, load_inputs
from dlkd_core.spec import DistillationSpec
from dlkd_core.training.run_inputs import RunInputs
from dlkd_core.training.side_by_side import StudentResult, finish, train_side_by_side

OURS = "dlkd_auto"
TUNING, TEST = "tuning", "test"
_TUNING_SEED = 1000  # not one of the seeds of the test runs
_HELD_OUT_FRACTION = 0.2


@dataclass(frozen=True)
class BenchmarkCell:
    """A dataset, a teacher, a student and a training budget.

    Attributes:
        data: File name of the dataset, whose training split is used.
        test: File name of the dataset whose val split is the test set.
        teacher: File name of the teacher.
        student: Architecture of the student.
        epochs: Number of epochs.
        training_images: Fraction of each class's training images to use.
        step_seconds: Estimated CPU seconds of a step of the student, for the plan.
        options: Additional fields of the spec, by section.
    """

    data: str
    test: str
    teacher: str
    student: str
    epochs: int
    training_images: float | None = None
    step_seconds: float = 0.1
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


_CIFAR10 = {
    "data": "cifar10_subset_png.zip",
    "test": "cifar10_full_jpeg.zip",
    "teacher": "cifar10_resnet56-4bfd9763.th",
}
CELLS: dict[str, BenchmarkCell] = {
    "cifar10_resnet8_10": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=10),
    "cifar10_resnet8_3": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=3),
    "cifar10_resnet8_30": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=30),
    "cifar10_vgg8_3": BenchmarkCell(**_CIFAR10, student="vgg8", epochs=3, step_seconds=0.6),
    "cifar10_mobilenet_10": BenchmarkCell(**_CIFAR10, student="MobileNetV2", epochs=10),
    "cifar10_wrn_16_1_5": BenchmarkCell(**_CIFAR10, student="wrn_16_1", epochs=5, step_seconds=0.2),
    "cifar10_500_resnet8_30": BenchmarkCell(
        **_CIFAR10, student="resnet8", epochs=30, training_images=0.1
    ),
    "cifar10_resnet20_teacher_10": BenchmarkCell(
        **{**_CIFAR10, "teacher": "cifar10_resnet20-12fca82f.th"}, student="resnet8", epochs=10
    ),
    "cifar100_resnet8_5": BenchmarkCell(
        data="cifar100_full_jpeg.zip",
        test="cifar100_full_jpeg.zip",
        teacher="cifar100_osinet.onnx",
        student="resnet8",
        epochs=5,
        training_images=0.2,
    ),
}


class Benchmark:
    """Runs the missing entries of the requested cells and prints their tables."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.results_file: Path = arguments.out / "results.json"
        self.results: dict[str, dict[str, Any]] = (
            json.loads(self.results_file.read_text()) if self.results_file.exists() else {}
        )

    def run_cell(self, name: str) -> None:
        """Tune the rivals on the cell, then measure every method on the test images."""
        cell = CELLS[name]
        inputs = _load_cell(cell, self.arguments)
        tuning = replace(inputs, data=_hold_out(inputs.data))
        settings = {
            method: choices for method, choices in METHODS.items() if method in self.methods
        }
        candidates = [
            (method, index)
            for method, choices in settings.items()
            if len(choices) > 1
            for index in range(len(choices))
        ]
        self._run_group(name, TUNING, tuning, candidates, _TUNING_SEED)
        chosen = [(method, self._choose_setting(name, method)) for method in settings]
        for seed in range(self.arguments.seeds):
            self._run_group(name, TEST, inputs, chosen, seed)
        self.print_table(name)

    @property
    def methods(self) -> list[str]:
        """Names of the methods to compare."""
        names: list[str] = self.arguments.methods
        return names

    def _run_group(
        self,
        cell: str,
        phase: str,
        inputs: RunInputs,
        entries: Sequence[tuple[str, int]],
        seed: int,
    ) -> None:
        """Train the settings that are not stored yet, those with equal batches side by side."""
        missing = [
            (method, index)
            for method, index in entries
            if _key(cell, phase, method, index, seed) not in self.results
        ]
        groups: dict[tuple[object, ...], list[tuple[str, int]]] = {}
        fitted = {entry: _fit(inputs, CELLS[cell], *entry, seed) for entry in missing}
        for entry, run_inputs in fitted.items():
            batches = (run_inputs.training.batch_size, run_inputs.spec.method.views)
            groups.setdefault(batches, []).append(entry)
        for group in groups.values():
            for part in _split(group, self.arguments.group_size):
                runs = [
                    build_training_run(
                        fitted[entry], fitted[entry].data, self.arguments.out, None, digest=""
                    )
                    for entry in part
                ]
                for result in train_side_by_side(runs):
                    finished = result
                for (method, index), student in zip(part, finished.students, strict=True):
                    self.results[_key(cell, phase, method, index, seed)] = _to_json(
                        METHODS[method][index], student, finished.teacher_cpu_seconds
                    )
                self._save()

    def _choose_setting(self, cell: str, method: str) -> int:
        """Return the index of the setting with the best accuracy on the held-out images."""
        choices = range(len(METHODS[method]))
        if len(choices) == 1:
            return 0
        return max(
            choices,
            key=lambda index: self.results[_key(cell, TUNING, method, index, _TUNING_SEED)]["top1"],
        )

    def _save(self) -> None:
        self.results_file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.results_file.with_suffix(".partial")
        partial.write_text(json.dumps(self.results, indent=1, sort_keys=True) + "\n")
        partial.replace(self.results_file)

    def print_table(self, name: str) -> None:
        """Print the cell's test results, best method first, with paired gains of `dlkd_auto`."""
        top1 = {
            method: [
                self.results[key]["top1"]
                for seed in range(self.arguments.seeds)
                if (key := _key(name, TEST, method, self._choose_setting(name, method), seed))
                in self.results
            ]
            for method in self.methods
        }
        print(f"\n### {name}\n\n| method | top-1 (%) | {OURS} minus method | CPU s | setting |")
        print("|---|---|---|---|---|")
        for method in sorted(top1, key=lambda method: -mean(top1[method])):
            index = self._choose_setting(name, method)
            entries = [
                self.results[_key(name, TEST, method, index, seed)]
                for seed in range(len(top1[method]))
            ]
            seconds = mean(entry["cpu_seconds"] for entry in entries)
            gain = _format_gain(top1.get(OURS, []), top1[method]) if method != OURS else ""
            print(
                f"| {method} | {_format(top1[method])} | {gain} | {seconds:.0f} |"
                f" {METHODS[method][index]} |",
                flush=True,
            )


def _load_cell(cell: BenchmarkCell, arguments: argparse.Namespace) -> RunInputs:
    """Load the data and the teacher. The teacher is verified on the test images."""
    spec = DistillationSpec.model_validate(
        {
            "teacher": {
                "path": arguments.teachers / cell.teacher,
                **cell.options.get("teacher", {}),
            },
            "student": {"architecture": cell.student, **cell.options.get("student", {})},
            "dataset": {
                "path": _decode(cell, arguments),
                **cell.options.get("dataset", {}),
            },
            "method": {"name": OURS},
            "training": {"epochs": cell.epochs},
        }
    )
    return finish(load_inputs(spec, ReadOptions(cache_dir=arguments.out), SINGLE_PROCESS))


def _decode(cell: BenchmarkCell, arguments: argparse.Namespace) -> Path:
    """Decode the cell's images once, and return the path of the decoded file."""
    fraction = f"_{cell.training_images}" if cell.training_images else ""
    path: Path = arguments.out / f"{Path(cell.data).stem}{fraction}.safetensors"
    if not path.exists():
        dataset = open_dataset(arguments.data / cell.data)
        if cell.test != cell.data:
            dataset = replace(dataset, val=open_dataset(arguments.data / cell.test).val)
        if cell.training_images:
            train = subsample_labels(dataset.train, cell.training_images, seed=0)
            dataset = replace(dataset, train=train)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save(path)
    return path


def _hold_out(data: ImageDataset) -> ImageDataset:
    """Return the dataset with a part of its training images in the place of the test images."""
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(_TUNING_SEED))
    count = round(len(data.train) * _HELD_OUT_FRACTION)
    held_out, kept = order[:count], order[count:]
    train = data.train
    return replace(
        data,
        train=DatasetSplit(train.images[kept], train.labels[kept]),
        val=DatasetSplit(train.images[held_out], train.labels[held_out]),
    )


def _fit(inputs: RunInputs, cell: BenchmarkCell, method: str, index: int, seed: int) -> RunInputs:
    """Return the inputs of one run. A run without a teacher keeps none."""
    setting = METHODS[method][index]
    needs_teacher = setting.method["name"] != "plain"
    spec = DistillationSpec.model_validate(
        {
            **inputs.spec.model_dump(),
            "teacher": inputs.spec.teacher.model_dump() if needs_teacher else None,
            "method": setting.method,
            "training": {
                "epochs": cell.epochs,
                "seed": seed,
                "evaluate_every": 100_000,
                **cell.options.get("training", {}),
                **setting.training,
            },
        }
    )
    teacher = inputs.teacher if needs_teacher else None
    spec, training = finish(fit_to_run(spec, inputs.data, teacher, inputs.device))
    return replace(inputs, spec=spec, training=training, teacher=teacher)


def _split(entries: list[tuple[str, int]], size: int) -> Iterator[list[tuple[str, int]]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _key(cell: str, phase: str, method: str, index: int, seed: int) -> str:
    return f"{cell}/{phase}/{method}/{index}/{seed}"


def _to_json(setting: Setting, student: StudentResult, teacher_seconds: float) -> dict[str, Any]:
    return {
        "method": setting.method,
        "training": setting.training,
        "top1": round(student.metrics.get("top1", 0.0), 5),  # 0 if the training diverged
        "diverged_at": student.diverged_at,
        "cpu_seconds": round(student.cpu_seconds, 2),
        "teacher_cpu_seconds": round(teacher_seconds, 2),
        "device": describe_device(pick_device()),
    }


def _format(values: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.2f}{spread}"


def _format_gain(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the paired mean difference over the seeds with its standard error, in points."""
    differences = [100 * (a - b) for a, b in zip(ours, theirs, strict=False)]
    if not differences:
        return ""
    error = f" ± {stdev(differences) / len(differences) ** 0.5:.2f}" if len(differences) > 1 else ""
    return f"{mean(differences):+.2f}{error}"


def print_plan(arguments: argparse.Namespace) -> None:
    """Print the planned number of runs and CPU hours of each cell."""
    settings = {name: METHODS[name] for name in arguments.methods}
    tuning_runs = sum(len(choices) for choices in settings.values() if len(choices) > 1)
    for name in arguments.cells:
        cell = CELLS[name]
        images = 5_000 * (cell.training_images or 1) if "cifar10_" in name else 10_000
        steps = cell.epochs * images / 64
        runs = tuning_runs * (1 - _HELD_OUT_FRACTION) + len(settings) * arguments.seeds
        print(f"{name}: {runs:.0f} runs, {runs * steps * cell.step_seconds / 3600:.1f} CPU hours")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the teachers")
    parser.add_argument("--cells", type=lambda text: text.split(","), default=list(CELLS))
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="test runs per method")
    parser.add_argument("--threads", type=int, default=1, help="number of CPU threads")
    parser.add_argument("--group-size", type=int, default=12, help="students trained side by side")
    parser.add_argument("--out", type=Path, default=Path("out/default_method"))
    parser.add_argument("--plan", action="store_true", help="print the planned CPU hours only")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    print_plan(arguments)
    if arguments.plan:
        return
    benchmark = Benchmark(arguments)
    for name in arguments.cells:
        benchmark.run_cell(name)


if __name__ == "__main__":
    main()
