"""`threshold --coverage`: conformal prediction sets, that hold the true class as promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.conformal import (
    PENALTY,
    ConformalSets,
    coverage_interval,
    default_free_rank,
    nonconformity,
    parse_method,
    rows_for,
)
from calibcli.core.decisions.true_scores import TrueScores
from calibcli.core.results.warning import Warning, any_of
from calibcli.errors import UsageError
from calibcli.tasks.features import kind_of, refuse
from calibcli.workflows.input.loaded_cuts import SETS
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.threshold.outcome import keep, outcome, void

if TYPE_CHECKING:
    from calibcli.core.decisions.conformal import Method
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.rows.scan import Rows
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gather import Progress

Result = dict[str, Any]


def prediction_sets(
    spec: InputSpec,
    conventions: Conventions,
    coverage: float,
    *,
    method: str = "lac",
    penalty: float | None = None,
    free_rank: int | None = None,
    per_class: bool = False,
    calibrator: str | None = None,
    output: str | Gated | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Fit conformal sets; with a column in `spec.groups`, that cover each of its groups.

    Args:
        spec: what to read.
        conventions: the level of the interval of the coverage.
        coverage: the promised share of rows whose set holds the true class.
        method: see `core.decisions.conformal`.
        penalty: of RAPS, of each rank beyond the free ones; default 0.01.
        free_rank: the ranks without a penalty; default 5, or half of fewer than ten classes.
        per_class: whether each true class is covered.
        calibrator: path of a calibrator to apply first.
        output: path of the thresholds artifact.
        threads: how many threads read.
        progress: called with the number of rows read so far.

    Raises:
        InputError: unusable input.
        UsageError: weights, clusters, several labels a row: no promise is known for these here.
    """
    chosen = parse_method(method)
    _check(spec, coverage, per_class)
    _check_ranks(chosen, penalty, free_rank)
    rows = RowPass.open(spec, conventions, calibrator, threads, progress, "--coverage")
    refuse("threshold --coverage", kind_of(rows.dataset.task, rows.dataset.medium))
    if rows.layout.clustered:
        raise UsageError(
            f"conformal sets need exchangeable rows, and rows of one {rows.dataset.unit.name} are "
            "not",
            "keep one row of each, and leave out --cluster",
        )
    classes = rows.dataset.classes or ("0", "1")
    by = "class" if per_class else "group" if spec.groups else "none"
    ranks = _Ranks(
        PENALTY if penalty is None else penalty,
        default_free_rank(len(classes)) if free_rank is None else free_rank,
    )
    true = rows.scan(lambda: _True(chosen, by, ranks))
    sets = _fitted(true, coverage, chosen, len(classes), by, ranks)
    sizes = rows.scan(lambda: _Sizes(sets, len(classes)))
    warnings = list(rows.warnings)
    kind = "conformal"
    if any_of(warnings, "in-sample"):
        kind = "empirical"
        warnings.append(void("the coverage"))
    warnings += _few(sets, classes)
    found: Result = {
        **sets.to_dict(),
        "exact": true.scores.exact,
        "slices": _slices(sets, classes, spec, conventions),
        "size": sizes.summary(),
    }
    result = outcome(
        inputs=rows.dataset.inputs,
        params=rows.params(
            calibrator=calibrator,
            coverage=coverage,
            sets=chosen,
            per_class=per_class,
            confidence=conventions.confidence,
            seed=conventions.seed,
        ),
        task=rows.dataset.task,
        kind=kind,
        warnings=warnings,
        sets=found,
    )
    keep(output, result, classes, SETS, rows.loaded)
    return result


def _check(spec: InputSpec, coverage: float, per_class: bool) -> None:
    if not 0 < coverage < 1:
        raise UsageError(f"--coverage lies between 0 and 1, not {coverage!r}", "--coverage 0.9")
    if spec.weight is not None:
        raise UsageError(
            "conformal sets count rows, and these carry weights",
            "leave out --weight; --count is fine",
        )
    if len(spec.groups) > 1:
        raise UsageError("sets cover the groups of one column", "give one --group")
    if spec.groups and per_class:
        raise UsageError("sets cover each class or each group, not both", "leave out one of them")


def _check_ranks(method: Method, penalty: float | None, free_rank: int | None) -> None:
    for name, value in (("--penalty", penalty), ("--free-rank", free_rank)):
        if value is not None and not method.startswith("raps"):
            raise UsageError(f"{name} is for sets of RAPS", "--sets raps")
        if value is not None and value < 0:
            raise UsageError(f"{name} must not be negative", "--penalty 0.1 --free-rank 1")


@dataclass(frozen=True, slots=True)
class _Ranks:
    """What RAPS adds, for each rank beyond the free ones."""

    penalty: float
    free: int


