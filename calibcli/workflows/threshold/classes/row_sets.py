"""`--subject-to 'row-recall>=0.9'`: one cut-off for all labels, by the label set of a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from calibcli.core.decisions.cross_fit import FOLDS, cut_at
from calibcli.core.decisions.guarantees import Uncertified
from calibcli.core.decisions.objectives import parse_objective
from calibcli.core.decisions.promises.by_unit import (
    ByUnit,
    allowed_by_unit,
    steps,
    units_needed_for,
)
from calibcli.core.decisions.promises.row_sets import RowMeans, choose_rows, folds_of, row_figure
from calibcli.core.decisions.thresholds import Choice, Unreachable
from calibcli.core.results.threshold import CommonCut, CommonValue, Guarantee
from calibcli.core.results.warning import Warning
from calibcli.errors import AnswerNoError, UsageError
from calibcli.tasks.rows.row_sets import SetUnits
from calibcli.workflows.measure.decided.judged import mean_figure
from calibcli.workflows.threshold.choosing import claims_of, curve_of
from calibcli.workflows.threshold.classes.common import at_common, describe_common
from calibcli.workflows.threshold.honest import move_between, with_move
from calibcli.workflows.threshold.promised import share_of_units
from calibcli.workflows.threshold.settling import said_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.decisions.promises.row_sets import RowChoice
    from calibcli.core.decisions.promises.tables import UnitTable
    from calibcli.core.results.figures import Figure
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Slice
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.choosing import Chosen
    from calibcli.workflows.threshold.wish import Wish

MOST = 1 << 16
"""Cut-offs that are tried where nothing is promised."""


class RowSets:
    """The candidates of all labels together, and what rows have at each of them.

    Attributes:
        curve: pooled counts of every candidate; `at` (S,) those that are tried.
        table: what rows, or clusters of rows, have there.
        means: of each figure over them.
    """

    def __init__(self, rows: RowPass, stats: ScoreStats, wish: Wish) -> None:
        self.wish, self.unit = wish, rows.dataset.unit.name
        self.curve = pooled = curve_of(stats)
        self.claims = claims_of(pooled, stats)
        self.at = steps(pooled) if wish.guarantee is not None else steps(pooled, MOST)
        self.threshold = pooled.threshold[self.at]
        self.table: UnitTable = rows.scan(lambda: SetUnits(self.threshold)).table()
        self.means = RowMeans.of(self.table)

    def best(self) -> tuple[RowChoice, Guarantee | None]:
        """Return the best cut-off, and what is promised of it.

        Raises:
            AnswerNoError: none meets the bounds, or none is certified.
        """
        allowed = self._allowed()
        whole = {name: one.whole for name, one in self.means.items()}
        bounds = self.wish.constraints
        found = choose_rows(self.threshold, whole, self.wish.objective.name, bounds, allowed)
        if not isinstance(found, Unreachable):
            return found, self._promise(found.index, allowed)
        hint = "no thresholds were written"
        if allowed is None:
            raise AnswerNoError(found.message(), hint)
        assert self.wish.guarantee is not None
        without = choose_rows(self.threshold, whole, self.wish.objective.name, bounds)
        empirical: Choice | Unreachable = found
        if not isinstance(without, Unreachable):
            place = int(self.at[without.index])
            empirical = Choice(
                float(self.threshold[without.index]),
                without.value,
                self.curve.confusion(place),
                place,
                without.tied,
            )
            hint += f"; without --guarantee, {empirical.threshold:.6g} meets it on these rows"
        needed = units_needed_for(self.table, _of_units(bounds), self.wish.guarantee)
        size = round(len(self.table.rows) / self.table.share)
        message = Uncertified(bounds, self.wish.guarantee, size, needed, empirical, self.unit)
        raise AnswerNoError(message.message(), hint)

    def _allowed(self) -> NDArray[np.bool_] | None:
        if self.wish.guarantee is None:
            return None
        units = ByUnit(self.table, self.at, self.unit)
        bounds = _of_units(self.wish.constraints)
        sure = self.wish.guarantee
        found = allowed_by_unit(self.curve, units, bounds, sure, probability=self.claims)
        return found[self.at]

    def _promise(self, index: int, allowed: NDArray[np.bool_] | None) -> Guarantee | None:
        if allowed is None or self.wish.guarantee is None:
            return None
        among, bounds = self.threshold[allowed], self.wish.constraints
        return Guarantee(
            self.wish.guarantee,
            tuple(map(str, bounds)),
            float(among[0]),
            float(among[-1]),
            unit=self.unit,
            units=len(self.table.rows),
            means={one.name: float(self.means[one.name].whole[index]) for one in bounds},
        )

    def figures(self, index: int, level: float | None) -> dict[str, Figure]:
        """Return the mean of each figure at a cut-off, with its interval over units."""
        selected, true = self.table.at(index)
        found = {}
        for name in self.means:
            value, there = row_figure(name, self.table.positives, selected, true)
            found[name] = _mean(value[there], level)
        return found

    def cross_fitted(self, index: int, level: float) -> dict[str, Figure] | None:
        """Return the figures of each fold of units under the choice of the others.

        None where the others of some fold find no choice.
        """
        fold, places = folds_of(len(self.table.rows)), []
        values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.means}
        for held in range(FOLDS):
            rest = {name: one.without(held) for name, one in self.means.items()}
            found = choose_rows(
                self.threshold, rest, self.wish.objective.name, self.wish.constraints
            )
            if isinstance(found, Unreachable):
                return None
            places.append(found.index)
            selected, true = self.table.at(found.index)
            for name, own in values.items():
                value, there = row_figure(name, self.table.positives, selected, true)
                own.append(value[there & (fold == held)])
        told = {}
        for name, own in values.items():
            every = self.means[name].whole
            move = move_between(every[places] - every[index])
            told[name] = with_move(_mean(np.concatenate(own), level), move, level)
        return told


def chosen_of_rows(
    rows: RowPass | None,
    slices: Sequence[Slice],
    whole: Slice,
    conventions: Conventions,
    wish: Wish,
) -> tuple[list[Chosen], list[Warning], dict[str, CommonCut]]:
    """Choose one cut-off for all labels by the label sets of rows.

    Args:
        rows: what is read.
        slices: of each label.
        whole: all labels together.
        conventions: the level of the intervals.
        wish: the objective and the bounds.

    Raises:
        AnswerNoError: no cut-off meets the bounds, or none is certified.
        UsageError: saved statistics, weights.
    """
    if rows is None:
        raise UsageError(
            f"{wish.by_rows} is of the labels of a row, and statistics hold no rows",
            "give the score files",
        )
    if rows.dataset.medium != "rows":
        raise UsageError(
            f"{wish.by_rows} is of the labels of a row, and pixels are one row each",
            "--subject-to 'recall>=0.9' is of each structure",
        )
    spec = rows.asked.spec
    if spec.weighted or spec.count is not None:
        raise UsageError(
            f"{wish.by_rows} is a mean in which every row counts once",
            "leave out --weight and --count",
        )
    sets = RowSets(rows, whole.used.pairs, wish)
    warnings = []
    if sets.table.share < 1.0:
        warnings.append(share_of_units(sets.table.share, "mean over rows"))
    if len(sets.at) < len(sets.threshold):
        text = f"more than {MOST:,} distinct scores: cut-offs are the best of as many of them"
        warnings.append(Warning("coarse", text))
    best, promise = sets.best()
    level = conventions.confidence
    cut = cut_at(whole.used.pairs, best.threshold)
    crossed = None
    if level is not None and wish.guarantee is None:
        found = sets.cross_fitted(best.index, level)
        warnings += _not_shown(found, wish.constraints)
        if found is not None:
            crossed = CommonValue(FOLDS, found[wish.objective.name], found)
    common = CommonCut(
        threshold=cut.threshold,
        logit=cut.logit,
        value=best.value,
        tied=best.tied,
        cross_fitted=crossed,
        unit=sets.unit,
        units=len(sets.table.rows),
        rows=sets.figures(best.index, level),
        guarantee=promise,
    )
    own = replace(wish, objective=parse_objective("f1"), constraints=(), guarantee=None)
    chosen = []
    for one in slices:
        stats = one.used.pairs
        curve = curve_of(stats)
        picked = at_common(curve, stats, own, curve.index(best.threshold), best)
        made = describe_common(one.where, picked, conventions, own, again=False)
        # The file of cut-offs holds those of labels alone: each tells what all are certified for.
        chosen.append(replace(made, item=structs.replace(made.item, guarantee=promise)))
    warnings += said_of(chosen)
    return chosen, warnings, {"common": common}


def _mean(values: NDArray[np.float64], level: float | None) -> Figure:
    """Return a mean of figures (n,) of units with its interval."""
    return mean_figure(len(values), float(values.sum()), float(values @ values), level)


def _of_units(constraints: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Return bounds of label sets as those of what a unit has."""
    return tuple(replace(one, name=one.name.removeprefix("row-")) for one in constraints)


def _not_shown(
    crossed: dict[str, Figure] | None, constraints: Sequence[Constraint]
) -> list[Warning]:
    if crossed is None:
        text = "figures on new rows are not known: without some folds no cut-off meets the bounds"
        return [Warning("not-shown", text)]
    found = []
    for one in constraints:
        figure = crossed[one.name]
        if figure.low is not None and one.met(np.asarray(figure.low)):
            continue
        told = "undefined" if figure.value is None else f"{figure.value:.4g}"
        ends = "" if figure.low is None else f" [{figure.low:.4g}, {figure.high:.4g}]"
        text = f"that {one} holds on new rows is not shown: cross-fitted it is {told}{ends}"
        found.append(Warning("not-shown", text))
    return found
