"""Times as periods: `day:COL`, `month:COL` and their kin; `rows:N` for chunks of so many rows.

A time is the text of a date or a timestamp, or seconds or milliseconds since 1970, in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from calibcli.io.formats.buffers import BadValueError
from calibcli.io.rows.keys import MISSING_GROUP, Categories

if TYPE_CHECKING:
    from collections.abc import Callable, Container

_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2})(?::?\d{2}.*)?)?", re.S)
_EPOCH = re.compile(r"(\d{9,10}|\d{12,13})(\.\d*)?")
_CHUNKS = re.compile(r"rows:([1-9]\d{0,11})")
AUTO = "period"
"""The unit of a column that is not cut, but for timestamps, which are cut to days."""


def _week(year: int, month: int, day: int, _: str) -> str:
    at = date(year, month, day)
    return (at - timedelta(days=at.weekday())).isoformat()


_UNITS: dict[str, Callable[[int, int, int, str], str]] = {
    "hour": lambda y, m, d, h: f"{y:04}-{m:02}-{d:02} {h}:00",
    "day": lambda y, m, d, _: f"{y:04}-{m:02}-{d:02}",
    "week": _week,
    "month": lambda y, m, d, _: f"{y:04}-{m:02}",
    "quarter": lambda y, m, d, _: f"{y:04}-Q{(m + 2) // 3}",
    "year": lambda y, m, d, _: f"{y:04}",
}
UNITS = tuple(_UNITS)
"""Units of time that a column can be cut to; a week is named by its Monday."""


def chunk_size(name: str) -> int | None:
    """Return N of `rows:N`; None where that is not what is named."""
    match = _CHUNKS.fullmatch(name)
    return None if match is None else int(match[1])


def chunks(first: int, rows: int, every: int) -> Categories:
    """Return the chunk of each of these rows (rows,), the first of which has the number `first`.

    Chunks are numbered from 0.
    """
    number = np.arange(first, first + rows) // every
    low = first // every
    last = int(number[-1]) if rows else low - 1
    return Categories((number - low).astype(np.int32), [str(n) for n in range(low, last + 1)])


def split_unit(name: str) -> tuple[str | None, str]:
    """Return (unit, column) of `unit:column`; (None, name) where it names no unit."""
    unit, _, column = name.partition(":")
    return (unit, column) if column and unit in (*UNITS, AUTO) else (None, name)


def column_of(name: str, columns: Container[str]) -> tuple[str | None, str, str]:
    """Return (unit, column, option) of a group column, `unit:column` for times that are cut.

    A column of that whole name is one by itself.
    """
    unit, column = split_unit(name)
    if unit is None or name in columns:
        return None, name, "--group"
    return unit, column, "--by" if unit == AUTO else "--group"


def cut(found: Categories, unit: str) -> Categories:
    """Return a column of times as the periods that they lie in.

    Times are dates or timestamps in ISO 8601 as the file has them: a time zone is not converted;
    or seconds or milliseconds since 1970, told apart by their number of digits.

    Raises:
        BadValueError: a value that is no date.
    """
    periods: dict[str, int] = {}
    table = np.empty(len(found.values), np.int32)
    for code, value in enumerate(found.values):
        period = _period(value, unit)
        if period is None:
            rows = np.flatnonzero(found.codes == code)
            if not len(rows):
                period = MISSING_GROUP
            else:
                raise BadValueError(f"not a date, to be cut by {unit}", int(rows[0]), len(rows))
        table[code] = periods.setdefault(period, len(periods))
    return Categories(table[found.codes], list(periods))


def _period(value: str, unit: str) -> str | None:
    match = _TIME.fullmatch(value)
    if match is None and unit != AUTO:
        match = _TIME.fullmatch(_of_epoch(value))
    if unit == AUTO:
        return value[:10] if match is not None and match[4] is not None else value
    if value == MISSING_GROUP:
        return value
    if match is None or (unit == "hour" and match[4] is None):
        return None
    year, month, day = (int(match[i]) for i in (1, 2, 3))
    try:
        date(year, month, day)
    except ValueError:
        return None
    return _UNITS[unit](year, month, day, match[4] or "")


def _of_epoch(value: str) -> str:
    """Return seconds or milliseconds since 1970 as a timestamp; "" for anything else."""
    match = _EPOCH.fullmatch(value)
    if match is None:
        return ""
    seconds = int(match[1]) if len(match[1]) < 12 else int(match[1]) // 1000
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