class _True:
    """The nonconformity of the true class of each row, by class or by group."""

    def __init__(self, method: Method, by: str, ranks: _Ranks) -> None:
        self.method, self.ranks = method, ranks
        self.by = by
        self.scores = TrueScores()
        self.values: dict[str, int] = {}

    def add(self, rows: Rows) -> None:
        if not len(rows.p):
            return
        if self.method == "lac":
            own = 1.0 - rows.p[np.arange(len(rows.p)), rows.label]
        else:
            ranks = self.ranks
            every = nonconformity(rows.p, self.method, penalty=ranks.penalty, free_rank=ranks.free)
            own = every[np.arange(len(rows.p)), rows.label]
        slot = None
        if self.by == "class":
            slot = rows.label
        elif self.by == "group":
            codes, values = rows.groups[0]
            here = np.zeros(len(values), np.int64)
            for code in np.unique(codes).tolist():
                here[code] = self.values.setdefault(values[code], len(self.values))
            slot = here[codes]
        self.scores.add(own, slot, rows.weight)

    def merge(self, other: _True) -> None:
        slots = None
        if self.by == "group":
            found = [self.values.setdefault(v, len(self.values)) for v in other.values]
            slots = np.array(found, np.int64)
        self.scores.merge(other.scores, slots)


class _Sizes:
    """How many rows have a set of each size, and a set that holds the true class."""

    def __init__(self, sets: ConformalSets, classes: int) -> None:
        self.sets = sets
        self.count = np.zeros(classes + 1, np.int64)
        self.held = 0

    def add(self, rows: Rows) -> None:
        if not len(rows.p):
            return
        group = None
        if self.sets.by == "group":
            codes, values = rows.groups[0]
            group = np.array(values, dtype=object)[codes]
        inside = self.sets.sets(rows.p, group)
        mass = np.ones(len(rows.p), np.int64) if rows.weight is None else rows.weight
        sizes = inside.sum(axis=1)
        self.count += np.bincount(sizes, mass, len(self.count)).astype(np.int64)
        self.held += int(mass[inside[np.arange(len(rows.p)), rows.label]].sum())

    def merge(self, other: _Sizes) -> None:
        self.count += other.count
        self.held += other.held

    def summary(self) -> Result:
        """Return the mean size and the shares of sets without a class and with one."""
        n = int(self.count.sum())
        return {
            "n": n,
            "mean": float(np.arange(len(self.count)) @ self.count / n),
            "empty": float(self.count[0] / n),
            "single": float(self.count[1] / n),
            "covered": self.held / n,
        }


def _fitted(
    true: _True, coverage: float, method: Method, classes: int, by: str, ranks: _Ranks
) -> ConformalSets:
    slot, value, count = true.scores.read()
    label = slot if by == "class" else None
    group = None
    if by == "group":
        names = np.array(list(true.values), dtype=object)
        group = names[slot].astype(str)
    return ConformalSets.from_scores(
        value,
        coverage,
        classes=classes,
        method=method,
        label=label,
        group=group,
        count=count,
        penalty=ranks.penalty,
        free_rank=ranks.free,
    )


def _slices(
    sets: ConformalSets, classes: tuple[str, ...], spec: InputSpec, conventions: Conventions
) -> list[Result]:
    """Return for each quantile its slice, its rows, and where its coverage lies."""
    found = []
    for key, quantile in sets.quantiles.items():
        where: Result = {"kind": "overall"}
        if sets.by == "class":
            where = {"kind": "class", "name": classes[int(key)]}
        elif sets.by == "group":
            where = {"kind": "group", "column": spec.groups[0], "value": key}
        rows = sets.rows[key]
        low = high = None
        if conventions.confidence is not None:
            held = None if sets.held is None else sets.held[key]
            low, high = coverage_interval(rows, sets.coverage, conventions.confidence, held=held)
        figure: Result = {"value": sets.coverage, "low": low, "high": high}
        if sets.held is not None and sets.held[key] > sets.rows[key] * sets.coverage + 1:
            figure["reason"] = "at least: scores are tied at the quantile"
        found.append(
            {
                "slice": where,
                "n": rows,
                "quantile": quantile if np.isfinite(quantile) else None,
                "coverage": figure,
            }
        )
    return found


def _few(sets: ConformalSets, classes: tuple[str, ...]) -> list[Warning]:
    if not sets.uninformative:
        return []
    needed = rows_for(sets.coverage)
    if sets.by == "none":
        text = f"fewer than {needed} rows: every set holds every class"
        return [Warning("few-calibration-rows", text)]
    names = [classes[int(k)] if sets.by == "class" else k for k in sets.uninformative]
    shown = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
    what = "its class is in every set" if sets.by == "class" else "its sets hold every class"
    text = (
        f"{len(names)} of {len(sets.quantiles)} {'classes' if sets.by == 'class' else 'groups'} "
        f"have fewer than {needed} rows, so that {what}: {shown}"
    )
    return [Warning("few-calibration-rows", text)]
