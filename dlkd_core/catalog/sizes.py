"""How many parameters a network has, without torch: `sizes.json` holds what was counted once, and a test holds it to that.

`python -m dlkd_core.models.size_index` writes the file anew.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dlkd_core.catalog.architectures import find_architecture
from dlkd_core.catalog.timm_names import TIMM_NAMES

SIZES_FILE = Path(__file__).with_name("sizes.json")
_TIMM = "timm/"


class Parameters(NamedTuple):
    """So many. Not exact: without the classifier, which is known only once the network is made."""

    number: int
    exact: bool


def parameters_of(architecture: str, options: Mapping[str, Any], classes: int) -> Parameters | None:
    """Of the network for that many classes; None where its options change it in ways that were not counted."""
    if architecture.startswith(_TIMM):
        facts = TIMM_NAMES.get(architecture.removeprefix(_TIMM))
        return facts and Parameters(facts.parameters, exact=False)
    counted = _counted().get(architecture)
    given = {name: value for name, value in options.items() if value is not None}
    width = int(given.pop("width", 1))
    usual = find_architecture(architecture).options().model_dump()
    if counted is None or any(value != usual.get(name) for name, value in given.items()):
        return None
    return Parameters(_total(counted, width, classes), exact=True)


def _total(counted: Mapping[str, list[int]], width: int, classes: int) -> int:
    """What is there for no class, and what each class adds: polynomials of the width, constant first."""
    powers = (1, width, width * width)
    base, each = (sum(factor * power for factor, power in zip(counted[name], powers, strict=False)) for name in ("base", "class"))
    return base + classes * each


@cache
def _counted() -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = json.loads(SIZES_FILE.read_text())
    return found
