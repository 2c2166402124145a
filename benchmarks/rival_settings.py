"""The settings of each method that `benchmarks.default_method` tries, at most six per method."""

from dataclasses import dataclass, field
from typing import Any

_Params = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """A method with its parameters, and training options that differ from the defaults.

    The learning rate is `rate_factor` times the default for the student.
    """

    method: dict[str, Any]
    rate_factor: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = {**self.method, **self.training}
        name = options.pop("name")
        rate = [] if self.rate_factor == 1 else [f"rate x {self.rate_factor:g}"]
        return " ".join([name, *(f"{key}={value}" for key, value in options.items()), *rate])


def _vary(name: str, low: _Params, middle: _Params, high: _Params) -> list[Setting]:
    """Return three weights of a term at the default rate, and the middle one at half the rate."""
    choices = [({"name": name, **weights}, 1.0) for weights in (low, middle, high)]
    return [
        Setting(method, factor) for method, factor in [*choices, ({"name": name, **middle}, 0.5)]
    ]


METHODS: dict[str, list[Setting]] = {
    "dlkd_auto": [Setting({"name": "dlkd_auto"})],
    "plain": [
        *(Setting({"name": "plain"}, factor) for factor in (0.5, 1.0, 2.0)),
        Setting({"name": "plain"}, training={"label_smoothing": 0.1}),
        Setting({"name": "plain"}, training={"mixup": 0.2}),
        Setting({"name": "plain"}, training={"augmentation_policy": "randaugment"}),
    ],
    "kd": _vary(
        "kd",
        {"labels": 0.1, "teacher": 0.9, "temperature": 4},
        {"labels": 1, "teacher": 1, "temperature": 4},
        {"labels": 1, "teacher": 1, "temperature": 1},
    ),
    "dkd": _vary(
        "dkd",
        {"beta": 1, "warmup_epochs": 1, "temperature": 4},
        {"beta": 2, "warmup_epochs": 1, "temperature": 4},
        {"beta": 8, "warmup_epochs": 1, "temperature": 4},
    ),
    "dist": _vary("dist", {"relations": 0.5}, {"relations": 1}, {"relations": 2}),
    "crd": _vary("crd", {"contrast": 0.1}, {"contrast": 0.2}, {"contrast": 0.8}),
    "at": _vary("at", {"attention": 30}, {"attention": 200}, {"attention": 1000}),
    "vid": _vary("vid", {"information": 0.1}, {"information": 0.5}, {"information": 1}),
    "srrl": _vary("srrl", {"features": 1}, {"features": 5}, {"features": 20}),
    "fitnet": _vary("fitnet", {"hint": 3}, {"hint": 10}, {"hint": 100}),
    "reviewkd": _vary(
        "reviewkd",
        {"review": 1, "warmup_epochs": 0},
        {"review": 5, "warmup_epochs": 0},
        {"review": 10, "warmup_epochs": 0},
    ),
    "dlkd": _vary(
        "dlkd",
        {"views": "single", "alignment": 5, "correlation": 1},
        {"views": "single", "alignment": 5, "correlation": 5},
        {"views": "single", "alignment": 20, "correlation": 50},
    ),
}
