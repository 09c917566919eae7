"""`fit --per-group` for several classes: passes over rows, each group's map pooled by its size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Grouped, Identity, Temperature
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.composed.grouped import GroupMap
from calibcli.core.calibrators.composed.pooling import log_pool_rows
from calibcli.core.calibrators.types import CLASSES
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.families import FEWEST, PRIOR_ROWS, choose_prior
from calibcli.core.fitting.held_out import HeldOut, row_probabilities
from calibcli.core.fitting.problems import ROW_CANDIDATES, Rows, fitted
from calibcli.core.results.fit import Candidate
from calibcli.errors import InputError
from calibcli.workflows.fit.fitted import Fitted, GroupOutcome
from calibcli.workflows.fit.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.classes.rows import RowBatch, RowSource
    from calibcli.core.fitting.held_out import Score
    from calibcli.tasks.population import Population
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.gather import Reading
    from calibcli.workflows.input.gathered import Gathered

    Array = NDArray[np.float64]

SIMPLE = ("temperature", "vector")
"""Methods of a group's own map that `auto` takes over from the whole; else it is a temperature."""


@dataclass(frozen=True, slots=True)
class _Fold:
    """The maps fitted outside one fold, and the class weights behind each group's (K,)."""

    overall: Calibrator
    own: dict[str, Calibrator | None]
    mass: dict[str, Array]

    def grouped(self, column: str, prior: float) -> Grouped:
        """Return the maps as one calibrator."""
        groups = {
            name: GroupMap(own, float(self.mass[name].sum()), (_weight(self.mass[name], prior),))
            for name, own in self.own.items()
        }
        if math.isinf(prior):
            groups = {}
        return Grouped(column, self.overall, groups, exclusive=True)


def fit_group_rows(found: Gathered, reading: Reading, column: str, options: FitOptions) -> Fitted:
    """Fit several classes by group; every group takes passes of its own over the rows.

    Raises:
        UsageError: statistics instead of rows.
        InputError: labels of one class only.
    """
    rows = rows_of(found.dataset, reading, place=0)
    select = cast("Score", options.select)
    overall, method = _overall(rows, options)
    own_method = method
    if method == Identity.method or (options.method == "auto" and method not in SIMPLE):
        own_method = Temperature.method
    masses = rows.scan(_Masses(rows.n_classes, options.folds)).mass
    whole = {name: mass.sum(axis=0) for name, mass in masses.items()}
    folds = []
    for fold in range(options.folds):
        rest = rows.outside(deal(options.folds), fold)
        outside = {name: whole[name] - mass[fold] for name, mass in masses.items()}
        own = {
            name: _own(rest, name, own_method, mass, overall, options)[0]
            for name, mass in outside.items()
        }
        folds.append(_Fold(_fit(rest, method, options, overall), own, outside))
    columns = [(own_method, n0) for n0 in PRIOR_ROWS]
    held = HeldOut(1 + len(columns), (0,), clustered=found.clustered)
    rows.scan(_GroupLosses(held, folds, deal(options.folds), select))
    choice = choose_prior(held, columns, earn=options.method == "auto")
    prior, common = choice.prior_rows, math.isinf(choice.prior_rows)
    groups = {}
    for name, mass in sorted(whole.items()):
        own_map, note = _own(rows, name, own_method, mass, overall, options)
        weight = 0.0 if own_map is None else _weight(mass, prior)
        size = float(mass.sum()) / rows.worth
        groups[name] = GroupMap(own_map if weight else None, size, (weight,), note)
    notes = overall.notes
    if common:
        notes = (*notes, f"the groups of {column} do not differ enough: one map serves all")
    shown = None if common else prior
    calibrator = Grouped(column, overall, groups, exclusive=True, prior_rows=shown, notes=notes)
    by_fold = tuple(fold.grouped(column, prior) for fold in folds)
    after, outcomes = after_rows(found, reading, column, by_fold, calibrator)
    one_map, best = choice.tried
    candidates = (
        Candidate(f"{method}, one map", one_map.loss, None, None, None, common, ""),
        Candidate(
            f"{own_method} by {column}",
            best.loss,
            best.difference,
            best.se,
            None,
            not common,
            f"n0 = {best.prior_rows:g}",
        ),
    )
    title = f"{method} (one map for every {column})" if common else f"{own_method} by {column}"
    return Fitted(
        title, calibrator, candidates, after, "cross-fitted", notes, outcomes, folds=by_fold
    )


def _overall(rows: RowSource, options: FitOptions) -> tuple[Calibrator, str]:
    if options.method != "auto":
        return _fit(rows, options.method, options), options.method
    problem = Rows(rows, folds=options.folds)
    chosen = auto(problem, select=cast("Score", options.select), methods=ROW_CANDIDATES)
    return chosen.calibrator, chosen.method


