"""The settings of each method that `benchmarks.default_method` tries, at most six per method."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_RATES = (0.1, 0.2)


@dataclass(frozen=True)
class Setting:
    """A method with its parameters, and training options that differ from the defaults."""

    method: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = {**self.method, **self.training}
        name = options.pop("name")
        return " ".join([name, *(f"{key}={value}" for key, value in options.items())])


def _combine(name: str, parameters: Iterable[dict[str, Any]]) -> list[Setting]:
    """Return a setting for each combination of parameters and learning rate."""
    return [
        Setting({"name": name, **choice}, {"learning_rate": rate})
        for choice in parameters
        for rate in _RATES
    ]


METHODS: dict[str, list[Setting]] = {
    "dlkd_auto": [Setting({"name": "dlkd_auto"})],
    "plain": [
        Setting({"name": "plain"}, {"learning_rate": rate, "batch_size": batch_size})
        for rate in (0.1, 0.2, 0.4)
        for batch_size in (32, 64)
    ],
    "kd": _combine(
        "kd",
        [
            {"labels": 0.1, "teacher": 0.9, "temperature": 4},
            {"labels": 1, "teacher": 1, "temperature": 4},
            {"labels": 1, "teacher": 1, "temperature": 1},
        ],
    ),
    "dkd": _combine(
        "dkd", [{"beta": beta, "warmup_epochs": 1, "temperature": 4} for beta in (1, 2, 8)]
    ),
    "dist": _combine("dist", [{"relations": weight} for weight in (0.5, 1, 2)]),
    "crd": _combine("crd", [{"contrast": weight} for weight in (0.1, 0.2, 0.8)]),
    "at": _combine("at", [{"attention": weight} for weight in (30, 200, 1000)]),
    "vid": _combine("vid", [{"information": weight} for weight in (0.1, 0.5, 1)]),
    "srrl": _combine("srrl", [{"features": weight} for weight in (1, 5, 20)]),
    "fitnet": _combine("fitnet", [{"hint": weight} for weight in (3, 10, 100)]),
    "reviewkd": _combine(
        "reviewkd", [{"review": weight, "warmup_epochs": 0} for weight in (1, 5, 10)]
    ),
    "dlkd": _combine(
        "dlkd",
        [
            {"views": "single", "alignment": alignment, "correlation": correlation}
            for alignment, correlation in ((5, 1), (5, 5), (20, 50))
        ],
    ),
}
