"""Generates the parameter counts in `dlkd_core/catalog/architectures/parameter_counts.json`.

Run this module to regenerate the file, which takes half a minute. Each network is built on the meta
device with two different numbers of classes and, if it has a width option, with three widths. The
number of channels is proportional to the width, so the parameter count is a quadratic polynomial in
the width, which is determined by three counts.
"""

import json

from dlkd_core.catalog.architectures import ARCHITECTURES, Architecture, CifarResNetOptions
from dlkd_core.catalog.architectures.parameter_counts import PARAMETER_COUNTS_FILE
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import count_parameters

EXTERNAL_FAMILY = "timm"  # has its own index, which includes parameter counts


def build_index() -> str:
    """Return the content of the file, with one line per network."""
    lines = [
        f"{json.dumps(entry.name)}: {json.dumps(parameter_polynomials(entry))}"
        for entry in indexed_architectures()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def indexed_architectures() -> list[Architecture]:
    """Return the architectures in the file: this project's own and torchvision's."""
    return [
        entry
        for entry in ARCHITECTURES.values()
        if entry.target.startswith("dlkd_core.") and entry.family != EXTERNAL_FAMILY
    ]


def parameter_polynomials(entry: Architecture) -> dict[str, list[int]]:
    """Return polynomials that give a network's number of parameters as a function of its width.

    "base" gives the number of parameters that do not depend on the number of classes, and "class"
    gives the number of parameters that each class adds. Each polynomial is given by its
    coefficients, with the constant first.
    """
    widths = (1, 2, 3) if issubclass(entry.options, CifarResNetOptions) else (1,)
    counts = [_base_and_class_parameters(entry, width) for width in widths]
    return {
        "base": _fit_polynomial([base for base, _ in counts]),
        "class": _fit_polynomial([per_class for _, per_class in counts]),
    }


def _base_and_class_parameters(entry: Architecture, width: int) -> tuple[int, int]:
    options = {"width": width} if issubclass(entry.options, CifarResNetOptions) else {}
    two_classes, three_classes = (
        count_parameters(build_meta_network(entry.name, num_classes, options).module)
        for num_classes in (2, 3)
    )
    per_class = three_classes - two_classes
    return two_classes - 2 * per_class, per_class


def _fit_polynomial(values: list[int]) -> list[int]:
    """Fit a polynomial to the values at 1, 2 and 3, or a constant to a single value."""
    if len(values) == 1:
        return values
    first, second, third = values
    square = (third - 2 * second + first) // 2
    slope = second - first - 3 * square
    return [first - slope - square, slope, square]


if __name__ == "__main__":
    PARAMETER_COUNTS_FILE.write_text(build_index())
