"""`measure --by COL`: the same figures for each period in order, and the first bad one.

Many periods are many looks. Each test is read at the level of one look in all of them
(Bonferroni), so that a series without any change shows a bad period no more often than one look
would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calibcli.core.comparison.drift import psi
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.inversion import exceeds_p
from calibcli.core.results.base import UNSET
from calibcli.core.results.comparisons import Period, PeriodGroup, Series
from calibcli.core.results.figures import Figure
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.io.rows.keys import MISSING_GROUP
from calibcli.io.rows.periods import AUTO, chunk_size, split_unit
from calibcli.workflows.input.gather import reads_stats
from calibcli.workflows.measure.compared.drift import distances, reliability
from calibcli.workflows.measure.period_gates import failing, of_periods
from calibcli.workflows.measure.slices import figure, found_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.gates import Gate
    from calibcli.core.results.comparisons import Compared
    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.measure.compared.reference import Reference
    from calibcli.workflows.measure.crossed import Crossed
    from calibcli.workflows.measure.decided.applied import Applied

_RAW_RULE = (
    "raw scores have no calibration error to judge by: a gate such as --fail-if 'auc.high<0.7' does"
)
FAR = 0.2
"""PSI from which scores have moved far, by the usual rule of thumb."""
_MOST_CELLS = 4096
_BITS = 8
_BINARY = ("n", "prevalence", "mean_score", "ece", "brier", "nll", "auc")
_RANKING = ("n", "prevalence", "auc", "average_precision")
_CONFIDENCE = ("n", "prevalence", "mean_score", "ece")
_LIMITED = re.compile(r"(drift\.)?(?P<figure>ece|psi)(\.(low|high|value))?")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}( \d{2}:00)?)?|-Q\d)?")


def with_by(spec: InputSpec, by: str) -> InputSpec:
    """Return the input options that also read the column of the periods.

    Raises:
        UsageError: saved statistics, which have no rows.
    """
    if reads_stats(spec):
        raise UsageError(
            "--by cuts rows into periods, and saved statistics have none",
            "give the score files instead",
        )
    return replace(spec, groups=(*spec.groups, by_column(by)))


def by_column(by: str) -> str:
    """Return the column of the periods as it is read: timestamps are cut to days by default."""
    whole = split_unit(by)[0] is not None or chunk_size(by) is not None
    return by if whole else f"{AUTO}:{by}"


def split(found: Gathered, by: str) -> tuple[Gathered, list[Slice]]:
    """Return what was gathered without the periods, and the periods in order."""
    name = by_column(by)
    own = [one for one in found.groups if one.column == name]
    rest = tuple(one for one in found.groups if one.column != name)
    params = {**found.params, "groups": [g for g in found.params["groups"] if g != name]}
    return replace(found, groups=rest, params=params), own


def series(
    periods: Sequence[Slice],
    by: str,
    conventions: Conventions,
    gates: Sequence[Gate],
    *,
    reference: Reference | None,
    labelled: bool,
    decisions: Mapping[str, Decided],
    applied: Applied | None,
    crossed: Crossed,
) -> tuple[Series, list[Warning]]:
    """Return the figures of each period, the first bad one, and what is to be said of it.

    Args:
        periods: in order, each a slice.
        by: the column.
        conventions: how to bin, the tolerance, how sure to be.
        gates: a period is bad where one of these fails; without any, the tolerance decides.
        reference: what drift is measured from, if anything.
        labelled: whether the rows have labels.
        decisions: what decisions are worth in a period; {} without thresholds.
        applied: these thresholds.
        crossed: what is known of groups, classes and a second model within periods.
    """
    warnings: list[Warning] = []
    missing = sum(one.population.pairs.n for one in periods if one.value == MISSING_GROUP)
    periods = [one for one in periods if one.value != MISSING_GROUP]
    if missing:
        text = f"{missing:,} rows without a value of {by} are in no period"
        warnings.append(Warning("periods", text))
    warnings += order_warnings(periods, by)
    both = labelled and reference is not None and reference.labelled
    raw = crossed.found.raw_scale is not None
    calibration = labelled and not raw  # what can be looked at without a gate
    tests = int(calibration) + int(reference is not None) + int(both)
    looks = max(len(periods) * tests, 1)
    level = (1.0 - (conventions.confidence or 0.95)) / looks
    usable = [gate for gate in gates if of_periods(gate, crossed)]
    looked = _Looks(usable, conventions, reference, calibration, level, looks)
    before = None if reference is None else _light(reference.population.pairs)
    rows = []
    for one in periods:
        moved = None
        if before is not None:
            moved = _drift(before, one.population.pairs, conventions, labelled=both)
        why = (
            failing(
                one, moved or {}, usable, conventions, decisions, applied, crossed,
                labelled=labelled,
            )
            if usable
            else looked.beyond(one, before)
        )  # fmt: skip
        parts = tuple(
            PeriodGroup(
                part.where,
                _metrics(part, conventions, labelled=labelled, raw=raw),
                crossed.decision_of(one.value, part),
            )
            for part in crossed.groups_of(one.value)
        )
        rows.append(
            Period(
                value=one.value,
                metrics=_metrics(one, conventions, labelled=labelled, raw=raw),
                drift=moved,
                bad=bool(why),
                why=tuple(why),
                changed=_changed(moved or {}, level),
                decision=decisions.get(one.value),
                groups=parts or None,
            )
        )
    bad = [row.value for row in rows if row.bad]
    changed_at = [row.value for row in rows if row.changed]
    result = Series(
        by=by,
        looks=looks,
        level=level,
        rule=looked.rule if usable or not raw or reference is not None else _RAW_RULE,
        limits=looked.limits,
        first_bad=bad[0] if bad else None,
        first_changed=changed_at[0] if changed_at else None,
        metrics={"bad": Figure(len(bad)), "changed": Figure(len(changed_at))},
        periods=tuple(rows),
    )
    return result, list(dict.fromkeys(warnings))


def _changed(moved: Mapping[str, Compared], level: float) -> tuple[str, ...]:
    """Return the tests against the reference that tell a change at a level."""
    found = []
    for name, one in moved.items():
        p = one.value if name == "reliability_p" else one.p if name == "psi" else UNSET
        if p is not UNSET and p is not None and p < level:
            found.append(name)
    return tuple(found)


def order_warnings(periods: Sequence[Slice], by: str) -> list[Warning]:
    """Return a warning where nobody can tell the order of periods."""
    if all(_ordered(one.value) for one in periods):
        return []
    text = f"the values of {by} are neither dates nor numbers: in order of their text"
    return [Warning("periods", text)]


def _ordered(value: str) -> bool:
    if _DATE.fullmatch(value):
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True


def _light(stats: ScoreStats) -> ScoreStats:
    """Return statistics small enough to be compared with hundreds of periods."""
    return stats if len(stats.key) <= _MOST_CELLS else stats.coarsened(_BITS)


def _metrics(
    one: Slice, conventions: Conventions, *, labelled: bool, raw: bool
) -> dict[str, Figure]:
    view = View(one.population.pairs, conventions.headline)
    several = one.population.exclusive
    names: tuple[str, ...] = _RANKING if raw else _CONFIDENCE if several else _BINARY
    if not labelled:
        names = ("n",) if raw else ("n", "mean_score")
    found = found_of(view, conventions, names)
    shown = {"prevalence": "accuracy"} if several else {}
    return {shown.get(name, name): figure(own) for name, own in found.items()}


def _drift(
    before: ScoreStats, now: ScoreStats, conventions: Conventions, *, labelled: bool
) -> dict[str, Compared]:
    found = distances(before, now, conventions.confidence or 0.95)
    if labelled:
        found["reliability_p"] = reliability(before, now)
    return found


@dataclass(frozen=True, slots=True)
class _Looks:
    """When a period is bad: where one of the gates fails, or surely beyond the tolerance.

    Attributes:
        gates: those that are evaluated in each period.
        conventions: the tolerance, the bins.
        reference: what drift is measured from, if anything.
        calibration: whether there are labels and probabilities.
        level: of each of so many `looks`.
    """

    gates: Sequence[Gate]
    conventions: Conventions
    reference: Reference | None
    calibration: bool
    level: float
    looks: int

    def beyond(self, one: Slice, before: ScoreStats | None) -> list[str]:
        """Return what is surely beyond the tolerance in a period."""
        why, level = [], self.level
        stats = one.population.pairs
        if self.calibration and stats.n:
            ece = ece_sum(View(stats, self.conventions.headline))
            if exceeds_p(ece.gaps, ece, self.conventions.tolerance) < level:
                why.append("ece")
        if (
            before is not None
            and stats.n
            and psi(before, stats, confidence=1 - 2 * level).low > FAR
        ):
            why.append("psi")
        return why

    @property
    def limits(self) -> dict[str, float]:
        """What ECE and PSI are held against: the tolerance and `FAR`, or what gates say."""
        if self.gates:
            found: dict[str, float] = {}
            for gate in self.gates:
                match = _LIMITED.fullmatch(gate.subject)
                if match is not None:
                    name = match.group("figure")
                    found[name] = min(gate.target, found.get(name, gate.target))
            return found
        own = {"ece": self.conventions.tolerance} if self.calibration else {}
        return own if self.reference is None else {**own, "psi": FAR}

    @property
    def rule(self) -> str:
        """In words when a period is bad."""
        if self.gates:
            said = " or ".join(gate.expr for gate in self.gates)
            return f"bad where {said}; a plain value may be so by chance, in small periods most"
        parts = []
        if self.calibration:
            tolerance = self.conventions.tolerance
            parts.append(f"ECE is surely above the tolerance of {tolerance:g}")
        if self.reference is not None:
            parts.append(f"PSI is surely above {FAR:g}")
        if not parts:
            return "nothing to judge by: neither labels nor a reference"
        each = f"each of {self.looks:,} looks at the level {self.level:.2g}"
        return f"bad where {' or '.join(parts)}; {each}"
