"""Whether a fresh dump still looks like the rows that the champion was fitted on."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.evidence import (
    effective_rows,
    label_evidence,
    require_both_classes,
    require_two_classes,
)
from calibcli.core.comparison.beyond_chance import Ranks, auc_beyond
from calibcli.core.comparison.promotion import Check, class_psi, odds_ratio
from calibcli.core.metrics.binary import Undefined, View, auc
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats
from calibcli.io.artifacts.stats import stats_from_dict
from calibcli.io.failures import listing
from calibcli.tasks.families import STATS_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.comparison.promotion import Rule
    from calibcli.workflows.input.gathered import Gathered


def checks_of(found: Gathered, known: Mapping[str, Any] | None, rule: Rule) -> list[Check]:
    """Return what is checked of a dump before anything is fitted to it.

    `known` are the statistics that the champion carries; None on a first run.

    Raises:
        InputError: rows of one class only.
    """
    population = found.overall.population
    least = rule.least_of_a_label(exclusive=found.exclusive)
    if found.exclusive:
        rows = effective_rows(population.pairs)
        of_label = [label_evidence(one)[0] for one in population.classes]
        require_two_classes(np.array(of_label, dtype=np.float64))
        which = "class"
    else:
        problems = population.classes or (population.pairs,)
        for stats in problems if found.single else ():
            require_both_classes(stats)
        rows = effective_rows(problems[0])
        of_label = [min(label_evidence(one)) for one in problems]
        which = "label"
    # Importance weights are what they are worth in rows, or their unit would pass the guards.
    rows, rarest = _number(rows), _number(min(of_label))
    checks = [
        Check(
            "rows",
            rows,
            rule.min_rows,
            rows >= rule.min_rows,
            f"{rows:,g} rows, fewer than --min-rows {rule.min_rows:,}",
        ),
        Check(
            "positives",
            rarest,
            least,
            rarest >= least,
            f"{rarest:,g} rows of the rarest {which}, fewer than --min-positives {least:,}",
        ),
    ]
    shifts = [] if known is None else shift_checks(found, known, rule)
    return checks + shifts + _ranked(found, rule, first=known is None)


def _ranked(found: Gathered, rule: Rule, *, first: bool) -> list[Check]:
    """Return whether the scores rank the labels beyond chance.

    Of several labels it is enough that one is ranked; of several classes none may be ranked the
    wrong way, as where their columns are in another order. A first run is told also that they do:
    nothing else stands there for the shift.
    """
    if rule.auc == float("inf"):
        return []
    population = found.overall.population
    problems = population.classes or (population.pairs,)
    ranks = Ranks.of(problems, exclusive=found.exclusive)
    value, backwards = ranks.value, ranks.backwards if found.exclusive else ()
    passed = value is not None and value > 0.5 and ranks.beyond and not backwards
    if passed and not first:
        return []
    area = "undefined" if value is None else f"{value:.3g}"
    if backwards:
        named = listing([found.classes[k] for k in backwards])
        said = f"the scores do not rank the labels: those of {named} rank them the wrong way"
    else:
        said = f"the scores do not rank the labels: AUC {area}, not above 0.5 beyond its interval"
    return [Check("first_auc" if first else "ranks", value, 0.5, passed, said)]


def _number(rows: float) -> int | float:
    return int(rows) if rows == int(rows) else rows


def shift_checks(found: Gathered, known: Mapping[str, Any], rule: Rule) -> list[Check]:
    """Compare scores and label frequencies with the statistics that the champion carries.

    Scores are those of binary rows, or the confidences of several classes, or the scores of all
    labels together. Labels are compared by the odds of label 1 (the most changed label of
    several), or by the PSI of class frequencies, which has the limit of the scores; both PSI are
    less what chance alone makes. What the scores say about the labels is compared by the AUC (of
    several classes by the accuracy, and by the AUC of each class beyond chance).

    Raises:
        InputError: statistics that are damaged.
    """
    before, classes = _read(known)
    own = found.overall.population
    scores = _psi(before, own.pairs)
    found_checks = [_check("psi", scores, "psi", rule.psi, "the scores have shifted: PSI")]
    if found.exclusive:
        change = _accuracy(before, own.pairs)
        found_checks.append(_labels(classes, found, rule))
        said = "the accuracy has changed by"
        found_checks.append(_check("accuracy", change, "auc", rule.auc, said))
        return found_checks + _class_ranks(classes, found, rule)
    now = own.classes or (own.pairs,)
    was = classes or ([] if before is None else [before])
    pairs = list(zip(now, was, strict=True)) if len(now) == len(was) else []
    odds = max((odds_ratio(label_evidence(a), label_evidence(b)) for a, b in pairs), default=None)
    aucs = [(_auc(a), _auc(b)) for a, b in pairs]
    moved = [abs(a - b) for a, b in aucs if a is not None and b is not None]
    change = max(moved) if moved and len(moved) == len(pairs) else None
    said = "the odds of label 1 have changed by"
    found_checks.append(_check("odds", odds, "odds", rule.odds, said))
    return [*found_checks, _check("auc", change, "auc", rule.auc, "the AUC has changed by")]


def _read(stats: Mapping[str, Any]) -> tuple[ScoreStats | None, list[ScoreStats] | None]:
    """Return the champion's pairs, all together, and its classes."""
    if "pairs" in stats:
        return stats_from_dict(stats["pairs"]), None
    classes = [stats_from_dict(one) for one in stats.get("classes", ())]
    top = [stats_from_dict(one) for one in stats.get("top", ())]
    pooled = top or classes
    return reduce(lambda a, b: a.merge(b), pooled) if pooled else None, classes or None


