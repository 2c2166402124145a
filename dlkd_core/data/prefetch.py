"""Prefetching: the next results are computed in a background thread."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


def prefetch(
    make: Callable[[Input], Output], inputs: Iterable[Input], depth: int
) -> Iterator[Output]:
    """Yield `make(input)` for each input in order, computed in a background thread.

    At most `depth` results are computed ahead. If `make` raises an exception for an input, the
    exception is raised again when the result for that input is requested.
    """
    pending: deque[Future[Output]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as executor:
        try:
            for item in inputs:
                pending.append(executor.submit(make, item))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
