"""Cut-offs whose constraints hold with a stated confidence, whatever the distribution.

"Each candidate's confidence bound, then the best candidate" is no guarantee: the best of many is
lucky. Here hypotheses "this cut-off breaks the constraint" are tested one after the other along a
sequence fixed without looking at labels, each at the full level, until the first that cannot be
rejected (fixed-sequence testing; Angelopoulos et al. 2021, *Learn then Test*). A wrong cut-off can
be certified only if the first wrong one in the sequence is, and that has probability at most the
level. The test is the exact binomial tail on integer counts: given how many rows a cut-off selects,
the number that are positive is binomial.

Two directions. Precision, specificity, fpr<= and positive-rate<= hold, if anywhere, at high
cut-offs: their sequence goes down. Recall, fnr<=, npv and positive-rate>= go up. Constraints of
one direction share one sequence, where a cut-off passes when every constraint's test rejects (an
intersection-union test needs no correction); two directions share the level between them.

Recall, fpr and the like are monotone in the cut-off, so their sequence begins at its end. Precision
and npv rest on few rows there, where one error ends the sequence, so it begins deeper: at the
geometric mean of the smallest selection that can pass at all, n >= ln(level)/ln(target), and the
selection that the scores themselves claim to meet the target. Miscalibrated scores cost power,
never validity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.objectives import Array, Constraint, Objective
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.errors import UsageError

GROWS = ("precision", "specificity", "fnr")
"""Figures that grow with the cut-off."""
FREE = ("precision", "npv")
"""Figures that need not be monotone in the cut-off."""
CERTIFIABLE = ("precision", "npv", "recall", "fnr", "specificity", "fpr", "positive-rate")
"""Figures that are one binomial proportion at every cut-off, in an order known without labels."""


@dataclass(frozen=True, slots=True)
class Certified:
    """A choice whose constraints hold together with probability `confidence`.

    low, high: the certified cut-offs are the candidates between these two thresholds, and any of
    them may be chosen. levels: error probability spent on each constraint's direction.
    """

    choice: Choice
    constraints: tuple[Constraint, ...]
    confidence: float
    levels: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Uncertified:
    """The rows cannot certify any cut-off.

    rows: rows (or units) there are. rows_needed: about how many such rows would do (an estimate
    from these rows); None when no cut-off shows any margin over its target. empirical: the answer
    without a guarantee. unit: what is counted.
    """

    constraints: tuple[Constraint, ...]
    confidence: float
    rows: int
    rows_needed: int | None
    empirical: Choice | Unreachable
    unit: str = "row"

    def message(self) -> str:
        """Return one line: what cannot be promised, and what it would take."""
        wanted = " and ".join(map(str, self.constraints))
        line = f"no cut-off can be certified for {wanted} with confidence {self.confidence:g}"
        if isinstance(self.empirical, Unreachable):
            return f"{line}: {self.empirical.message()}"
        if self.rows_needed is None:
            return f"{line}: no margin over the target shows on these {units(self.rows, self.unit)}"
        here = units(self.rows, self.unit)
        return f"{line} on {here}: about {self.rows_needed} like these would be needed"


def units(number: int, name: str) -> str:
    """Return how many there are of something that a promise counts, in words."""
    named = f"{name}s" if name in ("row", "image") else f"values of {name}"
    return f"{number} {named}"


@dataclass(frozen=True, slots=True)
class _Test:
    """A constraint as a binomial test: `successes` of `trials` against "share < target"."""

    successes: NDArray[np.int64]
    trials: NDArray[np.int64]
    target: float
    downward: bool
    monotone: bool

    def p_values(self) -> Array:
        """Return P(Bin(trials, target) >= successes) at every candidate."""
        return binomial_tail(self.successes, self.trials, self.target)


def certify(
    curve: Curve,
    objective: Objective,
    constraints: tuple[Constraint, ...],
    confidence: float,
    *,
    probability: Array | None = None,
    clustered: bool = False,
    prior: float | None = None,
    within: Sequence[Curve] = (),
) -> Certified | Uncertified:
    """Return the best cut-off among those certified, or what it would take to certify one.

    curve: counts of independent, unweighted rows (int64). probability: float64, what the scores
    claim for the cell at each candidate, to place the start of a sequence; default: the threshold.
    clustered: whether rows come in clusters. prior: another prevalence, for the objective; within
    a class nothing changes, so figures of one class can still be certified. within: the counts of
    each group at the same candidates, for constraints of every group: a cut-off passes when the
    tests of all groups reject, and where one group breaks a constraint its own test seldom does, so
    that the level needs no correction for the groups. The objective is optimized on the rows
    themselves and carries no guarantee.

    Raises UsageError for figures that no exact test is known for, for weights and clusters, and
    for targets that cannot be promised.
    """
    _refuse(curve, constraints, confidence, clustered, prior)
    tests = [
        _as_test(own, c) for c in constraints for own in ([curve] if c.within is None else within)
    ]
    directions = {t.downward for t in tests}
    level = (1 - confidence) / len(directions)
    certified = np.ones(curve.threshold.shape, dtype=bool)
    claimed = np.clip(curve.threshold if probability is None else probability, 0, 1)
    for downward in directions:
        same = [t for t in tests if t.downward == downward]
        certified &= _run_sequence(same, level, claimed, downward)
    choice = choose(curve, objective, prior=prior, allowed=certified)
    if isinstance(choice, Unreachable):
        rows = int(curve.positives + curve.negatives)
        needed = _rows_needed(tests, level, rows)
        empirical = choose(curve, objective, constraints, prior=prior)
        return Uncertified(constraints, confidence, rows, needed, empirical)
    among = np.flatnonzero(certified)
    return Certified(
        choice=choice,
        constraints=constraints,
        confidence=confidence,
        levels=(level,) * len(constraints),
        low=float(curve.threshold[among[0]]),
        high=float(curve.threshold[among[-1]]),
    )


def _refuse(
    curve: Curve,
    constraints: tuple[Constraint, ...],
    confidence: float,
    clustered: bool,
    prior: float | None,
) -> None:
    """Raise UsageError, with the reason, for what an exact binomial test cannot speak about."""
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence lies between 0 and 1, not {confidence!r}", "0.95")
    if curve.tp.dtype.kind != "i":
        raise UsageError(
            "a guarantee counts rows, and these carry weights",
            "leave out --weight, or --guarantee; --count is fine",
        )
    if clustered:
        raise UsageError(
            "a guarantee counts clusters, and these statistics do not tell them apart",
            "give the score files, not statistics of them",
        )
    if not constraints:
        raise UsageError("nothing to guarantee", "add --subject-to 'precision>=0.95'")
    shifted = [c.name for c in constraints if c.name not in ("recall", "fnr", "specificity", "fpr")]
    if prior is not None and shifted:
        raise UsageError(
            f"{shifted[0]} at another prevalence cannot be certified: it is no count of rows",
            "leave out --prior, or constrain recall and fpr",
        )


def binomial_tail(successes: NDArray[np.int64], trials: NDArray[np.int64], target: float) -> Array:
    """Return P(Bin(trials, target) >= successes), elementwise and exact."""
    from scipy.special import betainc

    if target <= 0:
        return np.zeros(np.shape(successes))
    k = np.maximum(successes, 1).astype(np.float64)
    tail = betainc(k, trials - k + 1, target, where=trials >= k, out=np.ones(k.shape))
    return np.where(successes > 0, tail, 1.0)


def smallest_selection(level: float, target: float, errors: int = 0) -> int:
    """Return the fewest rows that certify `target` at `level` with this many errors among them."""
    if errors == 0:
        return math.ceil(math.log(level) / math.log(target) - 1e-9)
    low, high = errors, 2 * errors + 2
    while not _passes(high, errors, target, level):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _passes(middle, errors, target, level) else (middle, high)
    return high


def _passes(trials: int, errors: int, target: float, level: float) -> bool:
    tail = binomial_tail(np.array([trials - errors]), np.array([trials]), target)
    return bool(tail[0] <= level)


def _as_test(curve: Curve, constraint: Constraint) -> _Test:
    """Return the constraint as "share of successes >= target", or UsageError with the reason."""
    tp, fp, fn, tn = (np.asarray(a, np.int64) for a in (curve.tp, curve.fp, curve.fn, curve.tn))
    name, at_least, target = constraint.name, constraint.at_least, constraint.target
    counts = {
        "precision": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "recall": (tp, tp + fn),
        "fnr": (fn, tp + fn),
        "specificity": (tn, tn + fp),
        "fpr": (fp, tn + fp),
        "positive-rate": (tp + fp, tp + fp + fn + tn),
    }
    if name not in counts:
        rows = int(curve.positives + curve.negatives)
        hint = f"certifiable: {', '.join(CERTIFIABLE)}"
        if name == "alerts":
            hint = f"'positive-rate{constraint.op}{target / max(rows, 1):.6g}' is the share of rows"
        raise UsageError(f"{name} cannot be certified: no exact test of it is known here", hint)
    successes, trials = counts[name]
    if name in FREE and not at_least:
        raise UsageError(f"only a lower bound of {name} can be certified, not '{constraint}'")
    if not at_least:
        successes, target = trials - successes, 1 - target
    if target >= 1:
        raise UsageError(f"no number of rows can certify '{constraint}'", "ask for less than all")
    return _Test(successes, trials, target, (name in GROWS) == at_least, name not in FREE)


def _run_sequence(
    tests: list[_Test], level: float, claimed: Array, downward: bool
) -> NDArray[np.bool_]:
    """Return which candidates one direction's fixed sequence certifies."""
    rejected = np.logical_and.reduce([t.p_values() <= level for t in tests])
    ordered = rejected[::-1] if downward else rejected
    starts = [0]
    for test in tests:
        if not test.monotone:
            trials = test.trials[::-1] if downward else test.trials
            # The row that joins the selection at each step, and what its score claims for it.
            share = claimed[::-1] if downward else np.append(0.0, 1 - claimed[:-1])[: trials.size]
            starts.append(_start(trials, share, test.target, level))
    start = max(starts)
    certified = np.zeros(ordered.shape, dtype=bool)
    failed = np.flatnonzero(~ordered[start:])
    certified[start : start + int(failed[0]) if failed.size else None] = True
    return certified[::-1] if downward else certified


