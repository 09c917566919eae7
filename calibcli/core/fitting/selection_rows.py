"""Choosing a calibrator of several classes by cross-fitting, in passes over the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import permutations
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Identity, OneVsRest
from calibcli.core.calibrators.classes.one_vs_rest import class_stats
from calibcli.core.calibrators.classes.rows import BLOCK, finite_rows, fold_rows, resolved_floor
from calibcli.core.calibrators.types import (
    FREE_FORM_ROWS,
    MULTICLASS,
    BinaryCalibrator,
    Calibrator,
    FloatArray,
    IntArray,
    RowBatch,
    RowCalibrator,
    RowSource,
    require_two_classes,
    sums_by,
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
from calibcli.core.fitting.selection import REPEATS, Clock
from calibcli.core.numeric.scales import EPS, softmax
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

ROW_CANDIDATES = ("identity", "temperature", "vector", "dirichlet", "beta", "spline", "isotonic")
MANY_CLASSES = 20
"""Methods of K^2 numbers or of K fitted maps are candidates of `auto` up to this many classes."""


@dataclass(frozen=True, slots=True)
class RowSelection:
    """The outcome of `auto_rows`.

    Attributes:
        calibrator: the chosen method fitted on all rows.
        candidates: the table, simplest first.
        fold_calibrators: the one at index f has not seen the rows whose bucket % folds is f, so
            a pass that applies it to them gives honest figures for afterwards.
        notes: warnings about the comparison itself.
    """

    calibrator: Calibrator
    candidates: tuple[Candidate, ...]
    fold_calibrators: tuple[Calibrator, ...]
    notes: tuple[str, ...] = ()


def cross_fit_rows(
    rows: RowSource, n_classes: int, method: str, *, folds: int = 5, start: Calibrator | None = None
) -> tuple[Calibrator, ...]:
    """Return one calibrator a fold, fitted on the rows outside it (bucket % folds).

    A binary method is fitted one-vs-rest.

    Raises:
        InputError: when the rows outside a fold hold one class only.
    """
    kind = CALIBRATORS[method]
    if MULTICLASS <= kind.tasks:
        fit = cast("type[RowCalibrator]", kind).fit_rows
        return tuple(
            fit(fold_rows(rows, folds, fold, inside=False), n_classes, start=cast("Any", start))
            for fold in range(folds)
        )
    floor = start.floor if isinstance(start, OneVsRest) else resolved_floor(rows)
    by_fold = class_stats(rows, n_classes, folds, floor)
    return tuple(_one_vs_rest(method, _others(by_fold, fold), floor) for fold in range(folds))


def fit_method(rows: RowSource, n_classes: int, method: str) -> Calibrator:
    """Return the method fitted on all rows; a binary method one-vs-rest."""
    kind = CALIBRATORS[method]
    if MULTICLASS <= kind.tasks:
        return cast("type[RowCalibrator]", kind).fit_rows(rows, n_classes)
    floor = resolved_floor(rows)
    return _one_vs_rest(method, class_stats(rows, n_classes, floor=floor)[0], floor)


def auto_rows(
    rows: RowSource,
    n_classes: int,
    *,
    folds: int = 5,
    select: Score = "nll",
    clustered: bool = False,
    methods: Sequence[str] = ROW_CANDIDATES,
    clock: Clock | None = None,
) -> RowSelection:
    """Choose a calibrator of several classes by cross-fitted log loss or Brier score.

    The rule is that of `selection.auto`. Binary methods are fitted one-vs-rest.

    Args:
        rows: source of passes over the rows; a row's fold is bucket % folds.
        n_classes: K.
        folds: parts to cross-fit over.
        select: log loss clipped at 1e-15, or the Brier score summed over classes.
        clustered: rows of one bucket may depend on each other, so standard errors come from
            the buckets' sums.
        methods: candidates by name; the identity is always one.
        clock: seconds, to time the fits with.

    Raises:
        InputError: when the labels are all of one class.
    """
    names = sorted({"identity", *methods}, key=_rank)
    size, by_fold = _row_counts(rows, n_classes, folds)
    reasons = _not_candidates(names, n_classes, size)
    notes: tuple[str, ...] = ()
    if (np.count_nonzero(by_fold.sum(axis=0) - by_fold > 0, axis=1) < 2).any() or size < folds:
        notes = (f"{size:.0f} rows are too few to compare methods: the scores are kept",)
        reasons |= dict.fromkeys(names[1:], "no candidate: too few rows")
    whole: dict[str, Calibrator] = {}
    fold_fits: dict[str, tuple[Calibrator, ...]] = {}
    seconds: dict[str, float] = {}
    comparison = _Comparison([name for name in names if name not in reasons], select, clustered)
    for again in range(REPEATS if size < FREE_FORM_ROWS and not notes else 1):
        source = rows if again == 0 else _dealt_anew(rows, again)
        fits: dict[str, tuple[Calibrator, ...]] = {}
        for name in comparison.names:
            if name in reasons:
                continue
            began = clock() if clock else 0.0
            try:
                if again == 0:
                    whole[name] = fit_method(rows, n_classes, name)
                fits[name] = cross_fit_rows(source, n_classes, name, folds=folds, start=whole[name])
            except InputError as error:
                reasons[name] = f"no candidate: a fold could not be fitted ({error.message})"
            seconds[name] = seconds.get(name, 0.0) + ((clock() - began) if clock else 0.0)
        comparison.add(source, fits, folds)
        fold_fits = fold_fits or fits
    choice = comparison.choose([name for name in comparison.names if name not in reasons])
    calibrator = whole[choice.chosen]
    table = []
    for name in names:
        score, difference, se = choice.table.get(name, (None, None, None))
        taken = name == choice.chosen
        note = reasons.get(name, "; ".join(calibrator.notes) if taken else "")
        spent = seconds.get(name) if clock else None
        table.append(Candidate(name, score, difference, se, spent, taken, note))
    return RowSelection(calibrator, tuple(table), fold_fits[choice.chosen], notes)


def earns_its_place(
    rows: RowSource, fitted: tuple[Calibrator, ...], *, select: Score, clustered: bool
) -> bool:
    """Return whether cross-fitted one-vs-rest maps beat no calibration by the same rule.

    Args:
        rows: source of passes; the map at index f has not seen rows with bucket % folds = f.
        fitted: one map a fold.
        select: the loss.
        clustered: whether rows of one bucket may depend on each other.
    """
    names = (Identity.method, OneVsRest.method)
    comparison = _Comparison(names, select, clustered)
    same = tuple(Identity() for _ in fitted)
    comparison.add(rows, dict(zip(names, (same, fitted), strict=True)), len(fitted))
    return comparison.choose(names).chosen != Identity.method


def _rank(name: str) -> int:
    """Order by complexity, one-vs-rest methods (K maps each) after those of whole rows."""
    kind = CALIBRATORS[name]
    return kind.complexity + (0 if MULTICLASS <= kind.tasks else 100)


def _not_candidates(names: Sequence[str], n_classes: int, size: float) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for name in names:
        kind = CALIBRATORS[name]
        if kind.free_form and size < FREE_FORM_ROWS:
            reasons[name] = f"no candidate: free-form, and {size:.0f} rows are below 1000"
        elif n_classes > MANY_CLASSES and name in {"matrix", "dirichlet"}:
            reasons[name] = f"no candidate: K² weights of more than {MANY_CLASSES} classes"
        elif n_classes > MANY_CLASSES and not MULTICLASS <= kind.tasks:
            reasons[name] = f"no candidate: one-vs-rest of more than {MANY_CLASSES} classes"
    return reasons


def _row_counts(rows: RowSource, n_classes: int, folds: int) -> tuple[float, FloatArray]:
    """Return the effective number of rows (Kish) and the weight by fold and class."""
    by_fold = np.zeros((folds, n_classes))
    squares = 0.0
    for _, label, weight, bucket in rows():
        w = np.ones(len(label)) if weight is None else weight
        np.add.at(by_fold, (np.asarray(bucket) % folds, label), w)
        squares += float(w @ w)
    require_two_classes(by_fold.sum(axis=0))
    return float(by_fold.sum()) ** 2 / max(squares, 1e-300), by_fold


def _others(by_fold: list[list[ScoreStats]], fold: int) -> list[ScoreStats]:
    """Return the classes' pairs outside one fold."""
    rest = [classes for index, classes in enumerate(by_fold) if index != fold]
    return [reduce(lambda a, b: a.merge(b), parts) for parts in zip(*rest, strict=True)]


