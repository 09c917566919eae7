"""`threshold --cost-matrix`: decide the class of least expected cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import REFER, CostMatrix
from calibcli.core.decisions.stored import COSTS
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.artifacts.matrices import read_matrix
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.threshold.outcome import keep, outcome
from calibcli.workflows.threshold.wish import check_prior, class_ratio

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import NDArray

    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.rows.scan import Rows
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated

Result = dict[str, Any]
REFER_NAME = "refer"
ALPHA_Z = 2.5758293035489004
"""Two-sided 1 %: how often calibrated scores are called miscalibrated all the same."""
MOST_SHOWN = 100


def cheapest_class(
    spec: InputSpec,
    conventions: Conventions,
    matrix: str,
    *,
    prior: tuple[float, ...] | None = None,
    output: str | Gated | None = None,
    **options: Unpack[Options],
) -> Result:
    """Find what deciding by a cost matrix costs, beside deciding the most probable class.

    Args:
        spec: what to read.
        conventions: the level of the intervals.
        matrix: path of the costs; see `io.matrices`.
        prior: prevalence of each class where it will be used.
        output: path of the thresholds artifact.
        options: see `Options`.

    Raises:
        InputError: a matrix that does not fit the classes, a class that does not occur.
        UsageError: several labels a row, prevalences that are none.
    """
    check_prior(prior)
    asked = Asked.of(spec, conventions, options)
    rows = RowPass.open(asked, "--cost-matrix")
    if rows.dataset.labels:
        raise UsageError(
            "a cost matrix is of classes that exclude each other", "--cost fp=1,fn=4 for each label"
        )
    classes = rows.dataset.classes or ("0", "1")
    costs = load_costs(matrix, classes)
    ratio = None
    if prior is not None:
        ratio = class_ratio(prior, rows.scan(lambda: _Labels(len(classes))).count, classes)
    found = rows.scan(lambda: _Decided(costs, ratio))
    names = [*classes, REFER_NAME] if costs.refers else list(classes)
    entry = {
        "costs": costs.cost.tolist(),
        "decisions": names,
        "refers": costs.refers,
        "prior_ratio": None if ratio is None else ratio.tolist(),
        **found.summary(None if rows.layout.clustered else conventions.confidence),
    }
    if len(classes) <= MOST_SHOWN:
        entry["counts"] = found.plain(found.counts)
    warnings = list(rows.warnings)
    if found.disagrees and not rows.layout.clustered:
        text = (
            f"decisions cost {entry['expected']['value']:.4g} a row where the scores claim "
            f"{entry['claimed']:.4g}, beyond chance: the scores are not calibrated, fit first"
        )
        warnings.append(Warning("closed-form", text))
    result = outcome(
        inputs=rows.dataset.inputs,
        params=rows.params(
            calibrator=asked.path,
            cost_matrix=matrix,
            prior=None if prior is None else list(prior),
            confidence=conventions.confidence,
            seed=conventions.seed,
        ),
        task=rows.dataset.task,
        kind="empirical",
        objective="cost",
        warnings=warnings,
        cost_matrix=entry,
    )
    keep(output, result, classes, COSTS, asked.loaded)
    return result


def load_costs(path: str, classes: tuple[str, ...]) -> CostMatrix:
    """Read a cost matrix and bring it into the order of the classes, by its names if it has any.

    Raises:
        InputError: another number of classes, or other names.
        UsageError: costs that make no sense.
    """
    found = read_matrix(path, classes)
    k = len(classes)
    values = np.array(found.values, dtype=np.float64)
    if values.shape not in ((k, k), (k, k + 1)):
        raise InputError(
            f"{path} has {values.shape[0]} rows and {values.shape[1]} columns, where there are "
            f"{k} classes",
            f"{k} rows, and {k} columns or one more for the cost of referring",
        )
    if found.rows is not None:
        values = values[_order(found.rows, classes, path)]
    if found.columns is not None:
        last = (REFER_NAME,) if values.shape[1] > k else ()
        values = values[:, _order(found.columns, (*classes, *last), path)]
    return CostMatrix.from_rows(values)


def _order(names: list[str], wanted: tuple[str, ...], path: str) -> list[int]:
    for name in wanted:
        if name not in names:
            hint = did_you_mean(name, names) or f"its names: {', '.join(names[:10])}"
            raise InputError(f"{path} does not name {name!r}", hint)
    return [names.index(name) for name in wanted]


class _Labels:
    """How many rows each class has."""

    def __init__(self, classes: int) -> None:
        self.count = np.zeros(classes)

    def add(self, rows: Rows) -> None:
        self.count += np.bincount(rows.label, rows.weight, len(self.count))

    def merge(self, other: _Labels) -> None:
        self.count += other.count


class _Decided:
    """Counts of (true class, decision), by the matrix and by the most probable class."""

    def __init__(self, costs: CostMatrix, ratio: NDArray[np.float64] | None) -> None:
        self.costs = costs
        self.ratio = ratio
        self.weights = False
        self.counts = np.zeros(costs.cost.shape)
        self.naive = np.zeros(costs.cost.shape)
        # Weight, and the sums of w * gap, (w * gap)^2, of the claimed cost and of its square.
        self.sums = np.zeros(6)

    def add(self, rows: Rows) -> None:
        if not len(rows.p):
            return
        k = len(self.costs.cost)
        mass = np.ones(len(rows.p)) if rows.weight is None else rows.weight.astype(np.float64)
        whole = rows.weight is None or rows.weight.dtype.kind == "i"
        self.weights |= not whole
        decided = self.costs.decide(rows.p, prior=self.ratio)
        column = np.where(decided == REFER, k, decided)
        np.add.at(self.counts, (rows.label, column), mass)
        np.add.at(self.naive, (rows.label, rows.p.argmax(axis=1)), mass)
        p = rows.p
        if self.ratio is not None:
            mass = mass * self.ratio[rows.label]
            p = p * self.ratio
            p = p / p.sum(axis=1, keepdims=True)
        claimed = (p @ self.costs.cost)[np.arange(len(p)), column]
        actual = self.costs.cost[rows.label, column]
        # A count stands for rows of its own, a weight for one row that counts more.
        power = mass if whole and self.ratio is None else mass * mass
        gap = actual - claimed
        self.sums += [
            mass.sum(),
            mass @ gap,
            power @ gap**2,
            mass @ claimed,
            mass @ actual,
            power @ actual**2,
        ]

    def merge(self, other: _Decided) -> None:
        self.counts += other.counts
        self.naive += other.naive
        self.sums += other.sums
        self.weights |= other.weights

    @property
    def disagrees(self) -> bool:
        """Whether the cost that came true differs from the claimed one beyond chance."""
        _, gap, spread, *_ = self.sums.tolist()
        return spread > 0 and abs(gap) > ALPHA_Z * math.sqrt(spread)

    def summary(self, confidence: float | None) -> Result:
        """Return costs a row: as it came true, as claimed, and of the most probable class."""
        n, _, _, claimed, actual, squares = self.sums.tolist()
        mean = actual / n
        error = math.sqrt(max(squares - 2 * mean * actual + mean * mean * n, 0.0)) / n
        ratio = np.ones(len(self.counts)) if self.ratio is None else self.ratio
        cost = (self.costs.cost * ratio[:, None]).ravel()
        total = float((self.naive * ratio[:, None]).sum())
        true = self.counts.sum(axis=1) * ratio
        always = true @ self.costs.cost / total
        best = int(always.argmin())
        low = high = None
        if confidence is not None:
            reach = norm_ppf((1 + confidence) / 2) * error
            low, high = mean - reach, mean + reach
        return {
            "n": float(self.counts.sum()) if self.weights else int(self.counts.sum()),
            "expected": {"value": mean, "low": low, "high": high},
            "claimed": claimed / n,
            "most_probable": float(self.naive.ravel() @ cost / total),
            "best_constant": {"decision": best, "cost": float(always[best])},
        }

    def plain(self, counts: NDArray[np.float64]) -> list[list[float | int]]:
        """Return counts as plain numbers: whole where rows are not weighted."""
        if self.weights:
            return [[float(v) for v in row] for row in counts.tolist()]
        return [[int(v) for v in row] for row in counts.tolist()]
