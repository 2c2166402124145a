"""Names for the values of enumerations, where a generator of clients cannot make different ones of the values themselves."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any


def name_alike(part: Any) -> None:
    """Adds `x-enum-varnames`, which generators know, to each enumeration with values that differ in case alone."""
    if isinstance(part, list):
        for item in part:
            name_alike(item)
    elif isinstance(part, dict):
        values = part.get("enum")
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            _name(part, values)
        for item in part.values():
            name_alike(item)


def _name(schema: dict[str, Any], values: Sequence[str]) -> None:
    words = [re.sub(r"\W", "_", value).upper() for value in values]
    if len(set(words)) == len(words):
        return
    seen = Counter[str]()
    for place, word in enumerate(words):
        seen[word] += 1
        words[place] = word if seen[word] == 1 else f"{word}_{seen[word]}"
    schema["x-enum-varnames"] = words
