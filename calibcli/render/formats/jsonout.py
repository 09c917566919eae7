"""Results as JSON: the same bytes for the same result, numbers exact, nothing that is not JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Legal unescaped in JSON, and yet able to drive a terminal, reorder a line, or stop UTF-8.
_ESCAPED: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def render_json(result: Mapping[str, Any]) -> str:
    r"""Return `result` as JSON text: indent 2, keys in their order, a newline at the end.

    Floats are written with the shortest digits that read back exactly. Letters stay readable;
    control, reordering and surrogate characters are `\u` escapes.

    Raises ValueError for NaN or an infinity (a result says null and a reason instead) and
    TypeError for what JSON does not have, NumPy integers and arrays included.
    """
    return _escaped(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


def render_line(result: Mapping[str, Any]) -> str:
    """Return `result` as `render_json` does, on one line: an entry of a log."""
    return _escaped(json.dumps(result, ensure_ascii=False, allow_nan=False))


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"