def _psi(before: ScoreStats | None, now: ScoreStats) -> float | None:
    from calibcli.core.comparison.drift import psi

    if before is None:
        return None
    try:
        found = psi(before, now)
    except Undefined:
        return None
    if now.parts is not None and len(np.unique(now.parts.slot)) < 2:
        # All units alike (images of equal scores are one) leave nothing to tell chance by.
        return found.value
    # Small or clustered dumps differ by chance: that is no shift.
    return max(found.value - found.expected, 0.0)


def _auc(stats: ScoreStats) -> float | None:
    try:
        return auc(View(stats, Binning()))
    except Undefined:
        return None


def _accuracy(before: ScoreStats | None, now: ScoreStats) -> float | None:
    """Return by how much the share of right predictions has changed; pairs are (score, right)."""
    if before is None or not before.n or not now.n:
        return None
    return abs(float(now.positives / now.n) - float(before.positives / before.n))


def _class_ranks(before: list[ScoreStats] | None, found: Gathered, rule: Rule) -> list[Check]:
    """Hold the AUC of each class against the rest: of rare classes the accuracy tells little.

    A change counts as far as chance does not explain it, as that of a group does.
    """
    now = found.overall.population.classes
    if before is None or len(before) != len(now):
        return []
    level = 1.0 - (1.0 - rule.confidence) / len(now)
    changes = [auc_beyond(then, own, level) or 0.0 for then, own in zip(before, now, strict=True)]
    worst = max(range(len(now)), key=changes.__getitem__)
    said = f"the AUC of {found.classes[worst]} has changed by"
    return [_check("class_auc", changes[worst], "auc", rule.auc, said)]


def _labels(before: list[ScoreStats] | None, found: Gathered, rule: Rule) -> Check:
    said = "the classes have shifted: PSI"
    if before is None and len(found.classes) > STATS_CLASSES:
        # Of so many classes a calibrator carries no frequencies; their scores are still compared.
        return Check("class_psi", None, rule.psi, True, "")
    value = None
    if before is not None:
        now = found.overall.population.classes
        value = class_psi(*(np.array([label_evidence(one)[0] for one in k]) for k in (now, before)))
    return _check("class_psi", value, "psi", rule.psi, said)


def _check(name: str, value: float | None, option: str, limit: float, said: str) -> Check:
    if limit == float("inf"):
        return Check(name, value, limit, True, "")
    if value is None:
        words = f"the champion carries no statistics to compare with: --max-shift {option}=inf"
        return Check(name, None, limit, False, words)
    text = f"{said} {value:.3g}, above --max-shift {option}={limit:g}"
    return Check(name, value, limit, value <= limit, text)
