"""Which engine a pass runs on: threads here, or one beyond this machine that was chosen for it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Engine(Protocol):
    """Runs a function on partitions in other processes."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield function(item) for each item, in order.

        Functions and items are pickled. An item may have `noted()`, which tells in the other
        process what reading it has found, and `note(found)`, which takes that in here.
        """


_ENGINE: ContextVar[Engine | None] = ContextVar("engine", default=None)


def current() -> Engine | None:
    """Return the engine that was chosen, or None for threads."""
    return _ENGINE.get()


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Run what is inside on this engine."""
    token = _ENGINE.set(engine)
    try:
        yield
    finally:
        _ENGINE.reset(token)
