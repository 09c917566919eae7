"""A map over partitions on a Dask cluster that the user already runs.

A partition is a description of what to read, and its result a few megabytes of counts, so only
those travel: workers read the files themselves, by the same paths. What a worker had not finished
when it died is done again by another, which changes nothing: results are merged in the order of
the partitions, whoever made them.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.errors import CalibcliError, InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE = 30
"""Seconds to wait for a scheduler, and for its first worker."""
_IN_FLIGHT = 3
_INLINE = 1 << 20
_SHARED = "workers read the files themselves: by the same paths, from storage that they share"


@contextmanager
def connected(scheduler: str | None) -> Iterator[DaskEngine]:
    """Connect to the scheduler at an address such as `tcp://host:8786`.

    Raises:
        UsageError: no address.
        InputError: Dask is not installed, or no scheduler or no worker answers.
    """
    if scheduler is None:
        raise UsageError(
            "--engine dask needs the address of its scheduler", "--scheduler tcp://HOST:8786"
        )
    try:
        import distributed
    except ImportError:
        raise InputError(
            "--engine dask needs Dask, which is not installed", "pip install 'calibcli[dask]'"
        ) from None
    try:
        new: Any = distributed.Client
        client = new(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler}",
            "start one with `dask scheduler`, and check the address and the network",
        ) from error
    try:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise InputError(
                f"the scheduler at {scheduler} has no workers", f"dask worker {scheduler}"
            ) from None
        yield DaskEngine(client)
    finally:
        client.close()


class DaskEngine:
    """Partitions on the workers of a `distributed.Client`."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield function(item) for each item, in order; a few for each core are under way.

        Raises:
            InputError: what the same partition raises here, or what only a worker met.
        """
        import cloudpickle

        payload: Any = cloudpickle.dumps(function)
        if len(payload) > _INLINE:
            payload = self.client.scatter(payload, broadcast=True)
        waiting: deque[tuple[Any, Any]] = deque()
        try:
            for item in items:
                # Not `pure`: a key made of the content would give an earlier run's result.
                future = self.client.submit(
                    _run, __version__, payload, cloudpickle.dumps(item), pure=False
                )
                waiting.append((item, future))
                if len(waiting) > _IN_FLIGHT * max(sum(self.client.nthreads().values()), 1):
                    yield self._next(function, waiting)
            while waiting:
                yield self._next(function, waiting)
        finally:
            self.client.cancel([future for _, future in waiting], force=True)

    def _next(self, function: Callable[[Any], Any], waiting: deque[tuple[Any, Any]]) -> Any:
        item, future = waiting[0]
        try:
            result, noted = future.result()
        except CalibcliError as error:
            function(item)  # what this machine sees too is said as without Dask
            raise InputError(f"on a worker: {error.message}", _SHARED) from error
        except ImportError as error:
            raise InputError(
                f"a worker cannot import {error.name}",
                f"install calibcli {__version__} on every worker",
            ) from error
        except Exception as error:
            known = _LOST.get(type(error).__name__)
            if known is None:
                raise
            raise InputError(*known) from error
        waiting.popleft()
        if noted is not None:
            item.note(noted)
        return result


_LOST = {
    "KilledWorker": (
        "a partition was given up: every worker that tried it died",
        "give the workers more memory, or each fewer threads",
    ),
    "CancelledError": ("the Dask scheduler is gone, or has cancelled the work", "run it again"),
    "FutureCancelledError": (
        "the Dask scheduler is gone, or has cancelled the work",
        "run it again",
    ),
    "CommClosedError": ("the connection to the Dask scheduler was lost", "run it again"),
}
"""What Dask raises of its own, by name: message and hint."""


def _run(version: str, payload: bytes, pickled: bytes) -> tuple[Any, Any]:
    """Do one partition on a worker; return its result and what reading it has found."""
    if version != __version__:
        raise InputError(f"the worker runs calibcli {__version__}, the command {version}")
    import cloudpickle

    item = cloudpickle.loads(pickled)
    result = cloudpickle.loads(payload)(item)
    noted = getattr(item, "noted", None)
    return result, None if noted is None else noted()
