"""Cut-offs whose constraints hold in the mean over units, with a stated confidence.

Rows of one patient, prompt, video or image are not independent; units are. So each unit has one
figure: the share of its positives that are found (recall), of its rows that are selected which are
positive (precision), and so on. What is promised is the expected figure of a new unit, among units
that have it: one without a positive has no recall, one without a selected row no precision. Units
with many rows count no more than those with few.

Candidates are at most `STEPS` cut-offs along the ranks of the scores, whatever the labels; "this
one breaks the target" is tested at one after the other (`core.decisions.guarantees` has directions,
starts and why the level is right) with the betting test of `promises.means`. Given how many units
have the figure, their figures are independent and of one distribution, so the test holds for that
number too.

Source: Angelopoulos, Bates, Candes, Jordan and Lei 2021 (*Learn then test*), sections 2 and 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.guarantees import (
    CERTIFIABLE,
    FREE,
    GROWS,
    Certified,
    Uncertified,
    first_step,
    rounded_up,
)
from calibcli.core.decisions.objectives import FP_PER_IMAGE
from calibcli.core.decisions.promises.means import betting, fewest, units_needed
from calibcli.core.decisions.promises.tables import Table
from calibcli.core.decisions.thresholds import Unreachable, choose
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Array, Constraint, Objective
    from calibcli.core.decisions.thresholds import Curve

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

STEPS = 512


def steps(curve: Curve, most: int = STEPS) -> Ints:
    """Return the places of the candidates that are tested, increasing, whatever the labels.

    Half of them lie evenly among the logarithms of the rows from the top, a quarter among those
    from below, and a quarter evenly among the rows.
    """
    size = len(curve.threshold)
    if size <= most:
        return np.arange(size)
    above = (curve.tp + curve.fp).astype(np.float64)
    rows = above[0]
    log = np.exp(np.linspace(0.0, math.log(max(rows, 2.0)), most // 2))
    below = rows - np.exp(np.linspace(0.0, math.log(max(rows, 2.0)), most // 4))
    wanted = np.concatenate([log, below, np.linspace(0.0, rows, most // 4)])
    found = np.searchsorted(-above, -wanted, side="left")
    return np.unique(np.append(np.minimum(found, size - 1), size - 1))


@dataclass(frozen=True, slots=True, eq=False)
class ByUnit:
    """What a guarantee by unit rests on, beside the counts of all rows.

    Attributes:
        table: what units have.
        candidates: (S,) the places of its steps among the candidates of the curve.
        unit: its name: "image", "patient".
    """

    table: Table
    candidates: Ints
    unit: str

    @property
    def single(self) -> bool:
        """Whether each unit is one row, so that every figure is 0 or 1 and tests are exact."""
        return self.table.share == 1.0 and bool((self.table.rows <= 1).all())

    def means(
        self, constraints: Sequence[Constraint], index: int
    ) -> tuple[int, tuple[float | None, ...]]:
        """Return how many units have any of the figures at a candidate, and the mean of each."""
        selected, true = self.table.at(int(np.searchsorted(self.candidates, index)))
        found: list[float | None] = []
        least = len(self.table.rows)
        for one in constraints:
            some, figures = self.table.figures(one.name, selected, true)
            least = min(least, len(some))
            found.append(float(figures.mean()) if len(some) else None)
        return least, tuple(found)


@dataclass(frozen=True, slots=True)
class _Test:
    """A constraint as a test of "the expected figure is below the target".

    Both are brought to shares of the most that a figure counts as.
    """

    name: str
    at_least: bool
    target: float
    downward: bool
    most: float = 1.0

    def figures(self, table: Table, selected: Ints, true: Ints) -> Array:
        own = table.figures(self.name, selected, true)[1] / self.most
        return own if self.at_least else 1.0 - own


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """All rows, or those of a group: counts at the candidates of all, and what their units have."""

    curve: Curve
    units: ByUnit


_Scoped = tuple[Scope, _Test]


def certify_by_unit(
    curve: Curve,
    units: ByUnit,
    objective: Objective,
    constraints: tuple[Constraint, ...],
    confidence: float,
    *,
    probability: Array | None = None,
    prior: float | None = None,
    within: Sequence[Scope] = (),
) -> Certified | Uncertified:
    """Return the best cut-off among those certified, or what it would take to certify one.

    Args:
        curve: counts of all rows, which the objective is judged on.
        units: what units have at some of the candidates.
        objective: what is made as large as can be, on the rows themselves.
        constraints: what is promised of the mean over units.
        confidence: of all constraints together.
        probability: what the scores claim for the cell at each candidate, to place the start of a
            sequence; default: the threshold.
        prior: another prevalence, for the objective.
        within: each group, for constraints of every group.

    Raises:
        UsageError: weights, figures that are none of a unit, targets that cannot be promised.
    """
    _check(curve, constraints, prior)
    allowed = allowed_by_unit(
        curve, units, constraints, confidence, probability=probability, within=within
    )
    tests = _scoped(Scope(curve, units), constraints, within)
    level, table = _level((one for _, one in tests), confidence), units.table
    choice = choose(curve, objective, prior=prior, allowed=allowed)
    if isinstance(choice, Unreachable):
        needed = _needed(table, [(scope.units.table, one) for scope, one in tests], level)
        empirical = choose(curve, objective, constraints, prior=prior)
        size = round(len(table.rows) / table.share)
        return Uncertified(constraints, confidence, size, needed, empirical, units.unit)
    among = np.flatnonzero(allowed)
    low, high = (float(curve.threshold[one]) for one in (among[0], among[-1]))
    return Certified(choice, constraints, confidence, (level,) * len(constraints), low, high)


def allowed_by_unit(
    curve: Curve,
    units: ByUnit,
    constraints: tuple[Constraint, ...],
    confidence: float,
    *,
    probability: Array | None = None,
    within: Sequence[Scope] = (),
) -> Bools:
    """Return which candidates keep all constraints, together with this confidence; see above."""
    tests = _scoped(Scope(curve, units), constraints, within)
    level = _level((one for _, one in tests), confidence)
    claimed = np.clip(curve.threshold if probability is None else probability, 0.0, 1.0)
    allowed = np.ones(len(curve.threshold), np.bool_)
    for downward in {one.downward for _, one in tests}:
        same = [one for one in tests if one[1].downward == downward]
        start = max(_start(scope, one, level, claimed) for scope, one in same)
        sure = np.zeros(len(curve.threshold), np.bool_)
        sure[units.candidates[_passed(same, level, downward, start)]] = True
        allowed &= sure
    return allowed


def _scoped(
    whole: Scope, constraints: Sequence[Constraint], within: Sequence[Scope]
) -> list[_Scoped]:
    """Return the test of each constraint, of one of every group in each of the groups."""
    return [
        (scope, _as_test(one, scope.units.table))
        for one in constraints
        for scope in ((whole,) if one.within is None else within)
    ]


def units_needed_for(
    table: Table, constraints: tuple[Constraint, ...], confidence: float
) -> int | None:
    """Return about how many units would certify some step; None where no margin shows."""
    tests = [_as_test(one, table) for one in constraints]
    return _needed(table, [(table, one) for one in tests], _level(tests, confidence))


def _level(tests: Iterable[_Test], confidence: float) -> float:
    """Return the error probability of each direction."""
    return (1.0 - confidence) / len({one.downward for one in tests})


def _as_test(constraint: Constraint, table: Table) -> _Test:
    name, at_least = constraint.name, constraint.at_least
    if name not in (*CERTIFIABLE, FP_PER_IMAGE):
        raise UsageError(
            f"{name} cannot be certified: no test of it is known here",
            f"certifiable: {', '.join(CERTIFIABLE)}",
        )
    if name in FREE and not at_least:
        raise UsageError(f"only a lower bound of {name} can be certified, not '{constraint}'")
    most = table.most(name)
    target = constraint.target / most
    aim = target if at_least else 1.0 - target
    if aim >= 1.0:
        raise UsageError(f"no number of units can certify '{constraint}'", "ask for less than all")
    return _Test(name, at_least, aim, (name in GROWS) == at_least, most)


def _check(curve: Curve, constraints: tuple[Constraint, ...], prior: float | None) -> None:
    if curve.tp.dtype.kind != "i":
        raise UsageError(
            "a guarantee counts units, and their rows carry weights",
            "leave out --weight, or --guarantee",
        )
    moved = [c.name for c in constraints if c.name not in ("recall", "fnr", "specificity", "fpr")]
    if prior is not None and moved:
        raise UsageError(
            f"{moved[0]} at another prevalence cannot be certified: it is no share of rows",
            "leave out --prior, or constrain recall and fpr",
        )


def _walked(
    tables: Sequence[Table], downward: bool
) -> Iterator[tuple[int, list[tuple[Ints, Ints]]]]:
    """Yield each step with what the units of each table have selected, and what of it is right."""
    for each in zip(*(table.walk(downward) for table in tables), strict=True):
        yield each[0][0], [(selected, true) for _, selected, true in each]


def _passed(tests: Sequence[_Scoped], level: float, downward: bool, start: int) -> list[int]:
    """Return the steps that one direction's fixed sequence certifies, from its `start`-th on."""
    found: list[int] = []
    tables = [scope.units.table for scope, _ in tests]
    for number, (step, each) in enumerate(_walked(tables, downward)):
        if number < start:
            continue
        for (scope, one), (selected, true) in zip(tests, each, strict=True):
            figures = one.figures(scope.units.table, selected, true)
            if betting(figures, one.target, level) > level:
                return found
        found.append(step)
    return found


