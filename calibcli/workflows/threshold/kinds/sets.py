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
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.coverage import TrueScores, keys_of, unit_quantile
from calibcli.core.decisions.stored import SETS
from calibcli.core.results.figures import OVERALL, Figure, Where
from calibcli.core.results.parts.choices import SetSlice
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.rows.decided import Members
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.threshold.outcome import keep, kind_promised, outcome
from calibcli.workflows.threshold.promised import share_of_units

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from calibcli.core.decisions.conformal import By, Method
    from calibcli.core.decisions.promises.coverage import UnitQuantile
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.rows.scan import Rows
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated

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
    output: str | Gated | None = None,
    **options: Unpack[Options],
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
        output: path of the thresholds artifact.
        options: see `Options`.

    Raises:
        InputError: unusable input.
        UsageError: weights, several labels a row: no promise is known for these here.
    """
    chosen = parse_method(method)
    _check(spec, coverage, per_class)
    _check_ranks(chosen, penalty, free_rank)
    asked = Asked.of(spec, conventions, options)
    rows = RowPass.open(asked, "--coverage")
    refuse("threshold --coverage", kind_of(rows.dataset.task, rows.dataset.medium))
    classes = rows.dataset.classes or ("0", "1")
    by: By = "class" if per_class else "group" if spec.groups else "none"
    ranks = _Ranks(
        PENALTY if penalty is None else penalty,
        default_free_rank(len(classes)) if free_rank is None else free_rank,
    )
    unit = rows.dataset.unit.name if rows.layout.clustered else None
    true = rows.scan(lambda: _True(chosen, by, ranks, clustered=unit is not None))
    quantiles = true.quantiles(coverage, len(classes)) if unit is not None else {}
    if unit is not None:
        sets = _of_units(quantiles, coverage, chosen, len(classes), by, ranks)
    else:
        sets = _fitted(true, coverage, chosen, len(classes), by, ranks)
    sizes = rows.scan(lambda: _Sizes(sets, len(classes)))
    warnings = list(rows.warnings)
    kind = kind_promised("conformal", warnings, "the coverage")
    warnings += _few(sets, classes, unit)
    warnings += [share_of_units(true.units.share, "coverage")] if true.units.halved else []
    found: Result = {
        **sets.to_dict(),
        "exact": true.scores.exact,
        **({} if unit is None else {"unit": unit}),
        "slices": _slices(sets, classes, spec, conventions, quantiles),
        "size": sizes.summary(),
    }
    result = outcome(
        inputs=rows.dataset.inputs,
        params=rows.params(
            calibrator=asked.path,
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
    keep(output, result, classes, SETS, asked.loaded)
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

    def __init__(self, method: Method, by: str, ranks: _Ranks, *, clustered: bool) -> None:
        self.method, self.ranks = method, ranks
        self.by, self.clustered = by, clustered
        self.scores = TrueScores()
        self.units = UnitCounts()
        self.members = Members()

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
            slot = self.members.of(*rows.groups[0])
        if rows.unit is None or not self.clustered:
            self.scores.add(own, slot, rows.weight)
        else:
            self.units.add(0 if slot is None else slot, rows.unit, keys_of(own), rows.weight)

    def merge(self, other: _True) -> None:
        slots = self.members.joined(other.members) if self.by == "group" else None
        self.scores.merge(other.scores, slots)
        self.units.merge(other.units, slots)

    def quantiles(self, coverage: float, classes: int) -> dict[str, UnitQuantile]:
        """Return the quantile of units of each class index, value of the group, or ""."""
        entries, names = self.units.read(), {"": 0}
        if self.by == "class":
            names = {str(k): k for k in range(classes)}
        elif self.by == "group":
            names = dict(sorted(self.members.values.items()))
        return {
            name: unit_quantile(entries.of_slots(slot, slot + 1), coverage)
            for name, slot in names.items()
        }


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
        names = np.array(list(true.members.values), dtype=object)
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


def _of_units(
    found: Mapping[str, UnitQuantile],
    coverage: float,
    method: Method,
    classes: int,
    by: By,
    ranks: _Ranks,
) -> ConformalSets:
    return ConformalSets(
        method,
        coverage,
        classes,
        by,
        {name: one.quantile for name, one in found.items()},
        {name: one.rows for name, one in found.items()},
        ranks.penalty,
        ranks.free,
        held={name: one.held for name, one in found.items()},
        units={name: one.units for name, one in found.items()},
    )


def _slices(
    sets: ConformalSets,
    classes: tuple[str, ...],
    spec: InputSpec,
    conventions: Conventions,
    units: Mapping[str, UnitQuantile],
) -> list[SetSlice]:
    """Return for each quantile its slice, its rows, and where its coverage lies."""
    found = []
    for key, quantile in sets.quantiles.items():
        where = OVERALL
        if sets.by == "class":
            where = Where("class", classes[int(key)])
        elif sets.by == "group":
            where = Where("group", column=spec.groups[0], value=key)
        rows = sets.rows[key]
        low = high = None
        if conventions.confidence is not None:
            held = None if sets.held is None else sets.held[key]
            level = conventions.confidence
            if units:
                low, high = units[key].interval(sets.coverage, level)
            else:
                low, high = coverage_interval(rows, sets.coverage, level, held=held)
        tied = not units and sets.held is not None and sets.held[key] > rows * sets.coverage + 1
        reason = "at least: scores are tied at the quantile" if tied else None
        found.append(
            SetSlice(
                slice=where,
                n=rows,
                units=units[key].units if units else None,
                quantile=quantile if np.isfinite(quantile) else None,
                coverage=Figure(sets.coverage, low, high, reason=reason),
            )
        )
    return found


def _few(sets: ConformalSets, classes: tuple[str, ...], unit: str | None) -> list[Warning]:
    if not sets.uninformative:
        return []
    needed = f"{rows_for(sets.coverage)} {'rows' if unit is None else f'values of {unit}'}"
    if sets.by == "none":
        text = f"fewer than {needed}: every set holds every class"
        return [Warning("few-calibration-rows", text)]
    names = [classes[int(k)] if sets.by == "class" else k for k in sets.uninformative]
    shown = ", ".join(map(repr, names[:5])) + (" …" if len(names) > 5 else "")
    what = "its class is in every set" if sets.by == "class" else "its sets hold every class"
    text = (
        f"{len(names)} of {len(sets.quantiles)} {'classes' if sets.by == 'class' else 'groups'} "
        f"have fewer than {needed}, so that {what}: {shown}"
    )
    return [Warning("few-calibration-rows", text)]
