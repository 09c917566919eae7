"""Whether each group of a fresh dump still looks like the rows that its map was fitted on."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.comparison.beyond_chance import (
    auc_beyond,
    odds_beyond,
    psi_beyond,
    rate_beyond,
)
from calibcli.core.comparison.promotion import Check
from calibcli.core.results.base import plain
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.core.results.reading import typed_as
from calibcli.tasks.families import population_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from calibcli.core.comparison.promotion import Rule
    from calibcli.core.results.promotion import GroupKept
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.gathered import Gathered

    Change = Callable[[ScoreStats, ScoreStats, float], float | None]

SAID = {
    "psi": "the scores have shifted: PSI",
    "odds": "the odds of label 1 have changed by",
    "auc": "the AUC has changed by",
    "accuracy": "the accuracy has changed by",
}


def enough(population: Population, least: int) -> bool:
    """Return whether a group's rows suffice to be held against those before them."""
    if population.exclusive:
        return float(population.pairs.n) >= least * len(population.classes)
    problems = population.classes or (population.pairs,)
    return min(min(label_evidence(one)) for one in problems) >= least


def stats_of_groups(stored: StoredCalibrator, column: str) -> dict[str, dict[str, Any]]:
    """Return the statistics that a calibrator carries of each value's rows."""
    return {
        str(one.slice.value): one.stats
        for one in stored.groups
        if one.slice.column == column and one.stats is not None
    }


def with_kept(
    payload: dict[str, Any], kept: Sequence[GroupKept], stored: StoredCalibrator
) -> dict[str, Any]:
    """Return a new artifact in which groups that keep their map have the statistics that it had."""
    slices = {one.slice for one in kept}
    groups = {one.slice: one for one in typed_as(payload, StoredCalibrator).groups}
    for one in stored.groups:
        if one.slice in slices:
            groups[one.slice] = structs.replace(one, weight=1.0, note="kept")
    ordered = sorted(groups.values(), key=lambda one: str(one.slice.value))
    return payload | {"groups": plain(ordered)}


def group_checks(
    found: Gathered,
    column: str,
    known: Mapping[str, Mapping[str, Any]],
    rule: Rule,
) -> list[Check]:
    """Hold each group against the statistics that its map carries; the worst change is told.

    What is held against a limit is the end of the interval that lies nearest to no change; the
    intervals of all groups, labels and figures hold together. Groups of too few rows, now or then,
    and new ones are not checked.

    Args:
        found: the dump.
        column: the group column.
        known: saved statistics of each value's rows.
        rule: the limits.

    Raises:
        InputError: statistics that are damaged.
    """
    least = rule.least_of_a_label(exclusive=found.exclusive)
    checks = _known_groups(found, column, known, rule)
    pairs: list[tuple[str, ScoreStats, ScoreStats]] = []
    for one in found.groups:
        if one.column != column or one.value not in known:
            continue
        then = population_of(found.task, dict(known[one.value]))
        if enough(one.population, least) and enough(then, least):
            # Of very many labels a calibrator carries the pairs of all of them together.
            both = zip(_problems(then), _problems(one.population), strict=False)
            pairs += [(one.value, *problem) for problem in both]
    if not pairs:
        return checks
    kinds: dict[str, tuple[Change, float]] = {"psi": (psi_beyond, rule.psi)}
    if found.exclusive:
        kinds |= {"accuracy": (rate_beyond, rule.auc)}
    else:
        kinds |= {"odds": (odds_beyond, rule.odds), "auc": (auc_beyond, rule.auc)}
    level = 1.0 - (1.0 - rule.confidence) / (len(kinds) * len(pairs))
    for name, (change, limit) in kinds.items():
        worst = max(
            ((value, change(then, now, level) or 0.0) for value, then, now in pairs),
            key=lambda one: one[1],
        )
        checks.append(_check(name, column, *worst, limit))
    return checks


def _known_groups(
    found: Gathered, column: str, known: Mapping[str, Mapping[str, Any]], rule: Rule
) -> list[Check]:
    """Return whether most rows are of groups that are known: or they are named otherwise."""
    own = [one for one in found.groups if one.column == column]
    rows = sum(float(one.population.pairs.n) for one in own)
    if not known or rows <= 0.0 or rule.psi == float("inf"):
        return []
    new = sum(float(one.population.pairs.n) for one in own if one.value not in known)
    share = new / rows
    said = f"{share:.0%} of the rows are of values of {column} that are new"
    said = f"{said}, more than half: --max-shift psi=inf lets them"
    return [Check("group_new", share, 0.5, share <= 0.5, said)]


def _problems(population: Population) -> list[ScoreStats]:
    """Return the pairs that are compared: of each label, or of the predicted class."""
    if population.exclusive:
        own = population.top or (population.pairs,)
        return [reduce(lambda a, b: a.merge(b), own)]
    return list(population.classes or (population.pairs,))


def _check(name: str, column: str, value: str, change: float, limit: float) -> Check:
    option = "auc" if name == "accuracy" else name
    said = (
        f"{column}={value}: {SAID[name]} {change:.3g} or more, above --max-shift {option}={limit:g}"
    )
    return Check(f"group_{name}", change, limit, change <= limit, said)
