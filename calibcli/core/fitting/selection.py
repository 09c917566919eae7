"""Choosing a calibrator by cross-fitting: the simplest within one standard error of the best.

Each candidate is fitted on all folds but one and scored on that one, so no row is judged by a
map that has seen it. The rule is Breiman, Friedman, Olshen and Stone's (1984, section 3.4.3),
with the standard error of the *paired* difference to the best candidate: both are scored on the
same rows, and what the rows have in common cancels. The identity is the simplest candidate, so
anything else has to beat it by more than the noise of its own comparison.

Where the simpler candidate's probabilities are right, they themselves imply how much the
difference should vary: the standard error is never less. Where they are wrong, the observed spread
is blown up by the very rows that show it (one certain error has a log loss of 34.5), so it counts
up to twice the implied one.

Below 1,000 rows a candidate is fitted with a prior: rows that are as the scores say. And it has to
win by 1.5 standard errors, so that honest scores are left in at most one draw in ten and a map that
chance alone has made does little harm. A fit that ends at a bound is no candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Identity, Temperature
from calibcli.core.calibrators.types import (
    BINARY,
    FREE_FORM_ROWS,
    BinaryCalibrator,
    Calibrator,
    FloatArray,
    counts,
    effective_rows,
    require_both_classes,
)
from calibcli.core.fitting.comparison import (
    Candidate,
    Choice,
    Score,
    clustered_errors,
    implied_ratio,
    independent_errors,
    one_standard_error,
)
from calibcli.core.numeric.scales import EPS
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats

__all__ = [
    "BINARY_CANDIDATES",
    "Candidate",
    "Choice",
    "Score",
    "Selection",
    "apply_to_cells",
    "auto",
    "cell_losses",
    "clustered_errors",
    "cross_fit",
    "folds_of",
    "implied_ratio",
    "independent_errors",
    "one_standard_error",
]

Fit = Callable[["ScoreStats"], Calibrator]
Clock = Callable[[], float]

BINARY_CANDIDATES = (
    "identity",
    "temperature",
    "platt",
    "beta",
    "spline",
    "isotonic",
    "venn-abers",
)


REPEATS = 5
"""Below 1,000 rows the luck of one split is averaged out over this many."""
PRIOR = 16.0
"""Rows of `with_prior` below 1,000 rows, for each parameter and one more. With m of them the log
loss of honest scores rises by (n / (n + m))^2 chi2_d / (2 n) under a map of d parameters: at any n
by less than 0.05 in the worst of 300 draws."""
FEW_FACTOR = 1.5
"""Standard errors that count as one below 1,000 rows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of `auto` on binary pairs.

    Attributes:
        calibrator: the chosen method fitted on all rows.
        candidates: the table, simplest first.
        held_out: every pair under the probability from a fit that has not seen it.
        notes: warnings about the comparison itself.
    """

    calibrator: Calibrator
    candidates: tuple[Candidate, ...]
    held_out: ScoreStats
    notes: tuple[str, ...] = ()


def apply_to_cells(calibrator: Calibrator, stats: ScoreStats) -> FloatArray:
    """Return the calibrated probability of each cell (C,)."""
    return calibrator.apply(stats.logit if calibrator.space == "logit" else stats.score)


def folds_of(stats: ScoreStats, folds: int, seed: int) -> list[tuple[ScoreStats, ScoreStats]]:
    """Return (rows to fit, rows held out) for each fold that holds rows."""
    parts = [part for part in stats.split(folds, seed) if part.n > 0]
    pairs = []
    for index, held_out in enumerate(parts):
        others = parts[:index] + parts[index + 1 :]
        if others:
            pairs.append((reduce(lambda a, b: a.merge(b), others), held_out))
    return pairs


def cross_fit(stats: ScoreStats, fit: Fit, *, folds: int = 5, seed: int = 0) -> ScoreStats:
    """Return every pair under the probability of a fit on the other folds.

    Raises:
        InputError: when a fit refuses, for example because the other folds hold one class.
    """
    pairs = folds_of(stats, folds, seed)
    if not pairs:
        raise InputError("too few rows for cross-fitting", hint="give more rows")
    mapped = [held.map(apply_to_cells(fit(rest), held)) for rest, held in pairs]
    return reduce(lambda a, b: a.merge(b), mapped)


def auto(
    stats: ScoreStats,
    *,
    folds: int = 5,
    select: Score = "nll",
    seed: int = 0,
    methods: Sequence[str] = BINARY_CANDIDATES,
    clock: Clock | None = None,
) -> Selection:
    """Choose a binary calibrator by cross-fitted log loss (clipped at 1e-15) or Brier score.

    Free-form methods are no candidates below 1,000 rows. With fewer rows of one label than folds
    nothing can be compared, and the scores are kept.

    Args:
        stats: pairs of both labels.
        folds: parts to cross-fit over; clusters stay whole.
        select: the proper score.
        seed: of the split.
        methods: candidates by name; the identity is always one.
        clock: seconds, to time the fits with.

    Raises:
        InputError: when only one class is present.
    """
    require_both_classes(stats)
    names = sorted({"identity", *methods}, key=lambda name: CALIBRATORS[name].complexity)
    effective = effective_rows(stats)
    reasons: dict[str, str] = {}
    for name in names:
        if CALIBRATORS[name].free_form and effective < FREE_FORM_ROWS:
            reasons[name] = f"no candidate: free-form, and {effective:.0f} rows are below 1000"
    scarce = min(float(stats.positives), float(stats.negatives)) * effective / float(stats.n)
    notes: tuple[str, ...] = ()
    pairs: list[tuple[ScoreStats, ScoreStats]] = []
    repeats = 1
    if scarce < folds:
        notes = (f"about {scarce:.0f} rows of one label: too few to compare methods, scores kept",)
        reasons |= dict.fromkeys(names[1:], "no candidate: too few rows of one label")
    else:
        repeats = REPEATS if effective < FREE_FORM_ROWS else 1
        pairs = [pair for again in range(repeats) for pair in folds_of(stats, folds, seed + again)]
    running = [name for name in names if name not in reasons]
    few = effective < FREE_FORM_ROWS
    comparison = _Comparison(running, select, repeats, FEW_FACTOR if few else 1.0)
    fold_fits: dict[str, list[Calibrator]] = {name: [] for name in running}
    seconds = dict.fromkeys(running, 0.0)
    for rest, held_out in pairs:
        for name in list(fold_fits):
            began = clock() if clock else 0.0
            try:
                fold_fits[name].append(_fit(name, rest, few))
            except InputError as error:
                reasons[name] = f"no candidate: a fold could not be fitted ({error.message})"
                del fold_fits[name]
            else:
                if at_bound(fold_fits[name][-1]):
                    reasons[name] = f"no candidate: {fold_fits[name][-1].notes[0]}"
                    del fold_fits[name]
            seconds[name] += (clock() - began) if clock else 0.0
        comparison.add(held_out, {name: fits[-1] for name, fits in fold_fits.items()})
    result = comparison.choose(set(fold_fits)) if pairs else Choice(Identity.method, {})
    began = clock() if clock else 0.0
    calibrator = _fit(result.chosen, stats, few)
    seconds[result.chosen] += (clock() - began) if clock else 0.0
    rows = []
    for name in names:
        score, difference, se = result.table.get(name, (None, None, None))
        taken = name == result.chosen
        own = calibrator.notes if name == Identity.method or not few else (_prior_note(name),)
        note = reasons.get(name, "; ".join(own) if taken else "")
        spent = seconds[name] if clock and name in seconds else None
        rows.append(Candidate(name, score, difference, se, spent, taken, note))
    held = stats
    if result.chosen != Identity.method:
        first = len(pairs) // repeats
        fits = zip(pairs[:first], fold_fits[result.chosen][:first], strict=True)
        mapped = [part.map(apply_to_cells(one, part)) for (_, part), one in fits]
        held = reduce(lambda a, b: a.merge(b), mapped)
    return Selection(calibrator, tuple(rows), held, notes)


def at_bound(calibrator: Calibrator) -> bool:
    """Return whether a fit ended at a bound, from where other rows could move it a long way."""
    return isinstance(calibrator, Temperature) and calibrator.at_bound


def prior_rows(name: str) -> float:
    """Return the rows of `with_prior` with which `auto` fits a method to few rows."""
    return PRIOR * (1.0 + CALIBRATORS[name].complexity)


def _prior_note(name: str) -> str:
    return f"fitted with a prior: {prior_rows(name):.0f} rows that are as the scores say"


def _fit(name: str, stats: ScoreStats, few: bool) -> Calibrator:
    method = CALIBRATORS[name]
    if BINARY <= method.tasks and method.free_form:
        return cast("type[BinaryCalibrator]", method).fit(stats)
    if BINARY <= method.tasks:
        prior = prior_rows(name) if few else 0.0
        return cast("Calibrator", cast("Any", method).fit(stats, prior=prior))
    raise InputError(f"{name} does not calibrate binary scores")


class _Comparison:
    """Sums of the candidates' losses relative to the identity's, and of their products."""

    def __init__(self, names: Sequence[str], select: Score, repeats: int, factor: float) -> None:
        self.names, self.select, self.repeats = list(names), select, repeats
        self.factor = factor
        size = len(self.names)
        self.reference = self.rows = self.squares = 0.0
        self.sums, self.weighted = np.zeros(size), np.zeros(size)
        self.products, self.implied = np.zeros((size, size)), np.zeros((size, size))
        self.buckets: list[FloatArray] = []

    def add(self, held_out: ScoreStats, fitted: dict[str, Calibrator]) -> None:
        """Add one fold's rows."""
        shape = (len(held_out.key), len(self.names))
        on_pos, on_neg = np.zeros(shape), np.zeros(shape)
        base = cell_losses(held_out.score, self.select)
        certainty = np.zeros(shape)
        for column, name in enumerate(self.names):
            if name in fitted:
                p = apply_to_cells(fitted[name], held_out)
                loss = cell_losses(p, self.select)
                on_pos[:, column], on_neg[:, column] = loss[0] - base[0], loss[1] - base[1]
                certainty[:, column] = p * (1.0 - p)
        pos, neg = counts(held_out)
        pos_sq, neg_sq = held_out.table.pos_sq, held_out.table.neg_sq
        heavy_pos, heavy_neg = (pos, neg) if pos_sq is None or neg_sq is None else (pos_sq, neg_sq)
        self.rows += float(pos.sum() + neg.sum())
        self.squares += float(heavy_pos.sum() + heavy_neg.sum())
        self.reference += float(pos @ base[0] + neg @ base[1])
        self.sums += pos @ on_pos + neg @ on_neg
        self.weighted += heavy_pos @ on_pos + heavy_neg @ on_neg
        self.products += (on_pos.T * heavy_pos) @ on_pos + (on_neg.T * heavy_neg) @ on_neg
        swing = on_pos - on_neg
        for column in range(len(self.names)):
            spread = (heavy_pos + heavy_neg) * certainty[:, column]
            self.implied[column] += spread @ (swing - swing[:, [column]]) ** 2
        if held_out.parts is not None:
            ones = np.ones((len(pos), 1))
            self.buckets.append(
                held_out.bucket_sums(np.hstack([on_pos, ones]), np.hstack([on_neg, ones]))
            )

    def choose(self, valid: set[str]) -> Choice:
        """Apply the rule to the candidates that every fold could fit."""
        keep = [i for i, name in enumerate(self.names) if name in valid]
        means = self.sums / self.rows
        errors = independent_errors(self.products, self.weighted, self.squares, means, self.rows)
        ratio = implied_ratio(self.implied, errors, self.rows)
        if self.buckets:
            errors = clustered_errors(np.concatenate(self.buckets), means, self.rows)
        # Every repeat scores the same rows, so the sums hold no more evidence than one of them.
        errors = errors * ratio * np.sqrt(self.repeats)
        names = [self.names[i] for i in keep]
        return one_standard_error(
            names,
            (self.reference / self.rows + means)[keep],
            errors[np.ix_(keep, keep)],
            [CALIBRATORS[name].complexity for name in names],
            factor=self.factor,
        )


def cell_losses(p: FloatArray, select: Score) -> tuple[FloatArray, FloatArray]:
    """Return the loss of a positive and of a negative row at probabilities p (C,), (C,)."""
    if select == "brier":
        return (1.0 - p) ** 2, p**2
    return -np.log(np.maximum(p, EPS)), -np.log(np.maximum(1.0 - p, EPS))
