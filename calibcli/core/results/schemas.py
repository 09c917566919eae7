"""JSON Schemas of results, generated from their types.

A schema says field by field what its type says. A field without a default is required, and so is
one whose default is always written; descriptions are those of the docstrings. Unknown keys are
allowed, as they are where results are read.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec
from msgspec import structs

from calibcli.core.results.base import Record
from calibcli.core.results.reading import result_type

TITLES: Final = {
    "measure": ("Result of measure", "What `calibcli measure --format json` prints."),
    "fit": ("Result of fit", "What `calibcli fit --format json` prints."),
    "threshold": ("Result of threshold", "What `calibcli threshold --format json` prints."),
    "apply": ("Result of apply", "What `calibcli apply -o FILE --format json` prints."),
    "promotion": (
        "Result of --promote-over and --rollback of fit and threshold",
        "What `calibcli fit --promote-over FILE --format json` prints, and `threshold` likewise.",
    ),
    "replay": (
        "Result of fit --replay",
        "What `calibcli fit SCORES --replay COL --format json` prints.",
    ),
}
"""Title and description of each schema that is generated."""
_FIELD: Final = re.compile(r"^ {8}(\w+): (.*(?:\n {12,}\S.*)*)", re.M)
_LEFT_OUT: Final = (dict, list)


def schema_text(name: str) -> str:
    """Return the schema of a result, such as "measure", as its file holds it."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of a result, such as "measure"."""
    top = result_type(f"calibcli/{name}")
    (_,), parts = msgspec.json.schema_components([top])
    # Two modules may have records of one name: the fields tell which is meant.
    kinds = {_signed(kind): kind for kind in _kinds(Record)}
    found = {
        part: _described(_simple(one), kinds[(part, *one["properties"])])
        for part, one in parts.items()
    }
    title, told = TITLES[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **found.pop(top.__name__),
        "description": f"{told} Unknown keys are allowed.",
        "$defs": dict(sorted(found.items())),
    }


def _signed(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return (kind.__name__, *kind.__struct_encode_fields__)


def _kinds(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    below = [one for child in kind.__subclasses__() for one in _kinds(child)]
    return [kind, *below]


def _described(part: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a part with what its docstring says of fields, and with what is always there."""
    fields = dict(part["properties"])
    for owner in reversed(kind.__mro__[:-1]):
        said, _, told = (owner.__doc__ or "").partition("\n\n    Attributes:\n")
        for name, text in _FIELD.findall(told):
            if name in fields:
                fields[name] = {**fields[name], "description": " ".join(text.split())}
    always = [
        one.encode_name
        for one in structs.fields(kind)
        if one.default is msgspec.NODEFAULT and one.default_factory not in _LEFT_OUT
    ]
    shown = {"description": " ".join(said.split()), "type": "object", "properties": fields}
    return {**shown, "required": always} if always else shown


def _simple(found: Any) -> Any:
    """Return a schema in the keywords that artifacts are checked by, without defaults."""
    if isinstance(found, list):
        return [_simple(one) for one in found]
    if not isinstance(found, dict):
        return found
    known = {key: _simple(one) for key, one in found.items() if key not in ("default", "maxItems")}
    ends = known.pop("prefixItems", None)
    if ends:
        known["items"] = ends[0]
    values = known.get("enum", ())
    if len(values) == 1:
        known = {"const": values[0]}
    options = known.get("anyOf")
    return _united(options) if options else known


def _united(options: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one of several schemas as one, where types alone tell them apart."""
    types = list(dict.fromkeys(one["type"] for one in options if one.keys() == {"type"}))
    if "number" in types:
        types = [one for one in types if one != "integer"]
    rest = [one for one in options if one.keys() != {"type"}]
    plain = {"type": types[0] if len(types) == 1 else types}
    if not rest:
        return plain
    return {"anyOf": [*rest, plain]} if types else {"anyOf": rest}
