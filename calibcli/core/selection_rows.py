"""Choosing a calibrator of several classes by cross-fitting, in passes over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, OneVsRest
from calibcli.core.calibrators.one_vs_rest import class_stats
from calibcli.core.calibrators.rowmath import BLOCK, finite_rows, fold_rows, resolved_floor
from calibcli.core.calibrators.types import (
    FREE_FORM_ROWS,
    MULTICLASS,
    BinaryCalibrator,
    Calibrator,
    FloatArray,
    RowCalibrator,
    RowSource,
    require_two_classes,
    sums_by,
)
from calibcli.core.scales import EPS, softmax
from calibcli.core.selection import (
    Candidate,
    Choice,
    Clock,
    Score,
    clustered_errors,
    implied_ratio,
    independent_errors,
    one_standard_error,
)
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.stats import ScoreStats

ROW_CANDIDATES = ("identity", "temperature", "vector", "dirichlet", "beta", "spline", "isotonic")
MANY_CLASSES = 20
"""Methods of K^2 numbers or of K fitted maps are candidates of `auto` up to this many classes."""
_BUCKETS = 64


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

    The rule is that of `calibcli.core.selection.auto`. Binary methods are fitted one-vs-rest.

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
    fits: dict[str, tuple[Calibrator, tuple[Calibrator, ...]]] = {}
    seconds: dict[str, float] = {}
    for name in names:
        if name in reasons:
            continue
        began = clock() if clock else 0.0
        try:
            whole = fit_method(rows, n_classes, name)
            fits[name] = whole, cross_fit_rows(rows, n_classes, name, folds=folds, start=whole)
        except InputError as error:
            reasons[name] = f"no candidate: a fold could not be fitted ({error.message})"
        seconds[name] = (clock() - began) if clock else 0.0
    choice = _compare(rows, {name: fit[1] for name, fit in fits.items()}, folds, select, clustered)
    calibrator, fold_calibrators = fits[choice.chosen]
    table = []
    for name in names:
        score, difference, se = choice.table.get(name, (None, None, None))
        taken = name == choice.chosen
        note = reasons.get(name, "; ".join(calibrator.notes) if taken else "")
        spent = seconds.get(name) if clock else None
        table.append(Candidate(name, score, difference, se, spent, taken, note))
    return RowSelection(calibrator, tuple(table), fold_calibrators, notes)


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


def _compare(
    rows: RowSource,
    fits: dict[str, tuple[Calibrator, ...]],
    folds: int,
    select: Score,
    clustered: bool,
) -> Choice:
    """Score every candidate on the rows that its fold calibrators have not seen, in one pass."""
    names = list(fits)
    size = len(names)
    sums, weighted = np.zeros(size), np.zeros(size)
    products, implied = np.zeros((size, size)), np.zeros((size, size))
    buckets = np.zeros((_BUCKETS, size + 1))
    total = squares = reference = 0.0
    for z, label, weight, bucket in rows():
        w = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
        home = np.asarray(bucket).astype(np.int64)
        for fold in range(folds):
            for chosen in _pieces(np.flatnonzero(home % folds == fold), z.shape[1]):
                losses, p = _class_losses(z[chosen], fits, fold, select)
                truth = losses[:, np.arange(len(chosen)), label[chosen]]
                own, apart = w[chosen], truth - truth[0]
                heavy = own * own
                total += float(own.sum())
                squares += float(heavy.sum())
                reference += float(truth[0] @ own)
                sums += apart @ own
                weighted += apart @ heavy
                products += (apart * heavy) @ apart.T
                for s in range(size):
                    for b in range(size):
                        swing = losses[s] - losses[b]
                        mean = np.einsum("ij,ij->i", p[s], swing)
                        spread = np.einsum("ij,ij,ij->i", p[s], swing, swing) - mean**2
                        implied[s, b] += float(heavy @ spread)
                if clustered:
                    for column in range(size):
                        buckets[:, column] += sums_by(home[chosen], own * apart[column], _BUCKETS)
                    buckets[:, size] += sums_by(home[chosen], own, _BUCKETS)
    means = sums / total
    errors = independent_errors(products, weighted, squares, means, total)
    ratio = implied_ratio(implied, errors, total)
    if clustered:
        errors = clustered_errors(buckets[buckets[:, size] > 0], means, total)
    return one_standard_error(
        names, reference / total + means, errors * ratio, [_rank(name) for name in names]
    )


def _class_losses(
    z: NDArray[np.floating[Any]],
    fits: dict[str, tuple[Calibrator, ...]],
    fold: int,
    select: Score,
) -> tuple[FloatArray, FloatArray]:
    """Return each candidate's loss for each label (m, n, K), and its probabilities (m, n, K)."""
    finite = finite_rows(z)
    p = softmax(finite)
    mapped = [
        p if one[fold].space == "probability" else one[fold].apply(finite) for one in fits.values()
    ]
    q = np.stack(mapped)
    return label_losses(q, select), q


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
