"""How the methods do on a budget of seconds: handwritten digits, resnet8 taught by wrn_16_2, mean and spread over seeds.

python -m benchmarks.short_budget [--epochs 6] [--seeds 3]
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter
from typing import Any

import torch

from dlkd_client.digits import write_digits
from dlkd_core import events
from dlkd_core.device import describe, pick_device
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

METHODS: dict[str, dict[str, Any]] = {
    "labels alone": {"name": "plain"},
    "kd (T 4, 0.1/0.9)": {"name": "kd"},
    "dlkd, published: four rotations, 20/50": {"name": "dlkd"},
    "dlkd, four rotations, 2/2": {"name": "dlkd", "alignment": 2.0, "correlation": 2.0},
    "dlkd, single view, 20/50": {"name": "dlkd", "views": "single"},
    "dlkd, single view, 5/10": {"name": "dlkd", "views": "single", "alignment": 5.0, "correlation": 10.0},
    "dlkd, single view, 2/2": {"name": "dlkd", "views": "single", "alignment": 2.0, "correlation": 2.0},
    "dlkd_auto": {"name": "dlkd_auto"},
}
TRAINING = {"batch_size": 32, "learning_rate": 0.1, "schedule": {"name": "cosine"}, "flip": False, "evaluate_every": 1000}


def finished(folder: Path, **spec: Any) -> tuple[dict[str, Any], float]:
    """The report of a run and its seconds."""
    start = perf_counter()
    work: Iterator[events.Event] = run(DistillationSpec.model_validate({**spec, "export": ["safetensors"]}), folder)
    (report,) = [event.report for event in work if isinstance(event, events.Finished)]
    return report["metrics"]["student"], perf_counter() - start


def main() -> None:
    """Prints the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dataset = {"path": write_digits(folder / "digits.zip")}
        teacher, _ = finished(folder, student={"architecture": "wrn_16_2"}, dataset=dataset, training={**TRAINING, "epochs": 12})
        (folder / "student.safetensors").rename(folder / "teacher.safetensors")
        print(f"{describe(pick_device())}; teacher wrn_16_2 {teacher['top1']:.2%}; resnet8, {given.epochs} epochs\n")
        print("| objective | top-1 (%) | seconds a run |\n|---|---|---|")
        for name, method in METHODS.items():
            source = None if method["name"] == "plain" else {"path": folder / "teacher.safetensors"}
            runs = [
                finished(
                    folder,
                    student={"architecture": "resnet8"},
                    dataset=dataset,
                    teacher=source,
                    method=method,
                    training={**TRAINING, "epochs": given.epochs, "seed": seed},
                )
                for seed in range(given.seeds)
            ]
            top1 = [100 * metrics["top1"] for metrics, _ in runs]
            spread = f"{mean(top1):.2f} ± {stdev(top1):.2f}" if len(top1) > 1 else f"{top1[0]:.2f}"
            print(f"| {name} | {spread} | {median(seconds for _, seconds in runs):.1f} |", flush=True)


if __name__ == "__main__":
    main()
