"""Compares `dlkd_auto` with training on labels alone and with published methods.

Usage: python -m benchmarks.default_method --data FOLDER --teachers FOLDER
    [--cells cifar10_resnet8_10,…] [--methods plain,kd,…] [--seeds 3] [--plan]

A cell is a dataset, a teacher, a student and a number of epochs. Every rival is tuned on each cell:
each of its settings trains on four fifths of the training images and is measured on the rest. The
best setting then trains on all training images with several seeds and is measured once on the
test images, after the last epoch. `dlkd_auto` runs with the service's defaults and is not tuned.
All methods of a cell train side by side on the same views. Finished runs are stored in --results,
so an interrupted benchmark resumes where it stopped. --plan prints the planned CPU hours and stops,
and --tables prints the tables of the stored results.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.local_files import (
    CIFAR10_SUBSET,
    CIFAR10_TEACHER,
    DIGITS,
    DIGITS_TEACHER,
    SUBSET_TEACHER,
    TRANSFORMER_TEACHER,
    find_or_build,
)
from benchmarks.rival_settings import METHODS
from dlkd_core.data import ReadOptions, open_dataset
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.label_noise import subsample_labels
from dlkd_core.device import describe_device, pick_device
from dlkd_core.distributed.process_group import SINGLE_PROCESS
from dlkd_core.errors import SpecError
from dlkd_core.pipeline import build_training_run, fit_to_run, load_inputs
from dlkd_core.spec import DistillationSpec
from dlkd_core.training.loop import TrainingRun
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
        images: Number of training images, for the plan.
        training_images: Fraction of each class's training images to use.
        image_size: Size of the images in pixels. None keeps the size of the files.
        step_seconds: Estimated CPU seconds of 64 images in the student's training, for the plan.
        options: Additional fields of the spec, by section.
    """

    data: str
    test: str
    teacher: str
    student: str
    epochs: int
    images: int = 5_000
    training_images: float | None = None
    image_size: int | None = None
    step_seconds: float = 0.1
    options: dict[str, dict[str, Any]] = field(default_factory=dict)


_CIFAR10 = {
    "data": CIFAR10_SUBSET,
    "test": "cifar10_full_jpeg.zip",
    "teacher": CIFAR10_TEACHER,
}
_CIFAR100 = {
    "data": "cifar100_full_jpeg.zip",
    "test": "cifar100_full_jpeg.zip",
    "teacher": "cifar100_osinet.onnx",
}
CELLS: dict[str, BenchmarkCell] = {
    "digits_resnet8_40": BenchmarkCell(
        data=DIGITS,
        test=DIGITS,
        teacher=DIGITS_TEACHER,
        student="resnet8",
        epochs=40,
        images=108,
        training_images=0.1,
        step_seconds=0.01,
        options={"training": {"flip": False}},
    ),
    "cifar10_500_resnet8_30": BenchmarkCell(
        **_CIFAR10, student="resnet8", epochs=30, images=500, training_images=0.1
    ),
    "cifar10_resnet8_3": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=3),
    "cifar10_resnet8_10": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=10),
    "cifar10_resnet8_30": BenchmarkCell(**_CIFAR10, student="resnet8", epochs=30),
    "cifar10_vgg8_3": BenchmarkCell(**_CIFAR10, student="vgg8", epochs=3, step_seconds=0.4),
    "cifar10_mobilenet_5": BenchmarkCell(**_CIFAR10, student="MobileNetV2", epochs=5),
    "cifar10_wrn_16_1_5": BenchmarkCell(**_CIFAR10, student="wrn_16_1", epochs=5, step_seconds=0.2),
    "cifar10_same_images_5": BenchmarkCell(
        **{**_CIFAR10, "teacher": SUBSET_TEACHER}, student="resnet8", epochs=5
    ),
    "cifar10_transformer_5": BenchmarkCell(
        **{**_CIFAR10, "teacher": TRANSFORMER_TEACHER}, student="resnet8", epochs=5
    ),
    "cifar100_resnet8_5": BenchmarkCell(
        **_CIFAR100, student="resnet8", epochs=5, images=10_000, training_images=0.2
    ),
    "cifar100_50000_resnet8_1": BenchmarkCell(
        **_CIFAR100, student="resnet8", epochs=1, images=50_000
    ),
    "imagenette_64_resnet8_30": BenchmarkCell(
        data="imagenette_subset.zip",
        test="imagenette_subset.zip",
        teacher="imagenet_squeezenet1_0.pth",
        student="resnet8",
        epochs=30,
        images=300,
        step_seconds=0.4,
        image_size=64,
        options={"teacher": {"class_map": [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]}},
    ),
}


