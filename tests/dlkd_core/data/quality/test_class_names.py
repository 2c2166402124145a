"""Tests for class names that look alike."""

from time import perf_counter

import pytest

from dlkd_core.data.quality.class_names import find_similar_names


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ("Cat", "cat ", "spelling"),
        ("sea_lion", "sea lion", "spelling"),
        ("Sealion", "sea-lion", "spelling"),
        ("caf\u00e9", "cafe\u0301", "spelling"),
        ("STRASSE", "stra\u00dfe", "spelling"),
        ("cats", "cat", "plural"),
        ("Box", "boxes", "plural"),
        ("puppy", "Puppies", "plural"),
        ("elephant", "elephnt", "typo"),
        ("elephant", "elephants", "plural"),
        ("giraffe", "giraffa", "typo"),
    ],
)
def test_names_that_look_alike_are_found(first: str, second: str, difference: str) -> None:
    assert find_similar_names([first, "zebra", second]) == {(0, 2): difference}
    assert find_similar_names([second, first]) == {(0, 1): difference}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat", "car"),  # short names differ in one letter on purpose
        ("n01440764", "n01440765"),
        ("1", "11"),
        ("glass", "glas"),
        ("apples", "appels"),  # two letters
        ("bus", "bu"),
        ("_", "-"),
    ],
)
def test_other_names_are_not_reported(first: str, second: str) -> None:
    assert find_similar_names([first, second]) == {}


def test_thousands_of_classes_are_compared_in_seconds() -> None:
    names = [f"{left}{right}" for left in ("tree", "bird", "stone") for right in range(3000)]
    started = perf_counter()
    assert find_similar_names(names) == {}
    assert perf_counter() - started < 5
