"""Reading ahead: what is asked for next is made in a background thread while the present is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


def ahead(make: Callable[[Input], Output], inputs: Iterable[Input], depth: int) -> Iterator[Output]:
    """`make` of each input, in order, at most `depth` of them made and not yet asked for. Its errors come in its place."""
    waiting: deque[Future[Output]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading-ahead") as thread:
        try:
            for one in inputs:
                waiting.append(thread.submit(make, one))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
