"""Standard output and standard error: the result on one, everything else on the other."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from calibcli.errors import CalibcliError, ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calibcli.cli.choices import Format

EDITED = "{} has no digest: it was changed after it was written"
_PATIENCE = 1.0


_captured: ContextVar[list[Any] | None] = ContextVar("captured", default=None)


@contextmanager
def captured() -> Iterator[list[Any]]:
    """Keep the results that commands would show, in place of showing them."""
    found: list[Any] = []
    token = _captured.set(found)
    try:
        yield found
    finally:
        _captured.reset(token)


def read_by_people(form: Format) -> bool:
    """Return whether a result becomes tables and nothing else."""
    return form.value == "table" and _captured.get() is None


def emit(text: str | bytes) -> None:
    """Write the result to standard output. A reader that has gone away is no failure of ours."""
    if _captured.get() is not None:
        return
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    with unbroken():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def deliver(text: str, output: str) -> None:
    """Write the result to a file, atomically, or to standard output for "-"."""
    if output == "-":
        emit(text)
        return
    from calibcli.io.output.sink import write_atomic

    write_atomic(output, text)


@contextmanager
def unbroken() -> Iterator[None]:
    """Let a stream of rows end quietly when its reader has gone away.

    Raises:
        InputError: standard output cannot be written to, for example because the disk is full.
    """
    try:
        yield
    except BrokenPipeError:
        _close_stdout()
    except OSError as error:
        _close_stdout()
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise InputError(
            f"standard output: {reason}", "the result is not complete: write it elsewhere with -o"
        ) from error


def _close_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    os.close(sink)


def open_closed() -> None:
    """Point standard streams that the caller has closed at nothing.

    Python leaves None in their place, and the first file that is opened would take their number.
    """
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            sink = os.open(os.devnull, os.O_WRONLY)
            if sink != number:
                os.dup2(sink, number)
                os.close(sink)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


def screen(output: str) -> tuple[int | None, bool]:
    """Return the columns of the terminal that an output goes to, and whether to colour it.

    A pipe or a file has no width and no colours.
    """
    if output != "-" or not sys.stdout.isatty():
        return None, False
    return shutil.get_terminal_size().columns, not os.environ.get("NO_COLOR")


def render(module: str, kind: str, result: Any, output: str = "-", hint: str | None = None) -> str:
    """Return a result in a format for an output; `kind` is the command that made it.

    `hint` is what to type next, below a table in few lines; None for all of the tables.
    """
    taken = _captured.get()
    if taken is not None:
        taken.append(result)
        return ""
    from importlib import import_module

    if module == "json":
        from calibcli.render.formats.jsonout import render_json

        return render_json(result)
    from calibcli.core.results.reading import typed

    shown = typed(result)
    width, color = screen(output)
    if module == "plot":
        from calibcli.render.formats.plot import render_plot

        ascii_only = width is not None and not _shows_unicode()
        return render_plot(shown, color=color, width=width, ascii_only=ascii_only)
    names = {"table": "text", "csv": "csvout", "md": "markdown"}
    module = names.get(module, module)
    chosen = getattr(import_module(f"calibcli.render.formats.{module}"), f"render_{kind}")
    params: dict[str, Any] = result["params"]
    if module == "markdown":
        return beneath_settings(params, str(chosen(shown)), marked=True)
    if module != "text":
        return str(chosen(shown))
    if hint is not None:
        from calibcli.render.formats import short

        brief = getattr(short, f"render_{kind}")
        text = str(brief(shown, color=color, width=width, hint=hint))
        return beneath_settings(params, text)
    return beneath_settings(params, str(chosen(shown, color=color, width=width)))


def beneath_settings(params: dict[str, Any], text: str, *, marked: bool = False) -> str:
    """Return a result as text below the options that a project file has set, if one has."""
    if not params.get("config_options"):
        return text
    from calibcli.core.results.envelope import conventions_of
    from calibcli.render.words import names, words

    told = words.settings(conventions_of(params))
    return f"{names.markdown(told)}\n\n{text}" if marked else f"{told}\n{text}"


def _shows_unicode() -> bool:
    """Return whether the terminal shows more than ASCII, as far as it says."""
    known = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return known and os.environ.get("TERM", "") != "dumb"


def warn(result: dict[str, Any], form: Format, *, quiet: bool) -> None:
    """Say warnings on stderr, where the form of the result does not show them."""
    if quiet or form.value in ("table", "md", "github"):
        return
    for warning in result.get("warnings", []):
        complain(f"calibcli: warning: {warning}")


def edited() -> list[str]:
    """Return the artifacts that this run has read and somebody has changed by hand."""
    artifacts = sys.modules.get("calibcli.io.artifacts.artifacts")  # not imported where none is
    return list(dict.fromkeys(getattr(artifacts, "UNSEALED", ())))


def summarise(form: Format, kind: str, result: dict[str, Any]) -> None:
    """Append the job summary of a GitHub step to the file that GitHub names, if it does."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if form.value != "github" or not path:
        return
    from calibcli.core.results.reading import typed
    from calibcli.io.output.sink import append_text
    from calibcli.render.formats.github import summary

    try:
        append_text(path, summary(kind, typed(result)))
    except InputError as error:  # the answer of the run counts, and is in the annotations
        complain(f"calibcli: warning: no job summary: {error.message}")


