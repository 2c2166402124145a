"""Class names that look alike, which often are two names of one class."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

_MIN_TYPO_LENGTH = 6  # short names such as "cat" and "car" often differ in one letter
_MIN_PLURAL_LENGTH = 3
_SEPARATORS = re.compile(r"[\s_.-]+")


class NameDifference(StrEnum):
    """How two class names that look alike differ."""

    SPELLING = "spelling"  # upper and lower case, spaces and separators, or the form in Unicode
    PLURAL = "plural"
    TYPO = "typo"  # one letter


def find_similar_names(classes: Sequence[str]) -> dict[tuple[int, int], NameDifference]:
    """Return the pairs of class names that look alike, as class indices in ascending order.

    Names that contain digits, such as "n01440764" or "7", are compared only by their spelling,
    because such names usually differ on purpose.
    """
    keys = [_normalize(name) for name in classes]
    words = [index for index, key in enumerate(keys) if not any(map(str.isdigit, key))]
    pairs = dict.fromkeys(
        _pair_by_key(range(len(keys)), lambda index: [keys[index]]), NameDifference.SPELLING
    )
    for pair in _pair_by_key(words, lambda index: [_singular(keys[index])]):
        pairs.setdefault(pair, NameDifference.PLURAL)
    long_words = [index for index in words if len(keys[index]) >= _MIN_TYPO_LENGTH]
    for pair in _pair_by_key(long_words, lambda index: _deletions(keys[index])):
        if _is_one_edit(keys[pair[0]], keys[pair[1]]):
            pairs.setdefault(pair, NameDifference.TYPO)
    return dict(sorted(pairs.items()))


def _pair_by_key(
    indices: Iterable[int], find_keys: Callable[[int], Iterable[str]]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of indices, in ascending order, that have a key in common."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        for key in find_keys(index):
            yield from ((earlier, index) for earlier in by_key[key])
            by_key[key].append(index)


def _normalize(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return _SEPARATORS.sub("", folded) or folded


def _singular(name: str) -> str:
    """Return the name without the ending of an English plural."""
    if len(name) > _MIN_PLURAL_LENGTH + 1 and name.endswith("ies"):
        return f"{name[:-3]}y"
    if len(name) > _MIN_PLURAL_LENGTH + 1 and name.endswith(("ches", "shes", "sses", "xes", "zes")):
        return name[:-2]
    if len(name) > _MIN_PLURAL_LENGTH and name.endswith("s") and not name.endswith(("ss", "us")):
        return name[:-1]
    return name


def _deletions(name: str) -> set[str]:
    """Return the name and every name that results if one letter is left out.

    Two names with an edit distance of one have at least one of these in common.
    """
    return {name, *(name[:place] + name[place + 1 :] for place in range(len(name)))}


def _is_one_edit(first: str, second: str) -> bool:
    """Return whether one letter is inserted, deleted or replaced."""
    shorter, longer = sorted((first, second), key=len)
    start = next(
        (place for place, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b),
        len(shorter),
    )
    if len(shorter) == len(longer):
        return shorter != longer and shorter[start + 1 :] == longer[start + 1 :]
    return len(longer) - len(shorter) == 1 and shorter[start:] == longer[start + 1 :]
