"""One score of a row in SQL: probabilities by group, and decisions as exact steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import calibrate
from calibcli.core.calibrators.classes.one_vs_rest import OneVsRest
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.calibrators.pieces import doubles, ordered
from calibcli.core.decisions.rules import NONE, REFER, ByGroup
from calibcli.core.export.sql import below, by_map, by_value, cases, emit_sql, number, scaled
from calibcli.core.numeric.scales import EPS, logit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.piecewise import Pieces
    from calibcli.core.decisions.rules import Rule
    from calibcli.core.numeric.raw_scale import RawScale

    Floats = NDArray[np.float64]
    Decide = Callable[[Floats], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Scores:
    """A map of the scores of a row, of which each is by itself.

    Attributes:
        calibrator: the map.
        columns: the score, or one for each label.
        logits: whether the scores are logits.
        missing: the value that stands for no group.
        scale: of raw scores.
    """

    calibrator: Calibrator
    columns: tuple[str, ...]
    logits: bool
    missing: str
    scale: RawScale | None = None

    @property
    def _groups(self) -> tuple[str | None, ...]:
        """The values that have a map of their own, and None for the others."""
        if not isinstance(self.calibrator, Grouped):
            return (None,)
        own = (value for value, one in self.calibrator.groups.items() if one.own is not None)
        return (*own, None)

    def probability(self, k: int) -> str:
        """Return the expression of the calibrated probability of a column.

        Raises:
            UsageError: a map that is no expression.
        """
        expressions = {value: self._probability(k, value) for value in self._groups}
        return self._grouped(expressions)

    def decision(self, k: int, rule: Rule) -> str:
        """Return the expression of the decision about a column: 1, 0, or NULL where it is referred.

        Raises:
            UsageError: a map that is no expression.
        """
        column, own = _column(rule)
        if isinstance(self.calibrator, Grouped) and column == self.calibrator.column:
            values = tuple(dict.fromkeys((*own, *self._groups)))
            return self._grouped({value: self._decision(k, rule, value, value) for value in values})
        inner = {}
        for mine in self._groups:
            each = {value: self._decision(k, rule, mine, value) for value in own}
            rest = each.pop(None)
            named = {value: text for value, text in each.items() if value is not None}
            inner[mine] = rest if column is None else by_value(column, named, rest, self.missing)
        return self._grouped(inner)

    def _grouped(self, expressions: dict[str | None, str]) -> str:
        return by_map(self.calibrator, expressions, self.missing, "fit another method")

    def _parts(self, k: int, value: str | None) -> list[tuple[Pieces, float]]:
        """Return the maps of a column, each a binary one, and their weights."""
        one = self.calibrator
        if not isinstance(one, Grouped):
            return [(self._pieces(one, k), 1.0)]
        found = one.groups.get(value or "")
        if value is None or found is None or found.own is None:
            return [(self._pieces(one.overall, k), 1.0)]
        weight = found.weight[k] if len(found.weight) > 1 else found.weight[0]
        both = [(self._pieces(found.own, k), weight)]
        return both if weight == 1.0 else [*both, (self._pieces(one.overall, k), 1.0 - weight)]

    def _pieces(self, one: Calibrator, k: int) -> Pieces:
        if isinstance(one, OneVsRest):
            one = one.calibrators[k]
        return one.pieces(logits=self.logits)

    def _probability(self, k: int, value: str | None) -> str:
        parts = self._parts(k, value)
        texts = [emit_sql(pieces, self.columns[k], self.scale) for pieces, _ in parts]
        if len(parts) == 1:
            return texts[0]
        total = " + ".join(
            f"{number(weight)}*{_logit(text)}"
            for text, (_, weight) in zip(texts, parts, strict=True)
        )
        return f"1e0/(1e0 + EXP(-({total})))"

    def _decision(self, k: int, rule: Rule, mine: str | None, value: str | None) -> str:
        def decide(s: Floats) -> NDArray[np.int64]:
            p = self._calibrated(s, k, mine)
            own = rule
            if isinstance(rule, ByGroup):
                own = rule.rest if value is None else rule.rules.get(value, rule.rest)
            decided = own.decide(p).astype(np.int64)
            return decided if decided.ndim == 1 else decided[:, k]

        starts = [start for pieces, _ in self._parts(k, mine) for start in pieces.starts]
        at, values = steps_of(decide, starts, logits=self.logits)
        s = scaled(self.columns[k], self.scale)
        leaves = ["NULL" if one in (NONE, REFER) else str(one) for one in values]
        return cases(s, [below(s, start) for start in at], leaves, logits=self.logits)

    def _calibrated(self, s: Floats, k: int, value: str | None) -> Floats:
        """Return the probabilities of a column as `apply` does: (n,), or the rows (n, K)."""
        several = len(self.columns) > 1 or isinstance(self.calibrator, OneVsRest)
        scores = s
        if several:
            scores = np.full((len(s), len(self.columns)), 0.5)
            scores[:, k] = s
        if not isinstance(self.calibrator, Grouped):
            return calibrate(self.calibrator, scores, logits=self.logits)
        code = -1 if value is None else 0
        codes = np.full(len(s), code)
        return self.calibrator.calibrate(scores, codes, [value or ""], logits=self.logits)


def _column(rule: Rule) -> tuple[str | None, tuple[str | None, ...]]:
    """Return the column by which decisions differ, and its values; None stands for the others."""
    return (rule.column, (*rule.rules, None)) if isinstance(rule, ByGroup) else (None, (None,))


def _logit(p: str) -> str:
    """Return the logit of an expression of a probability, clipped as maps clip it."""
    limit = number(float(logit(1.0)))
    tail = number(EPS)
    return (
        f"(CASE WHEN ({p}) <= {tail} THEN -{limit} WHEN 1e0 - ({p}) <= {tail} THEN {limit} "
        f"ELSE LN(({p})/(1e0 - ({p}))) END)"
    )


_NEAR = 256
"""Doubles below a step in which rounding may still let the decision through."""
_BETWEEN = 9
_LARGEST = 1e308


def steps_of(
    decide: Decide, starts: Sequence[float], *, logits: bool
) -> tuple[list[float], list[int]]:
    """Return where decisions change, increasing, and the decisions before, between and after.

    A rule cuts the calibrated score, and the map before it is monotone between its breakpoints, so
    that decisions change at few scores. These are found by bisection over the floating-point
    numbers with the very functions that `apply` runs: in a database, a score on a cut-off falls on
    its side, without EXP.

    Args:
        decide: decisions (n,) of scores (n,).
        starts: scores at which the map changes its formula.
        logits: whether scores are logits; else probabilities.
    """
    ends = np.array([-np.inf, np.inf] if logits else [0.0, 1.0])
    edges = np.unique(np.array([*starts, *ends]))
    inner = np.clip(edges, -1e4, 1e4)
    share = np.linspace(0.0, 1.0, _BETWEEN)
    between = (inner[:-1, None] + np.diff(inner)[:, None] * share).reshape(-1)
    tried = ordered(np.unique(np.concatenate([edges, between])))
    points = np.unique(np.concatenate([tried, ordered(edges)[1:] - 1]))
    found = decide(doubles(points))
    low, high = points[:-1], points[1:]
    below, above = found[:-1], found[1:]
    while True:
        open_ = np.flatnonzero((below != above) & (low + 1 < high))
        if not len(open_):
            break
        middle = (low[open_] >> 1) + (high[open_] >> 1) + (low[open_] & high[open_] & 1)
        decided = decide(doubles(middle))
        # A third decision between two is a step of its own on both sides.
        parts = (
            (np.delete(low, open_), np.delete(high, open_)),
            (low[open_], middle),
            (middle, high[open_]),
        )
        pairs = (
            (np.delete(below, open_), np.delete(above, open_)),
            (below[open_], decided),
            (decided, above[open_]),
        )
        low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
        below, above = (np.concatenate(side) for side in zip(*pairs, strict=True))
        kept = below != above
        low, high, below, above = low[kept], high[kept], below[kept], above[kept]
    changed = np.flatnonzero(below != above)
    order = changed[np.argsort(high[changed])]
    at, values = [], [int(found[0])]
    for place in order.tolist():
        first = _first(decide, int(high[place]), int(above[place]), int(points[0]))
        start = float(doubles(np.array([first]))[0])
        if abs(start) < _LARGEST and start > ends[0]:
            at.append(start + 0.0)
            values.append(int(above[place]))
    return at, values


def _first(decide: Decide, at: int, decision: int, lowest: int) -> int:
    """Return the first of the doubles just below a step that already has its decision."""
    near = np.arange(max(lowest, at - _NEAR), at + 1)
    return int(near[np.flatnonzero(decide(doubles(near)) == decision)[0]])