def _start(trials: NDArray[np.int64], claimed: Array, target: float, level: float) -> int:
    """Return the step at which a sequence of growing selections begins, from scores alone.

    trials: int64, never decreasing. claimed: what the scores claim for the rows that join.
    """
    if target <= 0:
        return 0
    fewest = smallest_selection(level, target)
    joining = np.diff(trials, prepend=0)
    claim = np.cumsum(joining * claimed)
    aim = _aim(trials, claim >= target * trials, fewest)
    while_passing = np.arange(aim + 1)
    tail = binomial_tail(aim - while_passing, np.full(aim + 1, aim), target)
    errors = int(np.flatnonzero(tail <= level)[-1]) if tail[0] <= level else 0
    return _reached(trials, smallest_selection(level, target, errors), fewest)


def _rows_needed(tests: list[_Test], level: float, rows: int) -> int | None:
    """Estimate the rows at which some cut-off would pass every test, from the shares seen here.

    A share q of n rows passes when exp(-n KL(q, target)) <= level (Chernoff's bound), and n grows
    in proportion to the rows; shares are shrunk to (k+1/2)/(n+1) so that tiny selections promise
    little.
    """
    needed = np.zeros(tests[0].trials.shape)
    for test in tests:
        q = (test.successes + 0.5) / (test.trials + 1)
        divergence = q * np.log(q / test.target) + (1 - q) * np.log((1 - q) / (1 - test.target))
        usable = (q > test.target) & (test.trials > 0)
        factor = -math.log(level) / np.where(usable, divergence * test.trials, 1.0)
        needed = np.maximum(needed, np.where(usable, factor, np.inf))
    least = max(float(needed.min(initial=np.inf)), 1.25) * rows
    if not math.isfinite(least):
        return None
    return rounded_up(least)


