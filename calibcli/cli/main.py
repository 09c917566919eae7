"""The program: its commands, and the ladder from what went wrong to an exit code."""

from __future__ import annotations

import atexit
import os
import re
import shlex
import signal
import sys
import warnings
from contextlib import suppress
from errno import EIO
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from calibcli._version import __version__
from calibcli.cli.console import complain, edited, emit, explain, open_closed
from calibcli.cli.help import arrange
from calibcli.cli.manual.completion import ASKED, complete_at_once, complete_columns
from calibcli.cli.strict import guard
from calibcli.errors import CalibcliError, ExitCode, InputError, UsageError

COMMANDS = ("measure", "fit", "apply", "threshold", "report")
SCORES = re.compile(r"\.(csv|tsv|jsonl|ndjson|parquet|parq|pq|arrow|feather|ipc|np[yz])(\.\w+)?$")
"""What a name of score files ends in."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_interrupted: list[int] = []
LINEAR_ALGEBRA = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What tells NumPy's products of matrices how many threads they may use."""


class Terminated(BaseException):
    """A signal asked this process to end: all that was begun is cleared away on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def build(wanted: str | None = None) -> typer.Typer:
    """Return the program, with one command if its name is given: the others are not imported."""
    app = typer.Typer(
        name="calibcli",
        help=program.__doc__,
        epilog="Exit codes: 0 done, 1 the answer is no (a gate failed, a target cannot be "
        "reached), 2 wrong usage, 3 unusable input, 4 a bug, 130 interrupted.",
        callback=program,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CALIBCLI"},
    )
    for name in COMMANDS if wanted not in COMMANDS else (wanted,):
        module = import_module(f"calibcli.cli.commands.{name}")
        variable = f"CALIBCLI_{module.NAME.upper()}_SCORE"
        app.command(
            module.NAME,
            epilog=f"An option can come from the environment too, {variable}=p for "
            "--score p; the command line wins.",
        )(module.command)
    return app


def commands(wanted: str | None = None) -> Any:
    """Return the program as Typer runs it, or with the one command that is wanted.

    It is built once a process, however often calls and project files ask for it.
    """
    root = _built(wanted if wanted in COMMANDS else None)
    for command in root.commands.values():
        complete_columns(command)
    return root


@cache
def _built(wanted: str | None) -> Any:
    root = get_command(build(wanted))
    for command in (root, *getattr(root, "commands", {}).values()):
        for parameter in command.params:
            if hasattr(parameter, "show_envvar"):
                parameter.show_envvar = False  # would double the help; the epilog tells the rule
            if parameter.name == "config":
                parameter.envvar = [f"CALIBCLI_{command.name.upper()}_CONFIG", "CALIBCLI_CONFIG"]
            guard(parameter)
        arrange(command)
    return root


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"calibcli {__version__}\n")
        raise typer.Exit


def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            allow_from_autoenv=False,  # CALIBCLI_VERSION is what a build script calls its pin
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Is the model honest? Measure, correct and threshold a classifier's scores."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code.

    Typer's own ladder ends a crash, an abort and a broken pipe with 1, which would read as
    "a gate failed"; this one keeps the codes of the contract.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if "calibcli.io.artifacts.artifacts" in sys.modules:
        sys.modules["calibcli.io.artifacts.artifacts"].UNSEALED.clear()  # of an earlier call
    # Products of a few columns: threads of the library's own spin longer than they multiply (three
    # times the processor time of a fit), and the rows are read in threads already.
    for name in LINEAR_ALGEBRA:
        os.environ.setdefault(name, "1")
    debug = "--debug" in given or any(map(os.environ.get, _debug_variables(given)))
    try:
        if given == ["--version"]:  # no command is wanted, so none is imported
            _version(True)
        if given:
            _refuse_file(given)
            complete_at_once(given)
        code = commands(given[0] if given else None).main(
            given, prog_name="calibcli", standalone_mode=False
        )
        if code == ExitCode.INTERRUPTED:  # Typer's answer to an interrupt
            raise KeyboardInterrupt
        return int(code or 0)
    except typer.Exit as done:
        return done.exit_code
    except CalibcliError as error:
        if debug:
            _traceback()
        _look(error, given)
        explain(error, _help(given))
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        complain("calibcli: interrupted")
        return int(ExitCode.INTERRUPTED)
    except Terminated as end:
        complain("calibcli: terminated")
        return 128 + end.number
    except SystemExit as left:  # Typer's answer to a shell that asks, and where help is not read
        return left.code if ASKED in os.environ and isinstance(left.code, int) else 0
    except BrokenPipeError:
        return int(ExitCode.OK)
    except MemoryError:
        explain(InputError("out of memory", "fewer rows are in flight with --threads 1"))
        return int(ExitCode.INPUT)
    except OSError as error:
        if debug:
            _traceback()
        reason = os.strerror(error.errno or EIO).lower()
        named = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        explain(InputError(f"{named}{reason}", "--debug shows where"))
        return int(ExitCode.INPUT)
    except Exception as error:  # noqa: BLE001  (the last rung: whatever is left is a bug)
        if hasattr(error, "format_message"):
            return _usage(error)
        if _interrupted:
            complain("calibcli: interrupted")
            return int(ExitCode.INTERRUPTED)
        if debug:
            _traceback()
        kind = type(error).__name__
        changed = ", ".join(edited())
        if changed:
            told = f"{changed} has no digest, as a file that was edited, and cannot be used: {kind}"
            explain(InputError(told, "write it again; --debug shows what fails"))
            return int(ExitCode.INPUT)
        complain(f"calibcli: bug: {kind}: please report it with the output of --debug")
        return int(ExitCode.BUG)


def _refuse_file(given: list[str]) -> None:
    """Say what to type where a file stands in the place of a command."""
    name = given[0]
    if name in COMMANDS or name.startswith("-"):
        return
    with suppress(OSError, ValueError):  # a name that no file can have
        if Path(name).exists() or SCORES.search(name):
            command = f"calibcli measure {shlex.join(given)}"
            raise UsageError(f"{name} is no command", command)


def _look(error: CalibcliError, given: list[str]) -> None:
    """Put a command that works on these files in place of the hint, where one can be found."""
    spec = getattr(error, "spec", None)
    if error.topic is None or spec is None:
        return
    from calibcli.workflows.input.hints import command_line, found_options, words

    found = found_options(spec, error.topic, need_labels=given[0] != "apply")
    if found:
        others = [shlex.join(words(one)) for one in found[1:]]
        error.hint = "; or ".join([command_line(given, found[0]), *others])
    elif error.topic == "kind" and "exp(score)" not in (error.hint or ""):
        error.hint = "they are neither percentages nor logits of these labels: give probabilities"


def _usage(error: Exception) -> int:
    """Explain what Typer refused: an unknown option, a value of the wrong kind."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        for line in context.get_help().splitlines():
            complain(line)
        return int(ExitCode.USAGE)
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    path = context.command_path if context is not None else "calibcli"
    explain(UsageError(message.replace(": Value error, ", ": "), f"{path} --help"))
    return int(ExitCode.USAGE)