def _fit(
    rows: RowSource, method: str, options: FitOptions, start: Calibrator | None = None
) -> Calibrator:
    if method == Temperature.method and options.temperatures:
        return Temperature.fit(rows, temperatures=options.temperatures)
    kind = CALIBRATORS[method]
    if start is not None and start.method == method and CLASSES <= kind.takes:
        return fitted(kind, rows, start=start)
    return Rows(rows).fit(method)


def _weight(classes: Array, prior: float) -> float:
    """Return n / (n + n0), n being n (1 - sum p^2) K / (K - 1): 4 n p (1 - p) for two classes."""
    total, size = float(classes.sum()), len(classes)
    if total <= 0 or math.isinf(prior):
        return 0.0
    share = classes / total
    n = total * (1.0 - float(share @ share)) * size / (size - 1)
    return n / (n + prior) if n > 0 else 0.0


def _own(
    rows: RowSource,
    name: str,
    method: str,
    classes: Array,
    overall: Calibrator,
    options: FitOptions,
) -> tuple[Calibrator | None, str]:
    if np.count_nonzero(classes) < 2:
        return None, "one label only: the overall map"
    if classes.sum() < 2 * FEWEST:
        return None, f"fewer than {2 * FEWEST} rows: the overall map"
    try:
        own = _fit(rows.of_group(name), method, options, overall)
    except InputError as error:
        return None, f"could not be fitted ({error.message}): the overall map"
    if own.at_bound:
        return None, "the scores separate its labels: the overall map"
    return own, ""


class _Masses:
    """The weight of each group's rows by fold and class: (F, K) by value."""

    def __init__(self, n_classes: int, folds: int) -> None:
        self.n_classes, self.folds = n_classes, folds
        self.mass: dict[str, Array] = {}

    def fresh(self) -> _Masses:
        return _Masses(self.n_classes, self.folds)

    def add(self, rows: RowBatch) -> None:
        assert rows.group is not None
        codes, values = rows.group
        cell = deal(self.folds)[np.asarray(rows.bucket)] * self.n_classes + rows.label
        size = self.folds * self.n_classes
        for code in np.unique(codes).tolist():
            mine = codes == code
            weight = None if rows.weight is None else rows.weight[mine]
            mass = np.bincount(cell[mine], weight, size).astype(np.float64)
            self._put(values[code], mass.reshape(self.folds, self.n_classes))

    def merge(self, other: _Masses) -> None:
        for name, mass in other.mass.items():
            self._put(name, mass)

    def _put(self, name: str, mass: Array) -> None:
        self.mass[name] = self.mass[name] + mass if name in self.mass else mass


def by_fold_and_group(
    rows: RowBatch, dealt: NDArray[np.int64], folds: int
) -> Iterator[tuple[int, str, RowBatch]]:
    """Yield the rows of each fold and each value of the group column that they have."""
    assert rows.group is not None
    codes, values = rows.group
    fold_of = dealt[np.asarray(rows.bucket)]
    for fold in range(folds):
        here = fold_of == fold
        for code in np.unique(codes[here]).tolist():
            yield fold, values[code], rows.take(np.flatnonzero(here & (codes == code)))


class _GroupLosses:
    """Held-out losses of one map for all, and of the pools of every n0."""

    def __init__(
        self, held: HeldOut, folds: Sequence[_Fold], dealt: NDArray[np.int64], select: Score
    ) -> None:
        self.held, self.folds, self.dealt, self.select = held, folds, dealt, select

    def fresh(self) -> _GroupLosses:
        return _GroupLosses(self.held.fresh(), self.folds, self.dealt, self.select)

    def add(self, rows: RowBatch) -> None:
        for fold, value, own in by_fold_and_group(rows, self.dealt, len(self.folds)):
            self._add(own, self.folds[fold], value)

    def _add(self, rows: RowBatch, fold: _Fold, name: str) -> None:
        own_map = fold.own.get(name)
        for block in rows.blocks():
            shared = row_probabilities(fold.overall, block, logits=rows.logits)
            p = [shared] * self.held.size
            if own_map is not None:
                own = row_probabilities(own_map, block, logits=rows.logits)
                for column, prior in enumerate(PRIOR_ROWS, start=1):
                    w = _weight(fold.mass[name], prior)
                    if w:
                        p[column] = log_pool_rows((own, shared), (w, 1.0 - w))
            self.held.add_probabilities(block, p, self.select)

    def merge(self, other: _GroupLosses) -> None:
        self.held.merge(other.held)


def after_rows(
    found: Gathered,
    reading: Reading,
    column: str,
    folds: tuple[Grouped, ...],
    calibrator: Grouped,
) -> tuple[Population, tuple[GroupOutcome, ...]]:
    """Return the rows after the maps that have not seen them, in all and by group."""
    made = reading.with_groups(column).read((found.dataset, ()), folds)
    outcomes = tuple(
        GroupOutcome.of(calibrator, one.where, one.population, one.used) for one in made.groups
    )
    return made.overall.used, outcomes
