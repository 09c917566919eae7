"""The first lines of a JSON Lines file: which fields there are, and of which types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, row_text, show
from calibcli.io.formats.nested import column_of
from calibcli.io.formats.sources import one_array
from calibcli.io.rows.columns import Column, Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calibcli.io.formats.source import Source

HEAD_BYTES = 2**16
LINE_LIMIT = 2**28
_BOM = b"\xef\xbb\xbf"
_WHOLE = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Head:
    """What the first lines tell.

    Attributes:
        columns: The fields, in the order of their appearance.
        types: The Arrow type of each field; None where its values are of mixed types.
        more: Whether there are any rows.
    """

    columns: Columns
    types: dict[str, Any]
    more: bool


def read_head(source: Source) -> Head:
    """Read the first lines, some 64 kB.

    Raises:
        InputError: A file that is empty, or whose first lines are no objects.
    """
    name = show(source.name)
    text = b""
    with reading(source.name, "JSON Lines file"):
        stream = source.stream()
        while chunk := stream.read(HEAD_BYTES):
            text += chunk
            if (len(text) >= HEAD_BYTES and b"\n" in text) or len(text) > LINE_LIMIT:
                break
        else:
            text += b"\n"
    text = text.removeprefix(_BOM)
    if not text.strip():
        raise InputError(f"{name} is empty", hint="write an object on each line")
    if text.lstrip().startswith(b"["):
        raise one_array(source)
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    rows = [parsed(line, name, row) for row, line in enumerate(filter(bytes.strip, lines))]
    if not rows:
        raise InputError(
            f"{name}: its first line is longer than {LINE_LIMIT >> 20} MB",
            hint="is this a file with an object on each line?",
        )
    fields = list(dict.fromkeys(field for row in rows for field in row))
    values = {field: [row[field] for row in rows if row.get(field) is not None] for field in fields}
    types = {field: type_of(found) for field, found in values.items()}
    columns = Columns((field, described(values[field], types[field])) for field in fields)
    return Head(columns, types, more=True)


def parsed(line: bytes, name: str, row: int) -> dict[str, Any]:
    """Return the object on a line; `row` is 0-based, for messages.

    Raises:
        InputError: It is none.
    """
    try:
        value = json.loads(line)
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text", hint="write it as UTF-8") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            f"{name}, {row_text(row)}: not a JSON object on one line",
            hint="JSON Lines has an object on each line: jq -c . FILE > rows.jsonl",
        )
    return value


def type_of(values: Iterable[Any]) -> Any:
    """Return the Arrow type of values, of which none is null; None where they are mixed."""
    import pyarrow as pa

    found = list(values)
    kinds = {type(value) for value in found}
    if not kinds:
        return pa.null()
    if kinds == {int} and all(value in _WHOLE for value in found):
        return pa.int64()
    if kinds <= {int, float}:
        return pa.float64()
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    if kind is list:
        inner = type_of(item for value in found for item in value if item is not None)
        return None if inner is None else pa.list_(inner)
    if kind is dict:
        names = list(dict.fromkeys(name for value in found for name in value))
        fields = {
            name: type_of(value[name] for value in found if value.get(name) is not None)
            for name in names
        }
        return None if None in fields.values() else pa.struct(list(fields.items()))
    return pa.bool_() if kind is bool else pa.string()


def described(values: list[Any], arrow_type: Any) -> Column:
    """Describe a field by its values; texts among which are numbers may be scores."""
    if arrow_type is not None and column_of(arrow_type).kind == "number":
        return column_of(arrow_type)
    if values and all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        inside = {
            name: [value[name] for value in values if value.get(name) is not None] for name in names
        }
        children = {name: described(found, type_of(found)) for name, found in inside.items()}
        return Column("other", None, children=children)
    if values and all(isinstance(value, list) for value in values):
        items = [item for value in values for item in value if item is not None]
        element = described(items, type_of(items))
        plain = element.width is None and not element.children
        lengths = {len(value) for value in values}
        length = lengths.pop() if len(lengths) == 1 else 0
        return Column(element.kind if plain else "other", 0, element=element, length=length)
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values) and not any(map(_is_number, texts)):
        return Column("text")
    return Column("any")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