def _one_vs_rest(method: str, classes: list[ScoreStats], floor: float | None) -> OneVsRest:
    fit_one = cast("type[BinaryCalibrator]", CALIBRATORS[method]).fit
    return OneVsRest.fit(classes, fit_one, floor=floor)


def _dealt_anew(rows: RowSource, seed: int) -> RowSource:
    """Return the same rows with their buckets renumbered, so that the folds are others."""
    number = np.random.default_rng(seed).permutation(BUCKETS)

    def source() -> Iterator[RowBatch]:
        for z, label, weight, bucket in rows():
            yield z, label, weight, number[np.asarray(bucket)]

    return source


class _Comparison:
    """Sums over the rows, each scored by calibrators that have not seen it."""

    def __init__(self, names: Sequence[str], select: Score, clustered: bool) -> None:
        self.names, self.select, self.clustered = list(names), select, clustered
        size = len(self.names)
        self.repeats = 0
        self.rows = self.squares = self.reference = 0.0
        self.sums, self.weighted = np.zeros(size), np.zeros(size)
        self.products, self.implied = np.zeros((size, size)), np.zeros((size, size))
        self.buckets: list[FloatArray] = []

    def add(self, rows: RowSource, fits: dict[str, tuple[Calibrator, ...]], folds: int) -> None:
        """Score all rows once, in one pass; the identity stands in for a missing fit."""
        self.repeats += 1
        fold_fits = [
            [fits[name][fold] if name in fits else Identity() for name in self.names]
            for fold in range(folds)
        ]
        buckets = np.zeros((BUCKETS, len(self.names) + 1))
        for z, label, weight, bucket in rows():
            w = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
            home = np.asarray(bucket).astype(np.int64)
            for fold, fitted in enumerate(fold_fits):
                for piece in _pieces(np.flatnonzero(home % folds == fold), z.shape[1]):
                    apart = self._add_piece(z[piece], label[piece], w[piece], fitted)
                    for column, difference in enumerate(apart):
                        buckets[:, column] += sums_by(home[piece], w[piece] * difference, BUCKETS)
                    buckets[:, -1] += sums_by(home[piece], w[piece], BUCKETS)
        self.buckets.append(buckets[buckets[:, -1] > 0])

    def _add_piece(
        self,
        z: NDArray[np.floating[Any]],
        label: IntArray,
        weight: FloatArray,
        fitted: list[Calibrator],
    ) -> FloatArray:
        """Add some rows; returns each candidate's loss less the identity's (m, n)."""
        finite = finite_rows(z)
        own = softmax(finite)
        p = [own if one.space == "probability" else one.apply(finite) for one in fitted]
        losses = [label_losses(q, self.select) for q in p]
        truth = np.array([loss[np.arange(len(label)), label] for loss in losses])
        apart: FloatArray = truth - truth[0]
        heavy = weight * weight
        self.rows += float(weight.sum())
        self.squares += float(heavy.sum())
        self.reference += float(truth[0] @ weight)
        self.sums += apart @ weight
        self.weighted += apart @ heavy
        self.products += (apart * heavy) @ apart.T
        for i, j in permutations(range(len(p)), 2):
            swing = losses[i] - losses[j]
            mean = np.einsum("ij,ij->i", p[i], swing)
            square = np.einsum("ij,ij->i", p[i], swing * swing)
            self.implied[i, j] += float(heavy @ (square - mean**2))
        return apart

    def choose(self, valid: Sequence[str]) -> Choice:
        """Apply the rule to the candidates that every fold could fit."""
        keep = [self.names.index(name) for name in valid]
        means = self.sums / self.rows
        errors = independent_errors(self.products, self.weighted, self.squares, means, self.rows)
        ratio = implied_ratio(self.implied, errors, self.rows)
        if self.clustered:
            errors = clustered_errors(np.concatenate(self.buckets), means, self.rows)
        errors = errors * ratio * np.sqrt(self.repeats)
        scores = (self.reference / self.rows + means)[keep]
        ranks = [_rank(name) for name in valid]
        return one_standard_error(valid, scores, errors[np.ix_(keep, keep)], ranks)


def _pieces(index: NDArray[np.intp], n_classes: int) -> list[NDArray[np.intp]]:
    height = max(BLOCK // n_classes, 1)
    return [index[s : s + height] for s in range(0, len(index), height)]


def label_losses(p: FloatArray, select: Score) -> FloatArray:
    """Return the loss for each label (..., K) of probabilities (..., K)."""
    if select == "brier":
        squared: FloatArray = np.sum(p * p, axis=-1, keepdims=True) - 2.0 * p + 1.0
        return squared
    loss: FloatArray = -np.log(np.maximum(p, EPS))
    return loss