class Benchmark:
    """Runs the missing entries of the requested cells and prints their tables."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.results: dict[str, dict[str, Any]] = {}  # of the cell that is being run

    def run_cell(self, name: str) -> None:
        """Tune the rivals on the cell, then measure every method on the test images."""
        self.load_results(name)
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
        chosen = [(method, self._choose_setting(method)) for method in settings]
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
            if _key(phase, method, index, seed) not in self.results
        ]
        groups: dict[tuple[object, ...], list[tuple[str, int]]] = {}
        fitted = {entry: _fit(inputs, CELLS[cell], *entry, seed) for entry in missing}
        for entry, run_inputs in fitted.items():
            groups.setdefault(_batch_settings(run_inputs), []).append(entry)
        for group in groups.values():
            for part in _split(group, self.arguments.group_size):
                results = self._train_part({entry: fitted[entry] for entry in part})
                for (method, index), result in results.items():
                    setting = METHODS[method][index]
                    described = {"method": setting.method, "rate_factor": setting.rate_factor}
                    self.results[_key(phase, method, index, seed)] = described | result
                self._save(cell)
                print(f"{cell}: {len(self.results)} runs, {phase}, seed {seed}", flush=True)

    def _train_part(
        self, fitted: dict[tuple[str, int], RunInputs]
    ) -> dict[tuple[str, int], dict[str, Any]]:
        """Train runs side by side. A method that does not support the networks is not trained."""
        results: dict[tuple[str, int], dict[str, Any]] = {}
        runs: dict[tuple[str, int], TrainingRun] = {}
        for entry, inputs in fitted.items():
            try:
                runs[entry] = build_training_run(
                    inputs, inputs.data, self.arguments.out, None, digest=""
                )
            except SpecError as error:
                results[entry] = {"top1": 0.0, "error": str(error)}
        if runs:
            for result in train_side_by_side(list(runs.values())):
                finished = result
            for entry, student in zip(runs, finished.students, strict=True):
                results[entry] = _to_json(runs[entry], student, finished.teacher_cpu_seconds)
        return results

    def _choose_setting(self, method: str) -> int:
        """Return the index of the setting with the best accuracy on the held-out images."""
        choices = range(len(METHODS[method]))
        if len(choices) == 1:
            return 0
        return max(
            choices,
            key=lambda index: self.results[_key(TUNING, method, index, _TUNING_SEED)]["top1"],
        )

    def load_results(self, cell: str) -> None:
        """Read the stored results of the cell."""
        file = self._results_file(cell)
        self.results = json.loads(file.read_text()) if file.exists() else {}

    def _results_file(self, cell: str) -> Path:
        directory: Path = self.arguments.results
        return directory / f"{cell}.json"

    def _save(self, cell: str) -> None:
        file = self._results_file(cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        rows = (
            f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in sorted(self.results.items())
        )
        partial.write_text("{\n" + ",\n".join(rows) + "\n}\n")  # one run per line
        partial.replace(file)

    def print_table(self, name: str) -> None:
        """Print the cell's test results, best method first, with paired gains of `dlkd_auto`."""
        chosen = {
            method: self._choose_setting(method)
            for method in self.methods
            if self._is_tuned(method)
        }
        entries = {
            method: [
                self.results[key]
                for seed in range(self.arguments.seeds)
                if (key := _key(TEST, method, index, seed)) in self.results
            ]
            for method, index in chosen.items()
        }
        finished = {
            method: runs
            for method, runs in entries.items()
            if runs and not any("error" in run for run in runs)
        }
        top1 = {method: [run["top1"] for run in runs] for method, runs in finished.items()}
        print(f"\n### {name}\n\n| method | top-1 (%) | {OURS} minus method | CPU s | setting |")
        print("|---|---|---|---|---|")
        for method in sorted(top1, key=lambda method: -mean(top1[method])):
            seconds = mean(run["cpu_seconds"] for run in finished[method])
            gain = _format_gain(top1.get(OURS, []), top1[method]) if method != OURS else ""
            print(
                f"| {method} | {_format(top1[method])} | {gain} | {seconds:.0f} |"
                f" {METHODS[method][chosen[method]]} |",
                flush=True,
            )

    def _is_tuned(self, method: str) -> bool:
        """Whether every setting of the method has a tuning result."""
        choices = range(len(METHODS[method]))
        return len(choices) == 1 or all(
            _key(TUNING, method, index, _TUNING_SEED) in self.results for index in choices
        )


