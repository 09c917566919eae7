"""`measure --reference`: what has drifted, with labels and without, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.comparison.change import (
    Change,
    Estimate,
    change,
    difference,
    freedom,
    recalibration_changes,
)
from calibcli.core.comparison.drift import Distance, jensen_shannon, ks, psi, psi_of
from calibcli.core.comparison.norm_change import norm_change
from calibcli.core.comparison.reliability_test import reliability_p
from calibcli.core.comparison.shared_bins import Shares
from calibcli.core.comparison.unlabelled import expected, prevalence
from calibcli.core.metrics import multiclass
from calibcli.core.metrics.binary import METRICS, Undefined, View
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.joint import Joint
from calibcli.workflows.input.gathered import one_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.measure.compared.reference import Reference

Result = dict[str, Any]
ASSUMPTIONS = {
    "expected_accuracy, expected_brier, expected_ece": (
        "labels follow the scores as in the reference; only the scores have moved"
    ),
    "estimated_prevalence": (
        "scores follow the labels as in the reference; only the mix of labels has moved"
    ),
}
_LARGE, _SMALL = 0.2, 0.1


def drift(found: Gathered, reference: Reference, conventions: Conventions) -> Result:
    """Return how far the rows are from the reference: the "drift" of a measure result."""
    labelled = found.labelled and reference.labelled
    population = found.overall.population
    metrics = compared(reference.population, population, conventions, reference, labelled=labelled)
    result: Result = {
        "reference": reference.to_dict(),
        "labelled": labelled,
        "metrics": metrics,
        "classes": _classes(found, reference, conventions, labelled=labelled),
    }
    after, before = found.overall.calibrated, reference.calibrated
    if after is not None and before is not None:
        result["calibrated"] = {
            "metrics": compared(before, after, conventions, reference, labelled=labelled)
        }
    result["assumptions"] = {
        names: text
        for names, text in ASSUMPTIONS.items()
        if any((metrics.get(name) or {}).get("value") is not None for name in names.split(", "))
    }
    result["verdict"] = verdict(metrics, conventions)
    return result


def compared(
    before: Population,
    now: Population,
    conventions: Conventions,
    reference: Reference,
    *,
    labelled: bool,
) -> Result:
    """Return every figure of the change from one population to another."""
    a, b = View(before.pairs, conventions.headline), View(now.pairs, conventions.headline)
    level = conventions.confidence
    found: Result = _distances(before.pairs, now.pairs, level)
    if now.exclusive:
        found["class_psi"] = _mix(before, now, level)
    found["mean_score"] = change("mean_score", a, b, level).to_dict()
    if reference.labelled:
        guesses = expected(
            before.pairs,
            now.pairs,
            conventions.headline,
            threshold=None if now.exclusive else conventions.thresholds[0],
            confidence=level,
        )
        if now.exclusive:  # of the confidence, where Brier is a sum over classes
            del guesses["expected_brier"]
        if now.single:
            guesses |= prevalence(before.pairs, now.pairs, level)
        found |= {name: guess.to_dict() for name, guess in guesses.items()}
    if labelled:
        found |= _changes(before, now, a, b, conventions)
    return found


def _distances(before: ScoreStats, now: ScoreStats, level: float | None) -> Result:
    measures: dict[str, Callable[..., Distance]] = {"psi": psi, "ks": ks, "js": jensen_shannon}
    found: Result = {}
    for name, measure in measures.items():
        try:
            one = measure(before, now, confidence=level or 0.95).to_dict()
        except Undefined as undefined:
            found[name] = {"value": None, "low": None, "high": None, "reason": str(undefined)}
        else:
            found[name] = one if level is not None else one | {"low": None, "high": None}
    return found


def _mix(before: Population, now: Population, level: float | None) -> Result:
    """Return the PSI of how often each class is predicted."""
    if len(before.top) != len(now.top) or not before.pairs.n or not now.pairs.n:
        reason = "the reference does not keep how often each class is predicted"
        return {"value": None, "low": None, "high": None, "reason": reason}
    shares, rows = [], []
    for one in (before, now):
        counts = [float(stats.n) for stats in one.top]
        total = sum(counts)
        shares.append([count / total for count in counts])
        squares = one.pairs.table.pos_sq, one.pairs.table.neg_sq
        kish = sum(float(column.sum()) for column in squares if column is not None)
        rows.append(total**2 / kish if kish else total)
    p, q = (np.array(share) for share in shares)
    used = (p > 0) | (q > 0)
    return psi_of(Shares(p[used], q[used], rows[0], rows[1]), level or 0.95).to_dict()


def _changes(
    before: Population, now: Population, a: View, b: View, conventions: Conventions
) -> Result:
    """Return what the labels of both samples tell, in display order."""
    level = conventions.confidence
    several = now.exclusive
    share = "accuracy" if several else "prevalence"
    found = {share: change("prevalence", a, b, level), "ece": _ece(a, b, conventions)}
    for name in ("brier", "nll"):
        one = _summed(name, before, now, conventions) if several else change(name, a, b, level)
        found[name] = one
    if not several:
        found["auc"] = change("auc", a, b, level)
    fits = recalibration_changes(before.pairs, now.pairs, level)
    joint = fits.pop("recalibration_p")
    result = {name: one.to_dict() for name, one in (found | fits).items()}
    result["recalibration_p"] = _test(joint.p, joint.reason)
    try:
        result["reliability_p"] = _test(reliability_p(before.pairs, now.pairs), None)
    except Undefined as undefined:
        result["reliability_p"] = _test(None, str(undefined))
    return result


def _test(p: float | None, reason: str | None) -> Result:
    found: Result = {"value": p, "low": None, "high": None}
    return found if reason is None else found | {"reason": reason}


def _ece(a: View, b: View, conventions: Conventions) -> Change:
    for view, where in ((a, " in the reference"), (b, "")):
        if not view.stats.n:
            return Change(reason=f"no rows{where}")
    values = METRICS["ece"](a), METRICS["ece"](b)
    if conventions.confidence is None:
        return Change(*values)
    return norm_change(ece_sum(a), ece_sum(b), values, conventions.confidence)


def _summed(name: str, before: Population, now: Population, conventions: Conventions) -> Change:
    """Return the change of a score that sums over classes."""
    if len(before.classes) != len(now.classes):
        return Change(reason="the reference does not keep the statistics of each class")
    sides = []
    for one in (before, now):
        views = [View(stats, conventions.headline) for stats in one.classes]
        if not one.pairs.n:
            return Change(reason="no rows")
        value, spread = multiclass.summed(
            name, views, Joint(one.pairs.parts is not None, one.rows, one.losses)
        )
        sides.append(Estimate(value, spread.variance, freedom(one.classes[0])))
    return difference(sides[0], sides[1], conventions.confidence)


def _classes(
    found: Gathered, reference: Reference, conventions: Conventions, *, labelled: bool
) -> list[Result]:
    """Return the drift of each class's scores against the rest, where the reference keeps them."""
    if len(reference.population.classes) != len(found.classes):
        return []
    rows = []
    level = conventions.confidence
    for k, one in enumerate(found.class_slices):
        before, now = one_class(reference.population, k).pairs, one.population.pairs
        a, b = View(before, conventions.headline), View(now, conventions.headline)
        metrics = _distances(before, now, level)
        metrics["mean_score"] = change("mean_score", a, b, level).to_dict()
        if labelled:
            metrics["prevalence"] = change("prevalence", a, b, level).to_dict()
            metrics["ece"] = _ece(a, b, conventions).to_dict()
            metrics["brier"] = change("brier", a, b, level).to_dict()
        rows.append({"slice": one.where, "metrics": metrics})
    return rows


def verdict(metrics: Result, conventions: Conventions) -> str:
    """Return in words whether the scores have moved, and whether labels still follow them."""
    alpha = 1.0 - (conventions.confidence or 0.95)
    said = []
    shift = metrics["psi"]
    if shift["value"] is None:
        said.append(f"the scores cannot be compared: {shift['reason']}")
    elif shift["p"] < alpha:
        above = shift["value"] - shift["expected"]
        size = "far" if above > _LARGE else "somewhat" if above > _SMALL else "a little"
        said.append(
            f"the scores have moved {size}: PSI {shift['value']:.3g}, by chance "
            f"{shift['expected']:.2g} (p {_p(shift['p'])})"
        )
    else:
        said.append(
            f"the scores have not moved beyond chance: PSI {shift['value']:.3g}, by chance "
            f"{shift['expected']:.2g}"
        )
    curve = metrics.get("reliability_p")
    if curve is not None:
        if curve["value"] is None:
            said.append(f"the labels tell nothing: {curve['reason']}")
        elif curve["value"] < alpha:
            said.append(f"labels no longer follow the scores as they did (p {_p(curve['value'])})")
        else:
            said.append("labels follow the scores as they did, as far as these rows tell")
    return "; ".join(said)


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
