"""Types for the text columns of CSV files, for outputs that have types.

A type is given only where every value of every file allows it and reads back as the same value:
"007", a 20-digit id or a column with one word in it stays text. It takes a pass over the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.io.formats.arrow_arrays import text_scalar
from calibcli.io.formats.frames import ReadPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.formats.frames import Reader

_PATTERNS = {
    "bool": r"^(true|false|True|False)?$",
    "int64": r"^(-?(0|[1-9][0-9]{0,17}))?$",
    # Up to 15 digits, which a double keeps; a leading zero marks a code, not a number.
    "double": r"^([+-]?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
    r"|[+-]?(inf|Inf|nan|NaN))?$",
}


def typed_schema(readers: Sequence[Reader], schema: Any) -> Any:
    """Return `schema` with types for the text columns, as the rows of all `readers` allow."""
    import pyarrow as pa
    from pyarrow import compute

    wanted = {"bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64()}
    possible = {
        field.name: list(wanted) for field in schema if str(field.type) in ("string", "null")
    }
    filled: set[str] = set()
    empty = text_scalar("")
    for reader in readers:
        for part in reader.parts:
            for frame in reader.read(part, ReadPlan(keep=True)):
                for name, kinds in possible.items():
                    column = frame.table.column(name)
                    if str(column.type) != "string":
                        kinds.clear()  # a file with types of its own sets them
                        continue
                    if compute.any(compute.not_equal(column, empty)).as_py():
                        filled.add(name)
                    kinds[:] = [
                        kind
                        for kind in kinds
                        if compute.all(
                            compute.match_substring_regex(column, _PATTERNS[kind])
                        ).as_py()
                        is not False
                    ]
    fields = [
        pa.field(field.name, wanted[possible[field.name][0]])
        if field.name in filled and possible.get(field.name)
        else field
        for field in schema
    ]
    return pa.schema(fields)


def possible_type(column: Any) -> Any:
    """Return the type that every value of a text column allows, None for text (or for nothing)."""
    import pyarrow as pa
    from pyarrow import compute

    if not compute.any(compute.not_equal(column, "")).as_py():
        return None
    for kind, wanted in (("bool", pa.bool_()), ("int64", pa.int64()), ("double", pa.float64())):
        fits = compute.match_substring_regex(column, _PATTERNS[kind])
        if compute.all(fits).as_py() is not False:
            return wanted
    return None


def cast(column: Any, wanted: Any) -> Any:
    """Cast a column to a type of a schema; an empty text is a missing number.

    Raises:
        pyarrow.ArrowInvalid: A value that the type cannot hold.
    """
    if column.type == wanted:
        return column
    if str(column.type) == "string":
        from pyarrow import compute

        blank = compute.equal(column, text_scalar(""))
        column = compute.if_else(blank, text_scalar(None), column)
    return column.cast(wanted)