def _load_cell(cell: BenchmarkCell, arguments: argparse.Namespace) -> RunInputs:
    """Load the data and the teacher. The teacher is verified on the test images."""
    spec = DistillationSpec.model_validate(
        {
            "teacher": {
                "path": _find(cell.teacher, arguments),
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


def _find(name: str, arguments: argparse.Namespace) -> Path:
    return find_or_build(name, (arguments.data, arguments.teachers), arguments.out / "files")


def _decode(cell: BenchmarkCell, arguments: argparse.Namespace) -> Path:
    """Decode the cell's images once, and return the path of the decoded file."""
    fraction = f"_{cell.training_images}" if cell.training_images else ""
    size = f"_{cell.image_size}" if cell.image_size else ""
    path: Path = arguments.out / f"{Path(cell.data).stem}{fraction}{size}.safetensors"
    if not path.exists():
        options = ReadOptions(image_size=cell.image_size)
        dataset = open_dataset(_find(cell.data, arguments), options)
        if cell.test != cell.data:
            dataset = replace(dataset, val=open_dataset(_find(cell.test, arguments), options).val)
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
    teacher = inputs.teacher if setting.method["name"] != "plain" else None
    training = {
        "epochs": cell.epochs,
        "seed": seed,
        "evaluate_every": 100_000,
        **cell.options.get("training", {}),
        **setting.training,
    }
    changes = {
        "teacher": inputs.spec.teacher.model_dump() if teacher and inputs.spec.teacher else None,
        "method": setting.method,
    }

    def fit(training: dict[str, Any]) -> RunInputs:
        spec = DistillationSpec.model_validate(
            {**inputs.spec.model_dump(), **changes, "training": training}
        )
        spec, resolved = finish(fit_to_run(spec, inputs.data, teacher, inputs.device))
        return replace(inputs, spec=spec, training=resolved, teacher=teacher)

    fitted = fit(training)
    if setting.rate_factor == 1:
        return fitted
    rate = setting.rate_factor * fitted.training.learning_rate
    return fit({**training, "learning_rate": rate})


def _batch_settings(inputs: RunInputs) -> tuple[object, ...]:
    """Return the settings that runs must share to be trained on the same batches."""
    training = inputs.training
    augmentation = (training.augmentation_policy, training.mixup, training.cutmix)
    return training.batch_size, inputs.spec.method.views, augmentation


def _split(entries: list[tuple[str, int]], size: int) -> Iterator[list[tuple[str, int]]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _key(phase: str, method: str, index: int, seed: int) -> str:
    return f"{phase}/{method}/{index}/{seed}"


def _to_json(run: TrainingRun, student: StudentResult, teacher_seconds: float) -> dict[str, Any]:
    return {
        "batch_size": run.batches.batch_size,
        "learning_rate": run.spec.learning_rate,
        "steps": run.steps,
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
        steps = cell.epochs * cell.images / 64
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
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).with_name("default_method_results"),
        help="folder with a file of finished runs per cell",
    )
    parser.add_argument("--plan", action="store_true", help="print the planned CPU hours only")
    parser.add_argument("--tables", action="store_true", help="print the stored results only")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    benchmark = Benchmark(arguments)
    if arguments.tables:
        for name in arguments.cells:
            benchmark.load_results(name)
            benchmark.print_table(name)
        return
    print_plan(arguments)
    if arguments.plan:
        return
    for name in arguments.cells:
        benchmark.run_cell(name)


if __name__ == "__main__":
    main()
