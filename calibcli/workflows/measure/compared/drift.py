"""`measure --reference`: what has drifted, with labels and without, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from calibcli.core.comparison.change import (
    Estimate,
    change,
    changed,
    difference,
    freedom,
    norm_change,
    recalibration_changes,
)
from calibcli.core.comparison.drift import Distance, jensen_shannon, ks, psi, psi_of
from calibcli.core.comparison.reliability_test import reliability_p
from calibcli.core.comparison.shared_bins import Shares
from calibcli.core.comparison.unlabelled import expected, prevalence
from calibcli.core.metrics import multiclass
from calibcli.core.metrics.binary import Undefined, View, ece
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.joint import Joint
from calibcli.core.results.comparisons import Compared, Drift, DriftedFigures, DriftedSlice
from calibcli.workflows.input.gathered import one_class
from calibcli.workflows.measure.compared.drift_raw import ranking_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.measure.compared.reference import Reference

Figures = dict[str, Compared]
ASSUMPTIONS = {
    "expected_accuracy, expected_brier, expected_ece": (
        "labels follow the scores as in the reference; only the scores have moved"
    ),
    "estimated_prevalence": (
        "scores follow the labels as in the reference; only the mix of labels has moved"
    ),
}
_LARGE, _SMALL = 0.2, 0.1
MOST_SLICES = 50
"""Groups up to which each is held against its own in the reference."""


def drift(found: Gathered, reference: Reference, conventions: Conventions) -> Drift:
    """Return how far the rows are from the reference: the "drift" of a measure result."""
    labelled = found.labelled and reference.labelled
    population = found.overall.population
    scale = found.raw_scale
    metrics = compared(
        reference.population, population, conventions, reference, labelled=labelled, scale=scale
    )
    after, before = found.overall.calibrated, reference.calibrated
    later = None
    if after is not None and before is not None:
        later = DriftedFigures(compared(before, after, conventions, reference, labelled=labelled))
    known = {name for name, one in metrics.items() if one.value is not None}
    return Drift(
        reference=reference.sample,
        labelled=labelled,
        metrics=metrics,
        classes=tuple(_classes(found, reference, conventions, labelled=labelled)),
        calibrated=later,
        assumptions={k: v for k, v in ASSUMPTIONS.items() if known & set(k.split(", "))},
        verdict=verdict(metrics, conventions),
        groups=_groups(found, reference, conventions, labelled=labelled) or None,
    )


def compared(
    before: Population,
    now: Population,
    conventions: Conventions,
    reference: Reference,
    *,
    labelled: bool,
    scale: RawScale | None = None,
) -> Figures:
    """Return every figure of the change from one population to another.

    `scale` is that of raw scores, of which only those remain that need no probabilities.
    """
    a, b = View(before.pairs, conventions.headline), View(now.pairs, conventions.headline)
    level = conventions.confidence
    found = distances(before.pairs, now.pairs, level)
    if now.exclusive:
        found |= {"class_psi": _mix(before, now, level)}
    if scale is not None:
        found |= ranking_changes(
            before.pairs,
            now.pairs,
            conventions,
            scale,
            reference_labelled=reference.labelled,
            labelled=labelled,
            cut_exactly=reference.kind == "scores",
        )
        curve = {"reliability_p": reliability(before.pairs, now.pairs)} if labelled else {}
        return found | curve
    found |= {"mean_score": change("mean_score", a, b, level)}
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
        found |= guesses
    if labelled:
        found |= _changes(before, now, a, b, conventions)
    return found


def distances(before: ScoreStats, now: ScoreStats, level: float | None) -> Figures:
    """Return how far the scores of two samples are apart."""
    measures: dict[str, Callable[..., Distance]] = {"psi": psi, "ks": ks, "js": jensen_shannon}
    found: Figures = {}
    for name, measure in measures.items():
        try:
            one = measure(before, now, confidence=level or 0.95).told()
        except Undefined as undefined:
            found[name] = Compared(value=None, reason=str(undefined))
        else:
            found[name] = one if level is not None else replace(one, low=None, high=None)
    return found


def _mix(before: Population, now: Population, level: float | None) -> Compared:
    """Return the PSI of how often each class is predicted."""
    if len(before.top) != len(now.top) or not before.pairs.n or not now.pairs.n:
        reason = "the reference does not keep how often each class is predicted"
        return Compared(value=None, reason=reason)
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
    return psi_of(Shares(p[used], q[used], rows[0], rows[1]), level or 0.95).told()


def _changes(
    before: Population, now: Population, a: View, b: View, conventions: Conventions
) -> Figures:
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
    return {
        **found,
        **recalibration_changes(before.pairs, now.pairs, level),
        "reliability_p": reliability(before.pairs, now.pairs),
    }


def reliability(before: ScoreStats, now: ScoreStats) -> Compared:
    """Return the test of one reliability curve in two samples."""
    try:
        return Compared(value=reliability_p(before, now))
    except Undefined as undefined:
        return Compared(value=None, reason=str(undefined))


def _ece(a: View, b: View, conventions: Conventions) -> Compared:
    for view, where in ((a, " in the reference"), (b, "")):
        if not view.stats.n:
            return changed(reason=f"no rows{where}")
    values = ece(a), ece(b)
    if conventions.confidence is None:
        return changed(*values)
    return norm_change(ece_sum(a), ece_sum(b), values, conventions.confidence)


def _summed(name: str, before: Population, now: Population, conventions: Conventions) -> Compared:
    """Return the change of a score that sums over classes."""
    if len(before.classes) != len(now.classes):
        return changed(reason="the reference does not keep the statistics of each class")
    sides = []
    for one in (before, now):
        views = [View(stats, conventions.headline) for stats in one.classes]
        if not one.pairs.n:
            return changed(reason="no rows")
        value, spread = multiclass.summed(
            name, views, Joint(one.pairs.parts is not None, one.rows, one.losses)
        )
        sides.append(Estimate(value, spread.variance, freedom(one.classes[0])))
    return difference(sides[0], sides[1], conventions.confidence)


def _classes(
    found: Gathered, reference: Reference, conventions: Conventions, *, labelled: bool
) -> list[DriftedSlice]:
    """Return the drift of each class's scores against the rest, where the reference keeps them."""
    if len(reference.population.classes) != len(found.classes):
        return []
    rows = []
    level = conventions.confidence
    for k, one in enumerate(found.class_slices):
        before, now = one_class(reference.population, k).pairs, one.population.pairs
        a, b = View(before, conventions.headline), View(now, conventions.headline)
        moved = {"mean_score": change("mean_score", a, b, level)}
        if labelled:
            moved |= {
                "prevalence": change("prevalence", a, b, level),
                "ece": _ece(a, b, conventions),
                "brier": change("brier", a, b, level),
            }
        metrics = distances(before, now, level)
        metrics |= moved
        rows.append(DriftedSlice(one.where, metrics))
    return rows


