"""Classes that exclude each other in SQL: the K probabilities of a row, and its decision.

A calibrated row is the softmax of K sums of the scores, and each is written where it is used, since
an expression has no variables: the text grows with K squared, and with K cubed for `sms`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import (
    Dirichlet,
    Identity,
    Matrix,
    StructuredMatrix,
    Temperature,
    Vector,
)
from calibcli.core.calibrators.classes.row_scores import LOG_FLOOR
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.decisions.rules import ByGroup, ClassCuts, Keep, LeastCost
from calibcli.core.export.sql import by_map, by_value, exactly, identifier, number, quoted
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.decisions.rules import Rule


@dataclass(frozen=True, slots=True)
class ClassRows:
    """A map of whole rows.

    Attributes:
        calibrator: the map.
        columns: the K scores.
        classes: the K names.
        logits: whether the scores are logits.
        missing: the value that stands for no group.
    """

    calibrator: Calibrator
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    logits: bool
    missing: str

    def probability(self, k: int) -> str:
        """Return the expression of the calibrated probability of a class.

        Raises:
            UsageError: a map that is no expression.
        """
        return self._by_group({value: row.p(k) for value, row in self._rows().items()})

    def decision(self, rule: Rule) -> str:
        """Return the expression of the decision: the name of a class, or NULL.

        Raises:
            UsageError: a rule, or a map, that is no expression.
        """
        found = {}
        for value, row in self._rows().items():
            if not isinstance(rule, ByGroup):
                found[value] = self._decided(row, rule)
                continue
            same = isinstance(self.calibrator, Grouped) and self.calibrator.column == rule.column
            if same and value is not None:
                found[value] = self._decided(row, rule.rules.get(value, rule.rest))
                continue
            own = {name: self._decided(row, one) for name, one in rule.rules.items()}
            rest = self._decided(row, rule.rest)
            found[value] = by_value(rule.column, own, rest, self.missing)
        return self._by_group(found)

    def _rows(self) -> dict[str | None, _Row]:
        """Return the row of each value that has a map of its own, and of the others (None)."""
        columns = tuple(map(identifier, self.columns))
        if not isinstance(self.calibrator, Grouped):
            return {None: _Row.of(self.calibrator, columns, logits=self.logits)}
        rest = _Row.of(self.calibrator.overall, columns, logits=self.logits)
        found: dict[str | None, _Row] = {}
        for value, one in self.calibrator.groups.items():
            if one.own is not None:
                own = _Row.of(one.own, columns, logits=self.logits)
                found[value] = own.pooled(rest, one.weight[0])
        return {**found, None: rest}

    def _by_group(self, found: dict[str | None, str]) -> str:
        hint = "--emit python writes a function of all scores of a row"
        return by_map(self.calibrator, found, self.missing, hint)

    def _decided(self, row: _Row, rule: Rule) -> str:
        names = [quoted(name) for name in self.classes]
        if isinstance(rule, LeastCost):
            ratio = np.ones(len(names)) if rule.ratio is None else rule.ratio
            mass = [f"({p})" for p in row.every()]
            costs = [
                " + ".join(
                    f"{number(cost)}*{p}"
                    for cost, p in zip((column * ratio).tolist(), mass, strict=True)
                    if cost
                )
                or "0e0"
                for column in rule.costs.cost.T
            ]
            return row.guarded(_cases(_least(costs), [*names, "NULL"]))
        if isinstance(rule, Keep):
            cuts, weights = np.full(len(names), rule.threshold), np.ones(len(names))
        elif isinstance(rule, ClassCuts) and rule.weights is not None:
            cuts, weights = rule.thresholds, rule.weights
        else:
            raise UsageError(
                "this kind of decision is no single value in SQL",
                "calibcli apply CALIBRATOR SCORES --thresholds FILE",
            )
        leaves = [
            "NULL" if cut != cut else f"CASE WHEN {row.share(k)} >= {exactly(cut)} THEN {name} END"
            for k, (cut, name) in enumerate(zip(cuts.tolist(), names, strict=True))
        ]
        return row.guarded(_cases(row.wins(weights.tolist()), leaves))


@dataclass(frozen=True, slots=True)
class _Row:
    """A row: its K sums, of which it is the softmax, or its K probabilities themselves.

    Attributes:
        legal: the condition that `apply` would take the row.
        z: the sums, as expressions that stand by themselves; () where `plain` is given.
        plain: probabilities that are kept.
        wide: whether sums can differ by more than EXP can take.
    """

    legal: str
    z: tuple[str, ...]
    plain: tuple[str, ...] = ()
    wide: bool = False

    @classmethod
    def of(cls, one: Calibrator, columns: tuple[str, ...], *, logits: bool) -> _Row:
        if logits:
            legal = " AND ".join(f"{c} > -1e308 AND {c} < 1e308" for c in columns)
            z = columns
        else:
            inside = " AND ".join(f"{c} >= -1e-3 AND {c} <= 1.001e0" for c in columns)
            legal = f"{inside} AND ABS({' + '.join(columns)} - 1e0) <= 1e-3"
            if isinstance(one, Identity):
                kept = (
                    f"CASE WHEN {c} < 0e0 THEN 0e0 WHEN {c} > 1e0 THEN 1e0 ELSE {c} END"
                    for c in columns
                )
                return cls(legal, (), tuple(f"({text})" for text in kept))
            low, floor = number(math.log(LOG_FLOOR)), number(LOG_FLOOR)
            z = tuple(
                f"(CASE WHEN {c} > 1e0 THEN 0e0 WHEN {c} > {floor} THEN LN({c}) ELSE {low} END)"
                for c in columns
            )
        return cls(legal, _mapped(one, z, wide=logits), wide=logits)

    def pooled(self, rest: _Row, weight: float) -> _Row:
        """Return the logarithmic pool with another map of the same row."""
        if weight == 1.0:
            return self
        if self.plain or rest.plain:
            raise UsageError(
                "a group that borrows from probabilities as they are is no expression", "use apply"
            )
        pairs = zip(self.z, rest.z, strict=True)
        z = tuple(f"({number(weight)}*{a} + {number(1.0 - weight)}*{b})" for a, b in pairs)
        return _Row(self.legal, z, wide=self.wide)

    def share(self, k: int) -> str:
        """Return the probability of a class."""
        return self.plain[k] if self.plain else _softmax(self.z, k, wide=self.wide)

    def every(self) -> list[str]:
        """Return all probabilities."""
        return [self.share(k) for k in range(len(self.plain) or len(self.z))]

    def p(self, k: int) -> str:
        """Return the probability of a class; NULL where `apply` would refuse the row."""
        return self.guarded(self.share(k))

    def guarded(self, text: str) -> str:
        """Return an expression that is NULL where `apply` would refuse the row."""
        return f"CASE WHEN {self.legal} THEN\n{text}\nEND"

    def wins(self, weights: list[float]) -> list[str]:
        """Return, for each class, the condition that no other has a larger probability / weight."""
        if len(set(weights)) == 1:
            values = self.plain or self.z
        elif self.plain:
            pairs = zip(self.plain, weights, strict=True)
            values = tuple(f"{p}/{exactly(weight)}" for p, weight in pairs)
        else:
            pairs = zip(self.z, weights, strict=True)
            values = tuple(f"{z} - {_signed(math.log(weight))}" for z, weight in pairs)
        return [
            " AND ".join(f"{own} >= {other}" for j, other in enumerate(values) if j != k)
            for k, own in enumerate(values)
        ]


def _mapped(one: Calibrator, z: tuple[str, ...], *, wide: bool) -> tuple[str, ...]:
    """Return the sums of which a map's row is the softmax."""
    if isinstance(one, Identity):
        return z
    if isinstance(one, Temperature):
        return tuple(f"({v}/{_signed(one.temperature)})" for v in z)
    if isinstance(one, Vector):
        pairs = zip(_raised(z, one.floor), one.w.tolist(), one.c.tolist(), strict=True)
        return tuple(f"({_signed(w)}*{v} + {_signed(c)})" for v, w, c in pairs)
    if isinstance(one, StructuredMatrix):
        inner, share = tuple(f"({v}/{_signed(one.temperature)})" for v in z), one.share
        z = tuple(
            f"LN({number(1.0 - share)}*{_softmax(inner, k, wide=wide)} + {number(share / len(z))})"
            for k in range(len(z))
        )
        if one.diagonal:
            return tuple(
                f"({_signed(w)}*{v} + {_signed(c)})"
                for v, (w, c) in zip(z, one.theta.tolist(), strict=True)
            )
        return _summed(z, one.theta.tolist())
    if isinstance(one, Matrix):
        z = _raised(z, one.floor)
        if isinstance(one, Dirichlet):
            z = tuple(f"LN({_softmax(z, k, wide=wide)})" for k in range(len(z)))
        return _summed(z, one.theta.tolist())
    raise UsageError(
        f"a {one.method} calibrator of several classes is not written in SQL",
        "--emit python writes a function of all scores of a row",
    )