def _start(scope: Scope, test: _Test, level: float, claimed: Array) -> int:
    """Return the step at which a sequence begins, from scores alone.

    Precision and npv rest on few units at the end of the sequence, see `first_step`.
    """
    curve, units = scope.curve, scope.units
    if test.name not in FREE:
        return 0
    least = fewest(test.target, level)
    having = np.array([
        np.count_nonzero(selected if test.downward else units.table.rows - selected)
        for _, selected, _ in units.table.walk(test.downward)
    ])  # fmt: skip
    claim = _claims(curve, claimed, downward=test.downward)[units.candidates]
    claim = claim[::-1] if test.downward else claim
    return first_step(having, claim, test.target, least)


def _claims(curve: Curve, claimed: Array, *, downward: bool) -> Array:
    """Return the share of right rows among the selected ones, or the others, that scores claim."""
    above = (curve.tp + curve.fp).astype(np.float64)
    own = above - np.append(above[1:], 0.0)
    if downward:
        total = np.cumsum((own * claimed)[::-1])[::-1]
        return np.asarray(total / np.maximum(above, 1.0), np.float64)
    below = np.append(0.0, np.cumsum(own * (1.0 - claimed))[:-1])
    return np.asarray(below / np.maximum(above[0] - above, 1.0), np.float64)


def _needed(whole: Table, tests: Sequence[tuple[Table, _Test]], level: float) -> int | None:
    """Estimate the units with which some step would pass every test, from the figures seen here."""
    best = math.inf
    size = len(whole.rows)
    for _, each in _walked([table for table, _ in tests], downward=True):
        worst = 0.0
        for (table, one), (selected, true) in zip(tests, each, strict=True):
            figures = one.figures(table, selected, true)
            n = len(figures)
            if not n:
                worst = math.inf
                break
            mean = (float(figures.sum()) + 0.5) / (n + 1.0)
            needed = units_needed(mean, float(figures.var()), one.target, level)
            worst = max(worst, needed * size / n)
        best = min(best, worst)
    if not math.isfinite(best):
        return None
    least = max(best, 1.25 * size) / whole.share
    return rounded_up(least)
