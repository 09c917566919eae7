r"""Names of classes, groups, columns and files are data: shown as they are, and harmless.

Every string that came from a user's file passes through one of these functions, one for each
medium. Control characters and the invisible characters that reorder text are spelt out (`\n`,
`\x1b`, `\u202e`) everywhere except in JSON, which has escapes of its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Joiners are part of ordinary spelling (Persian, Indic scripts, emoji) and cannot reorder a line.
_JOINERS: Final = frozenset("\u200c\u200d")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# OWASP, "CSV Injection": a cell that starts so is evaluated by a spreadsheet.
_FORMULA: Final = r"\s*[=+\-@＝＋－＠]"  # noqa: RUF001 (the full-width forms count too)

# An interval such as [0.1, 0.2] is left readable where nothing can turn it into a link.
_MARKDOWN: Final = (
    r"(?P<safe>[\[(](?:-?[\d.][\d.e+-]*|lo), (?:-?[\d.][\d.e+-]*|hi)[\])](?![(\[:])|(?<=\w)_(?=\w)"
    r"|^[+-]\d[\d.,]*(?:e[+-]?\d+)?$)"
    r"|[\\`*_\[\]<&|~$@]|:(?=//|\w+:)|^[#>+=-]|(?<=www)\."
)


def visible(text: object) -> str:
    r"""Return `text` with every control, surrogate and reordering character spelt out.

    >>> visible("cat\n\x1b[31m")
    'cat\\n\\x1b[31m'
    """
    name = str(text)
    if name.isascii() and name.isprintable():
        return name
    return "".join(_spelt(char) for char in name)


def _spelt(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in _UNSEEN:
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def html(text: object) -> str:
    """Return `text` safe as HTML text and inside a quoted attribute.

    >>> html("<script>alert('a')</script>")
    '&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt;'
    """
    return (
        visible(text)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def markdown(text: object) -> str:
    """Return `text` safe inside a GitHub table cell or paragraph.

    Entities rather than backslashes: they survive in cells, and `@name` pings nobody.

    >>> markdown("a|b")
    'a&#124;b'
    """
    return re.sub(_MARKDOWN, _entity, visible(text))


def _entity(match: re.Match[str]) -> str:
    char = match.group()
    if match["safe"]:
        return char
    # GitHub looks for mentions after entities are decoded; a comment keeps sign and name apart.
    return "&#64;<!-- -->" if char == "@" else f"&#{ord(char)};"


def csv(text: object) -> str:
    """Return `text` as a cell for people: no control characters, and never a formula.

    >>> csv("=1+1")
    "'=1+1"
    """
    name = visible(text)
    return f"'{name}" if re.match(_FORMULA, name) else name


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes (wide scripts take two a character).

    >>> columns("日本")
    4
    """
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def cut(text: str, limit: int) -> str:
    """Return `text`, or its beginning and an ellipsis, in at most `limit` columns.

    >>> cut("calibration", 6), cut("日本語", 6), cut("日本語", 5)
    ('calib…', '日本語', '日本…')
    """
    if columns(text) <= limit:
        return text
    taken, end = 0, 0
    for char in text:
        taken += _columns(char)
        if taken >= limit:
            break
        end += 1
    return f"{text[:end]}…"


def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
