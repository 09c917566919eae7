"""`measure --by COL`: the same figures for each period in order, and the first bad one.

Many periods are many looks. Each test is read at the level of one look in all of them
(Bonferroni), so that a series without any change shows a bad period no more often than one look
would.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.comparison.drift import jensen_shannon, ks, psi
from calibcli.core.comparison.reliability_test import reliability_p
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.inversion import exceeds_p
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.io.rows.keys import MISSING_GROUP
from calibcli.io.rows.periods import AUTO, chunk_size, split_unit
from calibcli.workflows.input.gather import reads_stats
from calibcli.workflows.measure.period_gates import failing, of_periods

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.gates import Gate
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.measure.compared.reference import Reference
    from calibcli.workflows.measure.crossed import Crossed
    from calibcli.workflows.measure.decided.applied import Applied

Result = dict[str, Any]
FAR = 0.2
"""PSI from which scores have moved far, by the usual rule of thumb."""
_MOST_CELLS = 4096
_BITS = 8
_BINARY = ("n", "prevalence", "mean_score", "ece", "brier", "nll", "auc")
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
    decisions: Mapping[str, Result],
    applied: Applied | None,
    crossed: Crossed,
) -> tuple[Result, list[Warning]]:
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
    tests = int(labelled) + int(reference is not None) + int(both)
    looks = max(len(periods) * tests, 1)
    level = (1.0 - (conventions.confidence or 0.95)) / looks
    usable = [gate for gate in gates if of_periods(gate, crossed)]
    before = None if reference is None else _light(reference.population.pairs)
    rows = []
    for one in periods:
        row: Result = {"value": one.value}
        row["metrics"] = _metrics(one, conventions, labelled=labelled)
        if before is not None:
            row["drift"] = _drift(before, one.population.pairs, conventions, labelled=both)
        why = (
            failing(one, row, usable, conventions, decisions, applied, crossed, labelled=labelled)
            if usable
            else _beyond(one, before, conventions, level, labelled=labelled)
        )
        moved = row.get("drift") or {}
        changed = [
            name
            for name, key in (("psi", "p"), ("reliability_p", "value"))
            if (moved.get(name) or {}).get(key) is not None and moved[name][key] < level
        ]
        row |= {"bad": bool(why), "why": why, "changed": changed}
        if row["value"] in decisions:
            row["decision"] = decisions[row["value"]]
        parts = [
            _group(part, crossed.decision_of(one.value, part), conventions, labelled=labelled)
            for part in crossed.groups_of(one.value)
        ]
        row |= {"groups": parts} if parts else {}
        rows.append(row)
    bad = [row["value"] for row in rows if row["bad"]]
    changed_at = [row["value"] for row in rows if row["changed"]]
    result: Result = {
        "by": by,
        "looks": looks,
        "level": level,
        "rule": _rule(usable, conventions, level, looks, reference, labelled=labelled),
        "limits": _limits(usable, conventions, reference, labelled=labelled),
        "first_bad": bad[0] if bad else None,
        "first_changed": changed_at[0] if changed_at else None,
        "metrics": {"bad": _count(bad), "changed": _count(changed_at)},
        "periods": rows,
    }
    return result, list(dict.fromkeys(warnings))


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


def _count(values: list[str]) -> Result:
    return {"value": len(values), "low": None, "high": None}


def _metrics(one: Slice, conventions: Conventions, *, labelled: bool) -> Result:
    view = View(one.population.pairs, conventions.headline)
    several = one.population.exclusive
    names: tuple[str, ...] = _CONFIDENCE if several else _BINARY
    if not labelled:
        names = ("n", "mean_score")
    found = intervals.measure(
        view, confidence=conventions.confidence, seed=conventions.seed, names=names
    )
    rows: Result = {}
    for name, (value, low, high, reason) in found.items():
        shown = "accuracy" if several and name == "prevalence" else name
        rows[shown] = {"value": value, "low": low, "high": high}
        if reason is not None:
            rows[shown]["reason"] = reason
    return rows


def _group(
    one: Slice, decision: Result | None, conventions: Conventions, *, labelled: bool
) -> Result:
    """Return the figures of a group within a period."""
    told = {"slice": one.where, "metrics": _metrics(one, conventions, labelled=labelled)}
    return told if decision is None else told | {"decision": decision}


def _drift(
    before: ScoreStats, now: ScoreStats, conventions: Conventions, *, labelled: bool
) -> Result:
    found: Result = {}
    level = conventions.confidence or 0.95
    for name, distance in (("psi", psi), ("ks", ks), ("js", jensen_shannon)):
        try:
            found[name] = distance(before, now, confidence=level).to_dict()
        except Undefined as undefined:
            found[name] = {"value": None, "low": None, "high": None, "reason": str(undefined)}
    if labelled:
        curve: Result = {"value": None, "low": None, "high": None}
        try:
            curve["value"] = reliability_p(before, now)
        except Undefined as undefined:
            curve["reason"] = str(undefined)
        found["reliability_p"] = curve
    return found


def _beyond(
    one: Slice,
    before: ScoreStats | None,
    conventions: Conventions,
    level: float,
    *,
    labelled: bool,
) -> list[str]:
    """Return what is surely beyond the tolerance in a period."""
    why = []
    stats = one.population.pairs
    if labelled and stats.n:
        ece = ece_sum(View(stats, conventions.headline))
        if exceeds_p(ece.gaps, ece, conventions.tolerance) < level:
            why.append("ece")
    if before is not None and stats.n and psi(before, stats, confidence=1 - 2 * level).low > FAR:
        why.append("psi")
    return why


def _limits(
    gates: Sequence[Gate],
    conventions: Conventions,
    reference: Reference | None,
    *,
    labelled: bool,
) -> Result:
    """Return what ECE and PSI are held against: the tolerance and `FAR`, or what gates say."""
    if gates:
        found: Result = {}
        for gate in gates:
            match = _LIMITED.fullmatch(gate.subject)
            if match is not None:
                name = match["figure"]
                found[name] = min(gate.target, found.get(name, gate.target))
        return found
    own = {"ece": conventions.tolerance} if labelled else {}
    return own if reference is None else {**own, "psi": FAR}


def _rule(
    gates: Sequence[Gate],
    conventions: Conventions,
    level: float,
    looks: int,
    reference: Reference | None,
    *,
    labelled: bool,
) -> str:
    """Return in words when a period is bad."""
    if gates:
        said = " or ".join(gate.expr for gate in gates)
        return f"bad where {said}; a plain value may be so by chance, in small periods most"
    parts = []
    if labelled:
        parts.append(f"ECE is surely above the tolerance of {conventions.tolerance:g}")
    if reference is not None:
        parts.append(f"PSI is surely above {FAR:g}")
    if not parts:
        return "nothing to judge by: neither labels nor a reference"
    return f"bad where {' or '.join(parts)}; each of {looks:,} looks at the level {level:.2g}"