def _raised(z: tuple[str, ...], floor: float | None) -> tuple[str, ...]:
    if floor is None:
        return z
    low = _signed(floor)
    return tuple(f"(CASE WHEN {v} > {low} THEN {v} ELSE {low} END)" for v in z)


def _summed(z: tuple[str, ...], theta: Sequence[Sequence[float]]) -> tuple[str, ...]:
    found = []
    for row in theta:
        terms = [f"{_signed(w)}*{v}" for w, v in zip(row, z, strict=False) if w]
        found.append(f"({' + '.join([*terms, _signed(row[-1])])})")
    return tuple(found)


def _softmax(z: tuple[str, ...], k: int, *, wide: bool) -> str:
    rest = " + ".join(_exp(f"{v} - {z[k]}", wide=wide) for j, v in enumerate(z) if j != k)
    return f"(1e0/(1e0 + {rest}))"


def _exp(text: str, *, wide: bool) -> str:
    """Return EXP, of what may be more than it can take."""
    return f"CASE WHEN {text} > 7e2 THEN 1e304 ELSE EXP({text}) END" if wide else f"EXP({text})"


def _signed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _least(costs: list[str]) -> list[str]:
    return [
        " AND ".join(f"{own} <= {other}" for j, other in enumerate(costs) if j != k)
        for k, own in enumerate(costs)
    ]


def _cases(conditions: Sequence[str], leaves: Sequence[str]) -> str:
    """Return a CASE in which the first condition that holds decides."""
    lines = [f"  WHEN {c} THEN {leaf}\n" for c, leaf in zip(conditions, leaves, strict=False)]
    return f"CASE\n{''.join(lines)}END"
