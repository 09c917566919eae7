"""What the program writes is held to the schemas it ships; each is read and checked itself once."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator


@cache
def schema_of(kind: str) -> Draft202012Validator:
    """What validates a result or an artifact of a kind: `measure`, `calibrator`."""
    schema = json.loads((files("calibcli") / "schemas" / f"{kind}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def fits_schema(value: Any, kind: str) -> None:
    """Expect a value to fit the schema of its kind, as JSON: NaN and Infinity are none."""
    schema_of(kind).validate(json.loads(json.dumps(value, allow_nan=False)))
