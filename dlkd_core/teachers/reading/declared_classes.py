"""Names of classes that training scripts and exporters save beside the weights.

torchvision's `class_to_idx`, Ultralytics' `names`, Hugging Face's `id2label` and the `classes` of
this project's exported students are examples. Metadata hold them as JSON or as a Python literal.
"""

import ast
import json
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from dlkd_core.catalog.architectures.architecture import MAX_CLASSES

_NAME_KEYS = ("classes", "class_names", "names", "labels", "categories", "id2label")
_INDEX_KEYS = ("class_to_idx", "label2id")
_CONFIG_KEYS = ("args", "hyper_parameters", "hparams", "config", "cfg", "meta", "metadata")
_MAX_DEPTH = 4
_MAX_TEXT = 1 << 20  # characters


def find_class_names(saved: Any, depth: int = _MAX_DEPTH) -> tuple[str, ...]:
    """Return the names, in the order of the classes, in a loaded checkpoint or in metadata.

    Returns:
        The names, or nothing if there are none.
    """
    values = vars(saved) if isinstance(saved, Namespace) else saved
    if not isinstance(values, Mapping) or depth == 0:
        return ()
    for key in (*_NAME_KEYS, *_INDEX_KEYS):
        if names := _read_names(values.get(key), is_index=key in _INDEX_KEYS):
            return names
    for key in _CONFIG_KEYS:
        if names := find_class_names(values.get(key), depth - 1):
            return names
    return ()


def _read_names(value: Any, *, is_index: bool) -> tuple[str, ...]:
    parsed = _parse_text(value) if isinstance(value, str) else value
    if isinstance(parsed, Mapping):
        pairs = [(index, name) if is_index else (name, index) for name, index in parsed.items()]
        by_index = {int(index): name for index, name in pairs if str(index).isdecimal()}
        parsed = [by_index.get(index) for index in range(len(parsed))]
    if not isinstance(parsed, list | tuple) or not 1 < len(parsed) <= MAX_CLASSES:
        return ()
    if not all(isinstance(name, str) and name for name in parsed):
        return ()
    # Placeholders of transformers
    is_unnamed = all(name == f"LABEL_{index}" for index, name in enumerate(parsed))
    return () if is_unnamed else tuple(parsed)


def _parse_text(text: str) -> Any:
    """Parse JSON or a Python literal, such as `{0: 'cat', 1: 'dog'}`. Other text is ignored."""
    if len(text) > _MAX_TEXT:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
