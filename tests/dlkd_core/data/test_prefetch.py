"""Tests for prefetching: order, depth and errors."""

from threading import Event, current_thread

import pytest

from dlkd_core.data.prefetch import prefetch


def test_results_come_in_order_from_another_thread() -> None:
    results = list(prefetch(lambda number: (number, current_thread().name), range(10), 2))
    assert [number for number, _ in results] == list(range(10))
    assert {name for _, name in results} == {"prefetch_0"}


def test_no_more_than_depth_results_are_computed_in_advance() -> None:
    made: list[int] = []
    third = Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 2:
            third.set()
        return number

    results = prefetch(make, range(100), 2)
    assert next(results) == 0
    assert third.wait(5)
    results.close()
    assert made == [0, 1, 2]


def test_an_error_is_raised_in_place_of_its_result() -> None:
    results = prefetch(lambda number: 1 // (2 - number), range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
