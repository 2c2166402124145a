"""Measures each method's accuracy after a few seconds of training, as mean and spread over seeds.

The dataset contains handwritten digits, the teacher is wrn_16_2 and the student is resnet8.

Usage: python -m benchmarks.short_budget [--epochs 6] [--seeds 3]
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter
from typing import Any

import torch

from dlkd_client.local.digits_dataset import write_digits
from dlkd_core import events
from dlkd_core.device import describe_device, pick_device
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

METHODS: dict[str, dict[str, Any]] = {
    "labels alone": {"name": "plain"},
    "kd (T 4, 0.1/0.9)": {"name": "kd"},
    "dlkd, published: four rotations, 20/50": {"name": "dlkd"},
    "dlkd, four rotations, 2/2": {"name": "dlkd", "alignment": 2.0, "correlation": 2.0},
    "dlkd, single view, 20/50": {"name": "dlkd", "views": "single"},
    "dlkd, single view, 5/10": {
        "name": "dlkd",
        "views": "single",
        "alignment": 5.0,
        "correlation": 10.0,
    },
    "dlkd, single view, 2/2": {
        "name": "dlkd",
        "views": "single",
        "alignment": 2.0,
        "correlation": 2.0,
    },
    "dlkd_auto": {"name": "dlkd_auto"},
}
TRAINING = {
    "batch_size": 32,
    "learning_rate": 0.1,
    "schedule": {"name": "cosine"},
    "flip": False,
    "evaluate_every": 1000,
}


def run_to_end(folder: Path, **spec: Any) -> tuple[dict[str, Any], float]:
    """Run a spec to its end and return the student's metrics and the duration in seconds."""
    start = perf_counter()
    full_spec = DistillationSpec.model_validate({**spec, "export": ["safetensors"]})
    (report,) = [
        event.report for event in run(full_spec, folder) if isinstance(event, events.RunFinished)
    ]
    return report["metrics"]["student"], perf_counter() - start


def format_spread(values: Sequence[float]) -> str:
    """Return the mean, with the standard deviation if there are several values."""
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread}"


def measure(folder: Path, epochs: int, seeds: int) -> None:
    """Train the teacher, run every method and print the results as a Markdown table."""
    dataset = {"path": write_digits(folder / "digits.zip")}
    teacher, _ = run_to_end(
        folder,
        student={"architecture": "wrn_16_2"},
        dataset=dataset,
        training={**TRAINING, "epochs": 12},
    )
    teacher_file = folder / "teacher.safetensors"
    (folder / "student.safetensors").rename(teacher_file)
    print(
        f"{describe_device(pick_device())}; teacher wrn_16_2 {teacher['top1']:.2%}; "
        f"resnet8, {epochs} epochs\n"
    )
    print("| objective | top-1 (%) | seconds per run |\n|---|---|---|")
    for name, method in METHODS.items():
        runs = [
            run_to_end(
                folder,
                student={"architecture": "resnet8"},
                dataset=dataset,
                teacher=None if method["name"] == "plain" else {"path": teacher_file},
                method=method,
                training={**TRAINING, "epochs": epochs, "seed": seed},
            )
            for seed in range(seeds)
        ]
        top1 = format_spread([100 * metrics["top1"] for metrics, _ in runs])
        print(f"| {name} | {top1} | {median(seconds for _, seconds in runs):.1f} |", flush=True)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=6, help="number of epochs per run")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds per method")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments.epochs, arguments.seeds)


if __name__ == "__main__":
    main()