def _groups(
    found: Gathered, reference: Reference, conventions: Conventions, *, labelled: bool
) -> tuple[DriftedSlice, ...]:
    """Return the drift of each group from the same group of the reference, if it has that."""
    known = {(one.column, one.value): one.population for one in reference.groups}
    if len(found.groups) > MOST_SLICES:
        return ()
    rows = []
    for one in found.groups:
        before, now = known.get((one.column, one.value)), one.population
        if before is not None:
            metrics = compared(
                before, now, conventions, reference, labelled=labelled, scale=found.raw_scale
            )
            rows.append(DriftedSlice(one.where, metrics))
    return tuple(rows)


def verdict(metrics: Figures, conventions: Conventions) -> str:
    """Return in words whether the scores have moved, and whether labels still follow them."""
    alpha = 1.0 - (conventions.confidence or 0.95)
    shift, curve = metrics["psi"], metrics.get("reliability_p")
    value, chance, p = shift.value, shift.expected or 0.0, shift.p or 0.0
    if value is None:
        said = [f"the scores cannot be compared: {shift.reason}"]
    elif p < alpha:
        above = value - chance
        size = "far" if above > _LARGE else "somewhat" if above > _SMALL else "a little"
        said = [
            f"the scores have moved {size}: PSI {value:.3g}, by chance {chance:.2g} (p {_p(p)})"
        ]
    else:
        said = [f"the scores have not moved beyond chance: PSI {value:.3g}, by chance {chance:.2g}"]
    if curve is not None and curve.value is None:
        said.append(f"the labels tell nothing: {curve.reason}")
    elif curve is not None and curve.value is not None and curve.value < alpha:
        said.append(f"labels no longer follow the scores as they did (p {_p(curve.value)})")
    elif curve is not None:
        said.append("labels follow the scores as they did, as far as these rows tell")
    return "; ".join(said)


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