def _help(given: list[str]) -> str:
    """Return what to type where an error has no hint of its own."""
    return f"calibcli {given[0]} --help" if given and given[0] in COMMANDS else "calibcli --help"


def _debug_variables(given: list[str]) -> tuple[str, ...]:
    command = given[0].upper() if given else ""
    return "CALIBCLI_DEBUG", f"CALIBCLI_{command}_DEBUG"


def _traceback() -> None:
    import traceback

    traceback.print_exc(file=sys.stderr)


def _terminate(number: int, _: object) -> None:
    """Clean up once, whichever signals follow: a terminal that closes sends several."""
    for other in _ENDING:
        signal.signal(other, _nothing)
    raise Terminated(number)


def _interrupt(number: int, _: object) -> None:
    """Interrupt, and remember it: inside an import of native code it becomes another error."""
    _interrupted.append(number)
    raise KeyboardInterrupt


def _nothing(*_: object) -> None:
    """Be deaf: Python complains of a signal that came before SIG_IGN and is handled after it."""


def run() -> NoReturn:
    """Run the program and exit with its code."""
    open_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them: so be it
            signal.signal(number, _terminate)
    warnings.simplefilter("ignore")  # of libraries: nobody asked, and stderr is ours
    code = main()
    try:
        emit("")  # what Typer has printed is not flushed yet
    except InputError as error:
        if code == 0:
            explain(error)
            code = int(error.exit_code)
    # Python takes its handlers away before the process has ended: a late signal would kill it.
    for number in _ENDING:
        if signal.getsignal(number) is _nothing:
            signal.signal(number, signal.SIG_IGN)
    # Arrow before 25 may abort a process that ends while its threads still wait, with SIGABRT in
    # the place of the code: what is to be done at the end is done, and nothing is taken down.
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
