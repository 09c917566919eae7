"""Tables that are one JSON document: an array of objects, or names of columns beside rows.

pandas writes both (`orient="records"` and `"split"`), MLflow's evaluation tables and tables of
Weights & Biases are the second. They are turned into lines in memory.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from calibcli.io.failures import reading

if TYPE_CHECKING:
    from calibcli.io.formats.source import Source

_HEAD = 4096
_MOST = 2**28
"""Bytes up to which a document is parsed as a whole; larger ones want a form that streams."""
_BOXES = re.compile(rb'"(bbox|segmentation|category_id)"\s*:')
"""Names of COCO's results, which are read as such."""
_ARRAY = re.compile(rb"\s*\[\s*\{")
_SPLIT = re.compile(rb'\s*\{[^\[\]]*"(columns|data|index)"\s*:\s*\[')


def lines_of(source: Source) -> bytes | None:
    """Return the rows of such a document as JSON Lines; None where a file is none.

    Raises:
        InputError: it cannot be read.
    """
    with reading(source.name), source.open() as file:
        head = file.read(_HEAD)
        if _BOXES.search(head) or not (_ARRAY.match(head) or _SPLIT.match(head)):
            return None
        if source.size() > _MOST:
            return None
        content = head + file.read()
    try:
        rows = _rows(json.loads(content))
    except ValueError:
        return None
    if not rows:
        return None
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _rows(document: Any) -> list[dict[str, Any]]:
    """Return the rows of a document; [] where it is no table."""
    if isinstance(document, list):
        return document if all(isinstance(row, dict) for row in document) else []
    match document:
        case {"schema": _}:  # an artifact
            return []
        case {"columns": [*names], "data": [*rows]}:
            fits = all(isinstance(row, list) and len(row) == len(names) for row in rows)
            return [dict(zip(map(str, names), row, strict=True)) for row in rows] if fits else []
    return []
