"""The project file as default values of options: flags win over environment over file.

Its keys are the names of long options. A key at the top counts for every command that has the
option, a key in the table of a command for that command alone, where it wins.

A file that is found, rather than named, may be somebody else's: a clone, an archive. It sets
columns, conventions and gates, and nothing that writes, connects, runs elsewhere or keeps silent.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calibcli.cli.strict import typed
from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calibcli.errors import CalibcliError

_NOT_HERE = frozenset({"help", "config", "no-config", "debug"})
_ONE_COMMAND = frozenset({"output", "save-stats", "candidates", "evidence"})
"""Outputs: at the top several commands would write the same file."""
_INSTEAD = (
    frozenset({"score", "scores"}),
    frozenset({"no_ci", "confidence"}),
    frozenset({"output", "promote_over", "rollback", "replay"}),
)
"""Options of which one given by hand takes the place of another in the file."""
_MEANT = {"gate": "fail-if", "gates": "fail-if", "groups": "group", "clusters": "cluster"}
_FILES = ("FILE", "OUT", "DIR")
_INPUTS = frozenset(
    {"calibrator", "thresholds", "labels", "ground-truth", "reference", "cost-matrix", "images"}
)
"""Options of a file that is read; in a file that is found, one below its folder."""
_BY_NAME = frozenset(
    {"engine", "scheduler", "threads", "quiet", "dry-run", "emit", "lock-timeout", "promote-over"}
    | {"rollback"}
)
"""Options that only a file that is named may set, with every option of a file that is written."""
_SHOWN_ANYWAY = frozenset({"format", "title", "tag", "plot", "verbose", "quiet", "fail-if"})
"""Options that change no number, or whose values stand in the result."""


class Values(dict[str, Any]):
    """Default values of a command's options, by parameter.

    `path` is the file as results show it, `found` whether nobody has named it, `taken` the
    parameters that have their value from it, `own` those that the table of the command names.
    """

    def __init__(
        self, values: Mapping[str, Any], path: str, context: typer.Context, *, found: bool
    ) -> None:
        super().__init__(values)
        self.path = path
        self.found = found
        self.context = context
        self.taken: set[str] = set()
        self.own: frozenset[str] = getattr(values, "own", frozenset())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value for a parameter, unless what it excludes was given by hand."""
        others = set().union(*(names - {name} for names in _INSTEAD if name in names))
        if any(_by_hand(self.context, other) for other in others):
            return default
        if name in self:
            self.taken.add(name)
        return super().get(name, default)

    @property
    def options(self) -> dict[str, Any]:
        """The options that this run has from the file, by name, with their values."""
        return {name.replace("_", "-"): self[name] for name in self if name in self.taken}

    @property
    def telling(self) -> dict[str, Any]:
        """Those of `options` that change numbers."""
        return {name: one for name, one in self.options.items() if name not in _SHOWN_ANYWAY}

    def blamed(self, error: CalibcliError) -> CalibcliError:
        """Note in an error which of the options that it names are set in the file."""
        named = re.findall(r"--[a-z][a-z-]*", error.message)
        here = [one for one in named if one.removeprefix("--").replace("-", "_") in self.taken]
        if here:
            error.note = f"{here[0]} is set in {self.path}"
        return error


class Settings(dict[str, Any]):
    """Values of a command by parameter; `own` are those that its own table names."""

    own: frozenset[str] = frozenset()


def own_gates(config: Any, fail_if: list[str] | None) -> list[str]:
    """Return the gates of a run that is no measurement: by hand, or in the command's own table.

    Those at the top of a project file are on figures of `measure`, which it may not have.
    """
    shared = isinstance(config, Values) and "fail_if" in config.taken - config.own
    return [] if shared else fail_if or []


