"""Reading ahead: in order, so far and no further, and with its errors in their place."""

from threading import Event, current_thread

import pytest

from dlkd_core.data.ahead import ahead


def test_results_come_in_order_from_another_thread() -> None:
    results = list(ahead(lambda number: (number, current_thread().name), range(10), 2))
    assert [number for number, _ in results] == list(range(10))
    assert {name for _, name in results} == {"reading-ahead_0"}


def test_no_more_is_made_than_it_may_be_ahead() -> None:
    made: list[int] = []
    third = Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 2:
            third.set()
        return number

    results = ahead(make, range(100), 2)
    assert next(results) == 0
    assert third.wait(5)
    results.close()
    assert made == [0, 1, 2]


def test_an_error_comes_where_its_result_would() -> None:
    results = ahead(lambda number: 1 // (2 - number), range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
