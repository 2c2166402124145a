"""Parameter counts of networks, read from `parameter_counts.json` without torch.

`python -m dlkd_core.models.parameter_count_index` writes the file, and a test checks it.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dlkd_core.catalog.architectures import find_architecture
from dlkd_core.catalog.architectures.timm_architectures import TIMM_MODEL_INFO, TIMM_PREFIX

PARAMETER_COUNTS_FILE = Path(__file__).with_name("parameter_counts.json")


class ParameterCount(NamedTuple):
    """Parameter count of a network."""

    total: int
    # If False, the classifier is not counted, because its size is known only after building.
    exact: bool


def get_parameter_count(
    architecture: str, options: Mapping[str, Any], classes: int
) -> ParameterCount | None:
    """Return the parameter count of a network with the given number of classes.

    Returns None if the options change the network in a way that the index does not cover.
    """
    if architecture.startswith(TIMM_PREFIX):
        info = TIMM_MODEL_INFO.get(architecture.removeprefix(TIMM_PREFIX))
        return info and ParameterCount(info.parameters, exact=False)
    coefficients = _read_coefficients().get(architecture)
    set_options = {name: value for name, value in options.items() if value is not None}
    width = int(set_options.pop("width", 1))
    defaults = find_architecture(architecture).options().model_dump()
    has_other_options = any(value != defaults.get(name) for name, value in set_options.items())
    if coefficients is None or has_other_options:
        return None
    return ParameterCount(_evaluate_polynomials(coefficients, width, classes), exact=True)


def _evaluate_polynomials(coefficients: Mapping[str, list[int]], width: int, classes: int) -> int:
    """Return the parameter count by evaluating two polynomials in the width.

    `coefficients` holds one polynomial for the parameters that do not depend on the number of
    classes ("base") and one for the parameters per class ("class"), each with the constant first.
    """
    powers = (1, width, width * width)
    base, per_class = (
        sum(factor * power for factor, power in zip(coefficients[name], powers, strict=False))
        for name in ("base", "class")
    )
    return base + classes * per_class


@cache
def _read_coefficients() -> dict[str, dict[str, list[int]]]:
    coefficients: dict[str, dict[str, list[int]]] = json.loads(PARAMETER_COUNTS_FILE.read_text())
    return coefficients