def _by_hand(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
        return True
    found = [one for one in context.command.params if one.name == name]
    return any(one.value_from_envvar(context) is not None for one in found)


def no_config(context: typer.Context, wanted: bool) -> bool:
    """Remember that no project file is to be read.

    Eager as `config` is: what the command line has comes first, in its order, then this one.
    """
    if wanted and "calibcli.config" in context.meta:
        raise _both()
    if wanted:
        context.meta["calibcli.no_config"] = True
    return wanted


def _both() -> UsageError:
    return UsageError("--config and --no-config exclude each other", "leave out one")


def config(context: typer.Context, given: str | None) -> Values | None:
    """Take default values from the project file, and return them.

    Raises:
        InputError: the file cannot be read.
        UsageError: a key that is no option, a value of the wrong type; --config and --no-config.
    """
    if context.resilient_parsing:
        return None
    by_hand = typed(context, "config")
    if context.meta.get("calibcli.no_config"):
        if by_hand:
            raise _both()
        return None
    if by_hand:
        context.meta["calibcli.config"] = given
    from calibcli.io.artifacts.project import find_project_file

    path = given or find_project_file()
    if path is None:
        return None
    shown, found = _relative(Path(path)), not given
    values = read_settings(Path(shown), found=found)
    taken = Values(values[str(context.info_name)], shown, context, found=found)
    context.default_map = taken
    return taken


def read_settings(path: Path, *, found: bool = False) -> dict[str, Settings]:
    """Return the values that a project file gives to each command, by parameter.

    Args:
        path: the file.
        found: whether nobody has named it.

    Raises:
        InputError: the file cannot be read.
        UsageError: a key that is no option, a value of the wrong type, or in a file that is found
            what only one that is named may set.
    """
    from calibcli.cli.main import commands  # the other commands, whose keys are checked too
    from calibcli.io.artifacts.project import read_project_file

    known = {
        name: {one.opts[0].removeprefix("--"): one for one in command.params if one.opts}
        for name, command in commands().commands.items()
    }
    options = {
        name: {key: one for key, one in own.items() if _is_option(one) and key not in _NOT_HERE}
        for name, own in known.items()
    }
    settings = read_project_file(path)
    values = _checked(settings, options, str(path), path.parent)
    if found:
        _harmless(settings, options, path)
    return values


def _harmless(
    settings: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], path: Path
) -> None:
    """Refuse in a file that is found what only one that is named may set."""
    everywhere = {key: one for own in options.values() for key, one in own.items()}
    for name, value in settings.items():
        table, own = (
            ("", everywhere) if not isinstance(value, dict) else (f"{name}.", options[name])
        )
        for given, item in value.items() if table else ((name, value),):
            option = own[given.replace("_", "-")]
            reason = _harm(option, item, path.parent)
            if reason is not None:
                raise UsageError(
                    f"{table}{given} of {path}: a project file that is found {reason}",
                    f"if you trust it, name it: --config {path}",
                )


def _harm(option: Any, value: Any, folder: Path) -> str | None:
    """Return why a file that is found may not set this, or None."""
    key = option.opts[0].removeprefix("--")
    texts = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    of_file = any(word in (option.metavar or "") for word in _FILES)
    if key in _BY_NAME or (option.metavar in _FILES and key not in _INPUTS):
        return "sets columns, conventions and gates only"
    if any("://" in text for text in texts) and key not in ("title", "tag"):
        return "names no URI"
    if of_file and any(
        not (folder / text).resolve().is_relative_to(folder.resolve()) for text in texts
    ):
        return "names files of its own folder only"
    return None


def _relative(path: Path) -> str:
    """Return a path as it is written in results: seen from the current folder, with slashes."""
    return Path(os.path.relpath(path)).as_posix()


def _is_option(parameter: Any) -> bool:
    return getattr(parameter, "param_type_name", "") == "option"


def _checked(
    settings: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], shown: str, folder: Path
) -> dict[str, Settings]:
    """Return the values of each command by parameter."""
    everywhere = {key: one for own in options.values() for key, one in own.items()}
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    values = {name: Settings() for name in options}
    for given, value in settings.items():
        if given in tables:
            continue
        key = _key(given, everywhere, options, shown, where="")
        if key in _ONE_COMMAND:
            raise UsageError(
                f"{given} of {shown}: every command would write this file",
                f"put it into the table of a command, such as [{_with(key, options)}]",
            )
        wrong: UsageError | None = None
        fitting = 0
        for name, own in options.items():
            if key in own:
                try:
                    made = _value(value, own[key], f"{given} of {shown}", folder)
                except UsageError as error:
                    wrong = wrong or error
                else:
                    values[name][own[key].name] = made
                    fitting += 1
        # A format, say, that only some commands have is for those.
        if wrong is not None and not fitting:
            raise wrong
    for name, table in tables.items():
        if name not in options:
            known = ", ".join(f"[{one}]" for one in options)
            raise UsageError(
                f"[{name}] of {shown} is no command",
                did_you_mean(name, options) or f"tables of commands: {known}",
            )
        for given, value in table.items():
            key = _key(given, options[name], options, shown, where=name)
            own = options[name][key]
            values[name][own.name] = _value(value, own, f"{name}.{given} of {shown}", folder)
            values[name].own |= {own.name}
    return values