def rounded_up(size: float) -> int:
    """Return a number of rows or units of two digits that is no smaller."""
    unit = int(10 ** max(len(str(int(size))) - 2, 0))
    return math.ceil(size / unit) * unit


def first_step(sizes: NDArray[np.int64], claim: Array, target: float, fewest: int) -> int:
    """Return where a sequence of growing selections begins, from scores alone.

    Few units tell little and one error among them ends the sequence, so it begins at the geometric
    mean of the fewest that can pass at all and of as many as the scores claim to meet the target.

    Args:
        sizes: how many units each selection has (n,), n > 0, never fewer than the one before.
        claim: the share of right ones that the scores claim (n,).
        target: what is to be met.
        fewest: with which a test can pass at all.
    """
    return _reached(sizes, _aim(sizes, claim >= target, fewest), fewest)


def _aim(sizes: NDArray[np.int64], claimed: NDArray[np.bool_], fewest: int) -> int:
    """Return the size between the fewest and the largest that is `claimed` to meet the target."""
    meets = np.flatnonzero(claimed & (sizes >= fewest))
    deepest = int(sizes[meets[-1]]) if meets.size else fewest
    return math.isqrt(fewest * deepest)


def _reached(sizes: NDArray[np.int64], aim: int, fewest: int) -> int:
    """Return the last selection no larger than `aim`; the first of the fewest if it has fewer."""
    start = max(int(np.searchsorted(sizes, aim, side="right")) - 1, 0)
    if sizes[start] < fewest:
        start = int(np.searchsorted(sizes, fewest, side="left"))
    return min(start, len(sizes) - 1)