def complain(line: str) -> None:
    """Write a line to standard error; names in it are shown, not obeyed."""
    from calibcli.render.words.names import visible

    # Nobody is left to tell when standard error fails.
    with suppress(OSError, ValueError):
        sys.stderr.write(visible(line) + "\n")
        sys.stderr.flush()


def judge(
    result: dict[str, Any], form: str, output: str, *, quiet: bool, held: str | None = None
) -> int:
    """Return the exit code of a result's gates; say on stderr which failed, a line each.

    Nothing is said where standard output shows it already, in a form that people read. `held` is
    the file that a failed gate keeps from its place, which is said in any case.
    """
    failed = [gate for gate in result.get("gates", ()) if not gate["passed"]]
    shown = output == "-" and form in ("table", "md", "github")
    if failed and not quiet and not shown:
        from calibcli.core.results.envelope import GateResult
        from calibcli.core.results.reading import typed_as
        from calibcli.render.formats.junit import failure_words

        for gate in failed:
            complain(f"calibcli: {failure_words(typed_as(gate, GateResult))}")
    if failed and held is not None and not quiet:
        complain(f"calibcli: {held} is not written")
    return int(ExitCode.NO if failed else ExitCode.OK)


def report_error(form: str, command: str, error: CalibcliError, output: str) -> None:
    """Deliver an error in a form that machines read for gates, so that none takes it for a pass."""
    if form not in ("junit", "github"):
        return
    from importlib import import_module

    from calibcli.io.output.sink import holds

    module = import_module(f"calibcli.render.formats.{form}")
    text = module.render_error(command, error.message, no=error.exit_code == ExitCode.NO)
    with suppress(CalibcliError, OSError):  # where even this cannot be written, stderr tells
        # Only an earlier result is replaced, or nothing: the error may be that this is an input.
        if output == "-" or holds(output, b'<testsuites name="calibcli"', b"::notice title=calib"):
            deliver(text, output)


def explain(error: CalibcliError, otherwise: str = "calibcli --help") -> None:
    """Say what failed and what to type; `otherwise` where the error does not know."""
    word = "no" if error.exit_code == 1 else "error"
    complain(f"calibcli: {word}: {error.message}")
    complain("")
    hint = error.hint or (None if error.note else otherwise)
    complain(f"hint: {'; '.join(filter(None, (hint, error.note)))}")


class Progress:
    """A count of rows on stderr, where stderr is a terminal and the work takes longer."""

    def __init__(self, *, quiet: bool, verbose: bool = False) -> None:
        self.shown = sys.stderr.isatty() and not quiet
        self.verbose = verbose
        self.began = time.monotonic()
        self._bar: Any = None

    @property
    def callback(self) -> Callable[[int], None] | None:
        """What workflows call, or None where nobody looks."""
        return self._update if self.shown else None

    def _update(self, rows: int) -> None:
        if self._bar is None:
            if time.monotonic() - self.began < _PATIENCE:
                return
            from rich.console import Console
            from rich.status import Status

            self._bar = Status("reading", console=Console(stderr=True))
            self._bar.start()
        self._bar.update(f"{rows:,} rows")

    def tell(self, result: dict[str, Any]) -> None:
        """Say what was read, as what, and how long it took, where the user wants to know."""
        if not self.verbose:
            return
        for one in result["inputs"]:
            complain(f"calibcli: {one['path']}: {one['rows'] or 0:,} rows")
        params = result["params"]
        if params.get("config"):
            complain(f"calibcli: options from {params['config']}")
        if "score" in params:
            columns = ", ".join(params["score"] or ()) or "an array"
            kind = "logits" if params.get("logits") else "probabilities"
            complain(f"calibcli: {result['task']}, {kind}, scores: {columns}")
        complain(f"calibcli: {time.monotonic() - self.began:.2f} s")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
