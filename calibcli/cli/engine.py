"""`--engine dask --scheduler tcp://…`: the passes of a command on a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibcli.cli.choices import EngineName
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.cli.options import RunOptions


@contextmanager
def engine_for(run: RunOptions, paths: Sequence[str], read: Any) -> Iterator[None]:
    """Run what is inside on the engine of these options.

    Raises:
        UsageError: options that exclude each other, or input that workers cannot read.
        InputError: no scheduler that answers.
    """
    if run.engine is EngineName.THREADS:
        raise UsageError("--scheduler is of another engine", "add --engine dask")
    if run.threads is not None:
        raise UsageError(
            "--threads counts threads here, not those of Dask's workers",
            "leave it out; a worker is started with --nthreads",
        )
    for path in (*paths, getattr(read, "labels", None)):
        if path == "-" or (path and Path(path).is_fifo()):
            name = "standard input" if path == "-" else "a pipe"
            raise UsageError(
                f"{name} cannot be read by workers", "write it to a file that they share"
            )
    from calibcli.engines.dask import connected
    from calibcli.engines.remote import using

    with connected(run.scheduler) as engine, using(engine):
        yield
