"""A value is given once, and it says something: what Typer would take silently is refused.

An unset variable of a shell leaves an empty text, which would be a label, a column or the current
folder; of an option that is given twice the last would win.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from calibcli.errors import UsageError
from calibcli.tasks.features import refuse_idle


def typed(context: Any, name: str | None) -> bool:
    """Whether a parameter was typed on the command line, rather than set elsewhere."""
    source = context.get_parameter_source(name or "")
    return source is not None and source.name == "COMMANDLINE"


def guard(parameter: Any) -> None:
    """Make a parameter of a command refuse empty texts, and a second value where it takes one."""
    parameter.consume_value = MethodType(_checked(parameter.consume_value), parameter)
    if _single(parameter):
        parameter.add_to_parser = MethodType(_collecting, parameter)


def _single(parameter: Any) -> bool:
    """Whether a parameter is an option of one value; a flag says the same twice."""
    return parameter.param_type_name == "option" and not (parameter.multiple or parameter.is_flag)


def _collecting(parameter: Any, parser: Any, _: Any) -> None:
    parser.add_option(
        obj=parameter, opts=parameter.opts, dest=parameter.name, action="append", nargs=1
    )


def _checked(consume: Any) -> Any:
    def consume_value(parameter: Any, context: Any, given: Any) -> Any:
        value, source = consume(context, given)
        if _single(parameter) and isinstance(value, list):
            if len(value) > 1:
                raise UsageError(
                    f"{_name(parameter)} is given twice: {_shown(value[0])} and {_shown(value[1])}",
                    "leave out one: it takes a single value",
                )
            value = value[0]
        if "" in (value if isinstance(value, list | tuple) else (value,)):
            raise UsageError(
                f"{_name(parameter)} is empty",
                "is a variable of the shell unset? give a value or leave it out",
            )
        if source.name == "COMMANDLINE":
            refuse_idle(str(context.info_name), _name(parameter))
        return value, source

    return consume_value


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return str(parameter.opts[0])
    return str(parameter.metavar or parameter.name).rstrip(".")


def _shown(value: str) -> str:
    return value if value and value.isprintable() else repr(value)
