"""A binary calibrator as one expression in portable SQL.

CASE, comparisons, arithmetic and, for logistic methods, EXP and LN: no functions of one database.
Every number has an exponent, so that it is a double and not a decimal. Few pieces are listed,
many become a balanced tree, so that a row costs as many comparisons as its depth.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.calibrators.piecewise import BetaCurve, Constant, Linear, Logistic
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.piecewise import Piece, Pieces
    from calibcli.core.numeric.raw_scale import RawScale

_LISTED = 12
_MOST = 1 << 20
"""Characters of an expression."""
_STEEP = 100.0
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_WORDS = (
    "all and any array as asc between both by case cast check column create cross current date "
    "default delete desc distinct do drop else end except exists false fetch filter for foreign "
    "from full glob grant group having if in index inner insert intersect into is isnull join "
    "key left like limit match natural not notnull null of offset on or order outer over "
    "partition primary references right row rows select set some table then time timestamp to "
    "true union unique update user using values when where window with"
)
_RESERVED = frozenset(_WORDS.split())


def identifier(name: str) -> str:
    """Return a column name as SQL writes it, in double quotes where it needs them.

    Raises:
        UsageError: an empty name, or one with a null character.
    """
    if not name or "\0" in name:
        raise UsageError(f"--score {name!r} cannot be a column", "name the column: --score score")
    if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def number(value: float) -> str:
    """Return a double literal: the shortest text that reads back as the same double."""
    text = repr(float(value))
    return text if "e" in text else f"{text.removesuffix('.0')}e0"


def exactly(value: float) -> str:
    """Return an expression that is this double in databases that read decimals loosely, too.

    SQLite reads about one decimal in ten thousand as a neighbouring double, which would put a
    score on an edge on the other side. Whole numbers and divisions by powers of two are exact.
    """
    short = number(value)
    mantissa, divisor = abs(value).as_integer_ratio()
    if len(re.sub(r"e.*|\D", "", short).strip("0")) <= 4 and 1e-9 < abs(value) < 1e9:
        return short
    if value == 0.0 or abs(value) >= 2.0**53:
        return short
    text, power = f"{'-' if value < 0 else ''}{mantissa}e0", divisor.bit_length() - 1
    while power > 0:
        text += f"/{2 ** min(power, 53)}e0"
        power -= min(power, 53)
    return f"({text})"


def by_map(calibrator: Calibrator, found: Mapping[str | None, str], missing: str, hint: str) -> str:
    """Return the expressions of a map, by the group of a row where it has one for each value.

    `found` has that of all other rows under None; `missing` is the value that stands for no group.

    Raises:
        UsageError: the expression is too long; with the hint.
    """
    text = found[None]
    if isinstance(calibrator, Grouped):
        own = {value: one for value, one in found.items() if value is not None}
        text = by_value(calibrator.column, own, text, missing)
    if len(text) > _MOST:
        raise UsageError(f"the expression would have {len(text):,} characters", hint)
    return text


def emit_sql(pieces: Pieces, score: str = "score", scale: RawScale | None = None) -> str:
    """Return one SQL expression of the column `score`; NULL where `apply` refuses the score.

    `scale` is that of raw scores.
    """
    s = scaled(score, scale)
    leaves = [_leaf(piece, s, pieces) for piece in pieces.pieces]
    return cases(s, _cuts(s, pieces), leaves, logits=pieces.logits)


def scaled(score: str, scale: RawScale | None) -> str:
    """Return a column as SQL writes it, on the scale of the map."""
    s = identifier(score)
    return s if scale is None else f"(({s} - {exactly(scale.location)})/({exactly(scale.scale)}))"


def cases(s: str, cuts: Sequence[str], leaves: Sequence[str], *, logits: bool) -> str:
    """Return a CASE of one score.

    Args:
        s: the column, as SQL writes it.
        cuts: conditions that the score is below each start but the first, increasing.
        leaves: what it is before, between and after them.
        logits: whether scores are logits.
    """
    # 1 / s tells an infinity from NaN, which DuckDB and PostgreSQL sort above it.
    legal = f"{s} < 1e308 OR 1e0/{s} < 1e-300" if logits else f"{s} <= 1e0"
    if len(leaves) <= _LISTED:
        lines = [] if logits else [f"WHEN {s} < 0e0 THEN NULL"]
        lines += [f"WHEN {below} THEN {leaf}" for below, leaf in zip(cuts, leaves, strict=False)]
        lines.append(f"WHEN {legal} THEN {leaves[-1]}")
    else:
        guard = legal if logits else f"{s} >= 0e0 AND {legal}"
        lines = [f"WHEN {guard} THEN", _tree(cuts, leaves)]
    return "CASE\n" + "".join(f"  {line}\n" for line in lines) + "END"


def _cuts(s: str, pieces: Pieces) -> list[str]:
    """Return the condition s < start of each piece but the first.

    Written as s <= the double before where that is shorter. Where the map is continuous the last
    bit of a start does not matter; the clip near 1 makes a small step.
    """
    found = []
    for start, (left, right) in zip(pieces.starts, pairwise(pieces.pieces), strict=True):
        step = isinstance(right, Constant) and (isinstance(left, Constant) or 1 - 1e-14 < start < 1)
        found.append(below(s, start, exact=step))
    return found


def below(s: str, start: float, *, exact: bool = True) -> str:
    """Return the condition that a score is below a start."""
    before = math.nextafter(start, -math.inf)
    sign, at = ("<=", before) if len(repr(before)) < len(repr(start)) else ("<", start)
    return f"{s} {sign} {exactly(at) if exact else number(at)}"


def quoted(text: str) -> str:
    """Return a text literal.

    A backslash is one in standard SQL and begins an escape in Spark and MySQL, where two are one.
    """
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\\")]
    if len(parts) == 1:
        return parts[0]
    backslash = r" || SUBSTR('\\', 1, 1) || "
    return f"({backslash.join(parts)})"


def by_value(column: str, own: Mapping[str, str], rest: str, missing: str) -> str:
    """Return an expression that differs by the value of a column.

    Args:
        column: its name.
        own: the expression of each value, as text.
        rest: that of every other value.
        missing: the value that stands for none at all.
    """
    if not own:
        return rest
    name = identifier(column)
    lines = []
    for value, expression in own.items():
        text = f"CAST({name} AS VARCHAR(255))"
        same = f"{text} = {quoted(value)}"
        if value == missing:
            same = f"{name} IS NULL OR {text} = ''"
        lines.append(f"  WHEN {same} THEN\n{expression}\n")
    return f"CASE\n{''.join(lines)}  ELSE\n{rest}\nEND"


def _tree(cuts: Sequence[str], leaves: Sequence[str]) -> str:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    left, right = _tree(cuts[: half - 1], leaves[:half]), _tree(cuts[half:], leaves[half:])
    return f"CASE WHEN {cuts[half - 1]} THEN {left}\n  ELSE {right} END"


def _plus(value: float) -> str:
    """Return ' + value' or ' - |value|'; nothing for 0."""
    if value == 0.0:
        return ""
    return f" {'-' if value < 0 else '+'} {number(abs(value))}"


def _leaf(piece: Piece, s: str, pieces: Pieces) -> str:
    if isinstance(piece, Constant):
        return number(piece.value)
    if isinstance(piece, Linear):
        return _line(piece, s, pieces)
    if isinstance(piece, Logistic):
        z = s if pieces.logits else f"LN({s}/(1e0 - {s}))"
        if piece.origin:
            z = f"({z}{_plus(-piece.origin)})"
        # The sign is turned, for 1 / (1 + exp(-f)).
        return f"1e0/(1e0 + EXP({number(-piece.slope)}*{z}{_plus(-piece.base)}))"
    return f"1e0/(1e0 + EXP({_beta(piece, s, logits=pieces.logits)}))"


def _line(piece: Linear, s: str, pieces: Pieces) -> str:
    p = f"1e0/(1e0 + EXP(-{s}))" if pieces.logits else s
    if (piece.base, piece.slope, piece.origin) != (0.0, 1.0, 0.0):
        steep = abs(piece.slope) > _STEEP
        origin = f" - {(exactly if steep else number)(piece.origin)}" if piece.origin else ""
        p = f"{number(piece.base)} + {number(piece.slope)}*({p}{origin})"
    if pieces.odds == 1.0:
        return p
    odds = number(pieces.odds)
    return f"{odds}*({p})/(1e0 + {number(pieces.odds - 1.0)}*({p}))"


def _beta(piece: BetaCurve, s: str, *, logits: bool) -> str:
    """Return -(a log p - b log(1 - p) + c)."""
    if not logits:
        low, high = f"LN({s})", f"LN(1e0 - {s})"
    elif piece.upper:
        rest = f"LN(1e0 + EXP(-{s}))"
        low, high = f"(-{rest})", f"(-{s} - {rest})"
    else:
        rest = f"LN(1e0 + EXP({s}))"
        low, high = f"({s} - {rest})", f"(-{rest})"
    terms = ((-piece.a, low), (piece.b, high))
    return " + ".join(f"{number(w)}*{log}" for w, log in terms if w) + _plus(-piece.c)


__all__ = ["below", "by_value", "cases", "emit_sql", "exactly", "identifier", "number", "quoted"]
