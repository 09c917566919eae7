"""Conformal prediction sets: sets of classes that hold the true one with a promised probability.

Each row has a nonconformity score for every class; the classes whose score is at most the
conformal quantile of the true classes' scores on held-out rows form its set (Vovk et al. 2005).
The promise is marginal, or for each true class, or for each group.

    lac               1 - p_y  (Sadinle, Lei and Wasserman 2019)
    aps               the sum of p over the classes that rank above y
                      (Romano, Sesia and Candès 2020, with u = 0)
    raps              aps + penalty * max(0, rank of y - free_rank)  (Angelopoulos et al. 2021)
    aps-randomised    aps + u p_y, u uniform on [0, 1)
    raps-randomised   raps + u p_y

The most probable class has the score 0 in APS and RAPS, so their sets are never empty; where the
model is right more often than was promised, they are this class alone and hold it more often. The
randomised forms cover exactly as often as promised, with sets that may be empty; u comes from the
row's own probabilities, so that a row has the same set wherever it is decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.objectives import Array
from calibcli.core.decisions.rules import Codes, two_columns
from calibcli.errors import InputError, UsageError, did_you_mean

Method = Literal["lac", "aps", "raps", "aps-randomised", "raps-randomised"]
By = Literal["none", "class", "group"]
METHODS: tuple[Method, ...] = get_args(Method)
_RANDOMISED = frozenset({"aps-randomised", "raps-randomised"})
_RANKED = frozenset({"raps", "raps-randomised"})
PENALTY = 0.01
_SCALE = float(1 << 30)


def default_free_rank(classes: int) -> int:
    """Return the ranks that RAPS leaves unpenalised: 5, and fewer of fewer than ten classes."""
    return max(1, min(5, classes // 2))


def nonconformity(
    probability: Array,
    method: Method = "lac",
    *,
    penalty: float = PENALTY,
    free_rank: int = 5,
    inclusive: bool = False,
) -> Array:
    """Return the nonconformity score of every class, float64 (n, K), from probabilities (n, K).

    Classes of equal probability rank by index. `inclusive` adds the whole of p_y, as artifacts of
    earlier versions do.
    """
    p = np.asarray(probability, dtype=np.float64)
    if method == "lac":
        return 1.0 - p
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    running = np.cumsum(ranked, axis=1)
    if not inclusive:
        running[:, 1:] = running[:, :-1]
        running[:, 0] = 0.0
    if method in _RANDOMISED:
        running = running + _uniform(p)[:, None] * ranked
    if method in _RANKED:
        rank = np.arange(1, p.shape[1] + 1)
        running += penalty * np.maximum(0, rank - free_rank)
    out = np.empty_like(p)
    np.put_along_axis(out, order, running, axis=1)
    return out


def _uniform(p: Array) -> Array:
    """Return a number in [0, 1) for each row (n,), from its probabilities to nine digits.

    A multiplicative hash: rows that differ have numbers that have nothing to do with each other.
    """
    state = np.full(len(p), 0x9E3779B97F4A7C15, np.uint64)
    for column in np.rint(p * _SCALE).astype(np.uint64).T:
        state ^= column + np.uint64(0x9E3779B97F4A7C15) + (state << np.uint64(6))
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(29)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def conformal_quantile(
    score: Array, coverage: float, count: NDArray[np.integer] | None = None
) -> float:
    """Return the ceil((n+1) coverage)-th smallest score; inf when there are too few rows.

    count: how many rows stand behind each score (default 1). Raises UsageError for weights (a
    conformal quantile counts exchangeable rows).
    """
    score = np.asarray(score, dtype=np.float64)
    rows = np.ones(score.shape, dtype=np.int64) if count is None else np.asarray(count)
    if rows.dtype.kind not in "iu":
        raise UsageError("conformal sets count rows, and these carry weights", "leave out --weight")
    n = int(rows.sum())
    # (n + 1) * 0.9 may come out a hair above a whole number.
    place = math.ceil((n + 1) * coverage - 1e-9)
    if place > n:
        return math.inf
    order = np.argsort(score, kind="stable")
    found = np.searchsorted(np.cumsum(rows[order]), max(place, 1), side="left")
    return float(score[order[found]])


def rows_for(coverage: float) -> int:
    """Return the fewest rows of a slice for a finite quantile: n >= 1/alpha - 1."""
    return math.ceil(1 / (1 - coverage) - 1 - 1e-9)


def coverage_interval(
    rows: int, coverage: float, confidence: float = 0.95, *, held: int | None = None
) -> tuple[float, float]:
    """Return where the coverage of one calibrated quantile lies with this confidence.

    Over draws of the calibration rows it is Beta(k, n+1-k) with k = ceil((n+1) coverage) for
    continuous scores (Vovk 2012); (1, 1) when every class is in every set. Where scores are tied,
    `held` rows of k or more are at most the quantile: the coverage is at least as large, and at
    most what Clopper and Pearson's interval allows for `held` of all rows.
    """
    from scipy.special import betaincinv

    place = math.ceil((rows + 1) * coverage - 1e-9)
    if place > rows:
        return 1.0, 1.0
    tail = (1 - confidence) / 2
    low, high = betaincinv(place, rows + 1 - place, np.array([tail, 1 - tail])).tolist()
    if held is not None and held > place:
        high = 1.0 if held >= rows else float(betaincinv(held + 1, rows - held, 1 - tail))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """Fitted quantiles that turn probabilities into sets of classes.

    by: "none", "class" or "group". quantiles, rows, and held (rows at most the quantile) are keyed
    by the class index, the group's value, or "" for "none"; an infinite quantile puts every class
    into the set. units: of a promise by patient or prompt, how many there are. inclusive: scores
    of an earlier version, whose sets also hold the most probable class whatever its score.
    """

    method: Method
    coverage: float
    classes: int
    by: By
    quantiles: dict[str, float]
    rows: dict[str, int]
    penalty: float = PENALTY
    free_rank: int = 5
    inclusive: bool = False
    held: dict[str, int] | None = None
    units: dict[str, int] | None = None

    @classmethod
    def fit(
        cls,
        probability: Array,
        label: NDArray[np.integer],
        coverage: float,
        *,
        method: str = "lac",
        by_class: bool = False,
        group: NDArray[Any] | None = None,
        penalty: float = PENALTY,
        free_rank: int = 5,
    ) -> Self:
        """Fit on held-out probabilities (n, K) and labels (n,) that the model has not seen.

        group: (n,) values; sets then have the coverage in each group. Raises UsageError.
        """
        chosen = parse_method(method)
        p = np.asarray(probability, dtype=np.float64)
        score = nonconformity(p, chosen, penalty=penalty, free_rank=free_rank)
        true = score[np.arange(len(p)), label]
        return cls.from_scores(
            true,
            coverage,
            classes=p.shape[1],
            method=chosen,
            label=label if by_class else None,
            group=group,
            penalty=penalty,
            free_rank=free_rank,
        )

    @classmethod
    def from_scores(
        cls,
        true: Array,
        coverage: float,
        *,
        classes: int,
        method: Method = "lac",
        label: NDArray[np.integer] | None = None,
        group: NDArray[Any] | None = None,
        count: NDArray[np.integer] | None = None,
        penalty: float = PENALTY,
        free_rank: int = 5,
    ) -> Self:
        """Fit on the true classes' nonconformity scores (n,), collected batch by batch.

        label: for sets that cover each class. group: for sets that cover each group. count: rows
        behind each score.
        """
        if not 0 < coverage < 1:
            raise UsageError(f"a coverage lies between 0 and 1, not {coverage!r}", "--coverage 0.9")
        if label is not None and group is not None:
            raise UsageError("sets cover each class or each group, not both")
        rows = np.ones(len(true), dtype=np.int64) if count is None else count
        keys: dict[str, NDArray[np.bool_]] = {"": np.ones(len(true), dtype=bool)}
        if label is not None:
            keys = {str(k): label == k for k in range(classes)}
        elif group is not None:
            keys = {str(v): group == v for v in np.unique(group)}
        quantiles = {k: conformal_quantile(true[m], coverage, rows[m]) for k, m in keys.items()}
        return cls(
            method=method,
            coverage=coverage,
            classes=classes,
            by="class" if label is not None else "group" if group is not None else "none",
            quantiles=quantiles,
            rows={k: int(rows[m].sum()) for k, m in keys.items()},
            held={k: int(rows[m & (true <= quantiles[k])].sum()) for k, m in keys.items()},
            penalty=penalty,
            free_rank=free_rank,
        )

    @property
    def uninformative(self) -> tuple[str, ...]:
        """Keys with too few rows, whose quantile is infinite."""
        return tuple(k for k, q in self.quantiles.items() if math.isinf(q))

    def sets(self, probability: Array, group: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Return which classes are in each row's set, bool (n, K), from probabilities (n, K).

        A group that was not there when fitting gets every class: nothing is promised for less.
        """
        p = np.asarray(probability, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != self.classes:
            raise InputError(f"these sets were fitted on {self.classes} classes")
        score = nonconformity(
            p,
            self.method,
            penalty=self.penalty,
            free_rank=self.free_rank,
            inclusive=self.inclusive,
        )
        limit: float | Array = self.quantiles.get("", math.inf)
        if self.by == "class":
            limit = np.array([self.quantiles[str(k)] for k in range(self.classes)])
        elif self.by == "group":
            if group is None:
                raise InputError("these sets are by group, and no group is given")
            found = [self.quantiles.get(str(v), math.inf) for v in group]
            limit = np.array(found, dtype=np.float64)[:, None]
        inside = score <= limit
        if self.inclusive and self.method != "lac":  # where one class alone exceeds the quantile
            inside[np.arange(len(p)), p.argmax(axis=1)] = True
        return inside

    @property
    def refers(self) -> bool:
        """Whether a row may be referred: sets are for every row."""
        return False

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """Return the set of each row, bool (n, K), from probabilities (n,) or (n, K).

        Raises:
            InputError: sets by group, and no groups.
        """
        if codes is None or values is None:
            return self.sets(two_columns(p))
        return self.sets(two_columns(p), np.array(list(values), object)[codes])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; an infinite quantile is null."""
        finite = {k: None if math.isinf(q) else q for k, q in self.quantiles.items()}
        return {
            "method": self.method,
            "coverage": self.coverage,
            "classes": self.classes,
            "by": self.by,
            "quantiles": finite,
            "rows": dict(self.rows),
            "penalty": self.penalty,
            "free_rank": self.free_rank,
            "inclusive": self.inclusive,
            "held": None if self.held is None else dict(self.held),
            **({} if self.units is None else {"units": dict(self.units)}),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Restore what `to_dict` returned."""
        quantiles = {k: math.inf if q is None else q for k, q in payload["quantiles"].items()}
        # Before there was a choice, the score of a class held the class itself.
        known = {"inclusive": True, "held": None, "units": None} | payload
        names = cls.__dataclass_fields__
        return cls(**{name: known[name] for name in names} | {"quantiles": quantiles})


def parse_method(name: str) -> Method:
    """Return the method of this name; UsageError with a near miss otherwise."""
    for method in METHODS:
        if name.strip().lower() == method:
            return method
    hint = did_you_mean(name, METHODS) or f"one of: {', '.join(METHODS)}"
    raise UsageError(f"unknown conformal method {name!r}", hint)
