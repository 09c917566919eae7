"""Numbers as spreadsheets write them: decimal commas (0,5) and percentages (77.3 %).

The first rows of a file tell how a column is written; a row that is written otherwise is an error,
for it would be another number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.io.formats.arrow_arrays import text_array, text_scalar
from calibcli.io.formats.buffers import bits, require
from calibcli.io.rows.keys import MISSING_TEXT, is_missing_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMERAL = re.compile(r"[+-]?\d*([.,]\d+)?([eE][+-]?\d+)?")
_DECIMALS = re.compile(r"[+-]?(0?,\d+|\d+,(\d{1,2}|\d{4,}))([eE][+-]?\d+)?")
"""What cannot be a whole number whose thousands are set apart by commas."""


@dataclass(frozen=True, slots=True)
class Style:
    """How the numbers of a column are written."""

    comma: bool = False
    percent: bool = False


def styles_of(rows: str, names: Sequence[str], delimiter: str) -> dict[str, Style]:
    """Return the columns whose numbers are written with commas or per cent, by the first rows."""
    commas = "," in rows and (delimiter != "," or '"' in rows)
    if "%" not in rows and not commas:
        return {}
    import csv

    lines = [row for row in csv.reader(rows.splitlines(), delimiter=delimiter) if row]
    found = {}
    for name, column in zip(names, zip(*lines, strict=False), strict=False):
        style = _style(column, own_delimiter=delimiter == ",")
        if style != Style():
            found[name] = style
    return found


def _style(column: Iterable[str], *, own_delimiter: bool) -> Style:
    values = [text.strip() for text in column if not is_missing_text(text)]
    percent = bool(values) and all(text.endswith("%") for text in values)
    texts = [text.rstrip(" %") if percent else text for text in values]
    if not all(map(_NUMERAL.fullmatch, texts)) or any("." in text for text in texts):
        return Style(percent=percent)
    comma = any("," in text for text in texts)
    if own_delimiter or percent:
        comma = any(map(_DECIMALS.fullmatch, texts))
    return Style(comma, percent)


def plain_numbers(raw: Any, style: Style) -> Any:
    """Return a text column of this style as an Arrow array of doubles, null where one is missing.

    Raises:
        BadValueError: a value that is written otherwise.
    """
    import pyarrow as pa
    from pyarrow import compute

    # Of a column that is read as keys too, Arrow keeps the distinct texts.
    text = compute.utf8_trim_whitespace(raw.cast(pa.string()))
    missing = compute.is_in(compute.utf8_lower(text), value_set=text_array(sorted(MISSING_TEXT)))
    text = compute.if_else(missing, text_scalar(None), text)
    if style.percent:
        marked = compute.ends_with(text, "%")
        _require(marked, "not a percentage, as the rows before")
        # The exponent, and no division, so that 77.3 % is the double nearest to 0.773.
        text = compute.utf8_rtrim(text, " %")
        text = compute.binary_join_element_wise(text, text_scalar("e-2"), text_scalar(""))
    if style.comma:
        _require(
            compute.invert(compute.match_substring(text, ".")),
            "a decimal point, where the rows before have a comma",
        )
        text = compute.replace_substring(text, ",", ".")
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        from calibcli.io.formats.decode import numbers

        numbers(text)  # raises for the first that is none
        raise


def _require(good: Any, problem: str) -> None:
    n = len(good)
    held = bits(good.buffers()[1], good.offset, n)
    if good.null_count:
        held |= ~bits(good.buffers()[0], good.offset, n)
    require(held, problem)
