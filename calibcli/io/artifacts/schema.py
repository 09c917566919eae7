"""Check a JSON value against one of the shipped JSON Schemas, with the path of what is wrong.

The part of JSON Schema that the shipped files use, no more, so that reading an artifact needs no
further package and a damaged one never becomes a traceback. Unknown properties are allowed.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
KEYWORDS = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "type", "const", "enum",
    "required", "properties", "additionalProperties", "items", "minimum", "maximum",
    "exclusiveMinimum", "minItems", "anyOf", "pattern",
}  # fmt: skip
"""The keywords that are understood (`pattern` only describes); a test holds the files to them."""


@functools.cache
def load_schema(kind: str) -> dict[str, Any]:
    """Return the shipped JSON Schema of an artifact or a result, by its name."""
    text = (resources.files("calibcli") / "schemas" / f"{kind}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def violation(value: Any, kind: str) -> str | None:
    """Return where and how `value` breaks the schema `kind`, in one line; None if it does not.

    >>> violation({"schema": "calibcli/thresholds"}, "thresholds")
    "'version' is missing"
    """
    root = load_schema(kind)
    return _check(value, root, root, "")


def _check(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> str | None:
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        return _check(value, target, root, at)
    if "anyOf" in schema:
        found = [_check(value, option, root, at) for option in schema["anyOf"]]
        # The option of the right type tells more than the others.
        return None if None in found else max((f for f in found if f), key=len)
    where = at or "the document"
    if "type" in schema and not _is_type(value, schema["type"]):
        return f"{where} is not {_named(schema['type'])}"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _check_number(value, schema, where)
    if isinstance(value, list):
        return _check_list(value, schema, root, at)
    if isinstance(value, dict):
        return _check_object(value, schema, root, at)
    return None


def _is_type(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)


def _named(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    articles = {"object": "an object", "array": "an array", "integer": "an integer", "null": "null"}
    return " or ".join(articles.get(name, f"a {name}") for name in names)


def _check_number(value: float, schema: dict[str, Any], where: str) -> str | None:
    if "minimum" in schema and value < schema["minimum"]:
        return f"{where} is below {schema['minimum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"{where} is not above {schema['exclusiveMinimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"{where} is above {schema['maximum']}"
    return None


def _check_list(
    value: list[Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> str | None:
    if len(value) < schema.get("minItems", 0):
        return f"{at or 'the document'} has fewer than {schema['minItems']} items"
    items = schema.get("items")
    if items is None:
        return None
    # A million cells: one look at the set of their types.
    if items == {"type": "number"} and set(map(type, value)) <= {int, float}:
        return None
    for i, item in enumerate(value):
        found = _check(item, items, root, f"{at}[{i}]")
        if found is not None:
            return found
    return None


def _check_object(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{_join(at, name)!r} is missing"
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        inner = properties.get(name, others)
        if isinstance(inner, dict):
            found = _check(item, inner, root, _join(at, name))
            if found is not None:
                return found
    return None


def _join(at: str, name: str) -> str:
    shown = name if name.isprintable() else repr(name)
    return f"{at}.{shown}" if at else shown
