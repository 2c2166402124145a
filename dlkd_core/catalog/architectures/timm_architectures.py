"""timm's classification networks, read from `timm_architectures.json` without importing timm.

`python -m dlkd_core.models.timm_index` writes the file from the installed timm, and a test checks
it.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from dlkd_core.catalog.architectures.architecture import (
    TIMM_FAMILY,
    Architecture,
    ArchitectureOptions,
    ResizableOptions,
)

TIMM_SOURCE = "https://huggingface.co/docs/timm"
TIMM_FILE = Path(__file__).with_name("timm_architectures.json")
TIMM_PREFIX = f"{TIMM_FAMILY}/"


class SizePolicy(StrEnum):
    """Image sizes that a network accepts."""

    ANY = "any"
    CHOSEN = "given"  # only the size for which it is built, which can be chosen
    FIXED = "one"


class TimmModelInfo(NamedTuple):
    """Facts about a timm network."""

    image_size: int  # default image side in pixels
    min_size: int  # smallest image side in pixels that it runs on
    size_policy: SizePolicy
    has_weights: bool  # whether timm offers pretrained weights
    parameters: int  # without the classifier
    has_feature_maps: bool  # whether its blocks return feature maps


def _load_model_info() -> dict[str, TimmModelInfo]:
    rows: dict[str, list[Any]] = json.loads(TIMM_FILE.read_text())
    return {
        name: TimmModelInfo(image_size, min_size, SizePolicy(policy), *others)
        for name, (image_size, min_size, policy, *others) in rows.items()
    }


TIMM_MODEL_INFO = _load_model_info()


def _build_entry(name: str, info: TimmModelInfo) -> Architecture:
    is_resizable = info.size_policy == SizePolicy.CHOSEN
    weights_target = "dlkd_core.models.timm_models:build_pretrained"
    return Architecture(
        name=f"{TIMM_PREFIX}{name}",
        family=TIMM_FAMILY,
        target="dlkd_core.models.timm_models:build",
        options=ResizableOptions if is_resizable else ArchitectureOptions,
        min_size=info.min_size,
        max_size=info.image_size if info.size_policy == SizePolicy.FIXED else None,
        default_image_size=info.image_size if is_resizable else None,
        source=TIMM_SOURCE,
        weights_target=weights_target if info.has_weights else None,
    )


TIMM_ARCHITECTURES: list[Architecture] = [
    _build_entry(name, info) for name, info in TIMM_MODEL_INFO.items()
]