def _with(key: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    return next(name for name, own in options.items() if key in own)


def _key(
    given: str,
    known: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]],
    shown: str,
    *,
    where: str,
) -> str:
    """Return the option that a key names, with - or _ between words."""
    key = given.replace("_", "-")
    if key in known:
        return key
    told = f"{where}.{given}" if where else given
    owners = [name for name, own in options.items() if key in own]
    if owners:
        raise UsageError(
            f"{told} of {shown}: {where} has no --{key}",
            f"it is an option of {', '.join(owners)}: put it into [{owners[0]}]",
        )
    hint = f"did you mean {_MEANT[key]!r}?" if key in _MEANT else did_you_mean(key, known)
    raise UsageError(
        f"{told} of {shown} is no setting",
        hint or f"keys are the names of options: calibcli {where or 'measure'} --help",
    )


def _value(value: Any, option: Any, told: str, folder: Path) -> Any:
    """Return a TOML value as the option takes it."""
    if option.multiple:
        items = value if isinstance(value, list) else [value]
        return [_single(one, option, told, folder) for one in items]
    if isinstance(value, list):
        # What takes commas on the command line takes a list here.
        if "," not in (option.metavar or ""):
            raise UsageError(f"{told} must be one value, not a list", _example(option))
        texts = list(_texts(value, option, told))
        if any("," in text for text in texts):
            raise UsageError(f"{told}: a comma inside an item", _example(option))
        return ",".join(texts)
    return _single(value, option, told, folder)


def _texts(items: list[Any], option: Any, told: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise UsageError(f"{told} must be a list of numbers or texts", _example(option))
        yield str(item)


def _single(value: Any, option: Any, told: str, folder: Path) -> Any:
    kind = option.type.name
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{told} must be true or false", _example(option))
        return value
    if kind.startswith(("float", "integer", "int")):
        whole = kind.startswith("int")
        if not number or (whole and not isinstance(value, int)):
            what = "a whole number" if whole else "a number"
            raise UsageError(f"{told} must be {what}", _example(option))
    elif kind == "choice":
        choices = [str(getattr(one, "value", one)) for one in option.type.choices]
        if value not in choices:
            near = did_you_mean(value, choices) if isinstance(value, str) else None
            raise UsageError(
                f"{told} must be one of {', '.join(choices)}", near or _example(option)
            )
    elif number and "," in (option.metavar or ""):
        return str(value)
    elif not isinstance(value, str):
        more = ", a number or a list" if "," in (option.metavar or "") else ""
        raise UsageError(f"{told} must be a text{more}", _example(option))
    if option.metavar in _FILES and value != "-" and "://" not in value:
        # A path is meant from where the file is; results show it from where the user is.
        return value if Path(value).is_absolute() else _relative(folder / value)
    try:
        option.type.convert(value, option, None)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        message = " ".join(str(error.message).split())  # type: ignore[attr-defined]
        raise UsageError(f"{told}: {message.rstrip('.')}", _example(option)) from None
    return value


def _example(option: Any) -> str:
    key = option.opts[0].removeprefix("--")
    kind = option.type.name
    if option.is_flag:
        return f"for example {key} = true"
    if kind == "choice":
        first = option.type.choices[0]
        return f'for example {key} = "{getattr(first, "value", first)}"'
    if kind.startswith(("float", "int")):
        return f"for example {key} = {option.default if option.default is not None else 1}"
    metavar = (option.metavar or "TEXT").split("[")[0].split("|")[0]
    text = f'for example {key} = "{metavar}"'
    return text + (" or a list" if option.multiple or "," in (option.metavar or "") else "")
