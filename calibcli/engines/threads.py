"""A map over partitions in threads: results in order, few in flight.

NumPy and Arrow release the interpreter's lock in most of what a pass does, so threads use the
cores. Results come in the order of the items whatever finishes first, and a new item starts only
when an old one has been taken, so memory does not grow with the number of items.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sized
from typing import TYPE_CHECKING, TypeVar

from calibcli.engines.remote import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield function(item) for each item, in order; the first error is raised where it is due.

    Where an engine beyond this machine was chosen, it takes the place of the threads.
    """
    engine = current()
    if engine is not None:
        yield from engine.map(function, items)
        return
    workers = threads or cores()
    if isinstance(items, Sized):
        workers = min(workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
