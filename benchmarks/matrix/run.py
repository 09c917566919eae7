"""Runs the trial of a feature in this process, and tells whether it acts."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.matrix.commands import Command, Trial, World

_ASKED = ("params", "inputs", "title")
"""What of a result repeats what was asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial has shown.

    Attributes:
        acts: whether the feature does something.
        code: the exit code; `said` what was written to standard error.
    """

    acts: bool
    code: int
    said: str


def run(command: Command) -> tuple[int, str, str]:
    """Run a command of the program: exit code, standard output, standard error."""
    from calibcli.cli.main import main

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        code = main(list(command))
    out, err = (_text(stream) for stream in streams)
    return code, out, err


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def tried(world: World, trial: Trial) -> Outcome:
    """Run a trial."""
    for command in trial.before:
        code, _, err = _once(world, command)
        if code:
            return Outcome(acts=False, code=code, said=f"before, {command[0]}: {err}")
    was: tuple[Any, Any] | None = None
    if trial.base is not None:
        code, out, err, content = _base(world, trial.base, trial.written)
        if code:
            return Outcome(acts=False, code=code, said=f"without it: {err}")
        was = _shown(out), content
    code, out, err = run(trial.command)
    if code not in (0, 1):
        return Outcome(acts=False, code=code, said=err)
    shown = _shown(out), _content(trial.written)
    if trial.written is not None and not shown[1]:
        return Outcome(acts=False, code=code, said=f"{trial.written} is not written")
    other = was is None or was != shown
    return Outcome(acts=other, code=code, said="" if other else "the output is the same")


def _once(world: World, command: Command) -> tuple[int, str, str]:
    """Run a command that others rest on; what it wrote stays."""
    key = tuple(command)
    if key not in world.done:
        world.done[key] = run(command)
    return world.done[key]


def _base(world: World, command: Command, written: str | None) -> tuple[int, str, str, Any]:
    """Run what a trial is held against; what it wrote is kept, for later trials write there."""
    if written is None:
        return (*_once(world, command), None)
    key = (*command, written)
    if key not in world.bases:
        world.bases[key] = (*run(command), _content(written))
    return world.bases[key]


def _content(path: str | None) -> Any:
    if path is None:
        return None
    place = Path(path)
    if place.is_dir():
        return sorted(one.name for one in place.iterdir())
    return place.read_bytes() if place.exists() else b""


def _shown(out: str) -> Any:
    """Return what a result says beyond what was asked."""
    try:
        found = json.loads(out)
    except ValueError:
        return out
    return _bare(found)


def _bare(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _bare(value) for key, value in found.items() if key not in _ASKED}
    return [_bare(one) for one in found] if isinstance(found, list) else found


@contextmanager
def cluster() -> Iterator[str]:
    """Run a scheduler and a worker in this process; yields its address."""
    import logging

    from distributed import LocalCluster

    options: dict[str, Any] = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    with LocalCluster(
        n_workers=1, threads_per_worker=1, silence_logs=logging.ERROR, **options
    ) as c:
        yield c.scheduler_address
