"""The cut-off and NMS IoU of a slice of boxes, as they stand in the JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.decisions.cross_fit import FOLDS, cross_fit, moved
from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.objectives import FIGURES, FP_PER_IMAGE, per_image
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.measure.decided.boxes import alarms_by_image
from calibcli.workflows.measure.slices import cut_table
from calibcli.workflows.threshold.boxes.sought import best_of, boxes_of, reason
from calibcli.workflows.threshold.choosing import Chosen, Picked
from calibcli.workflows.threshold.describing import NEVER, nothing, resample
from calibcli.workflows.threshold.honest import apply_ends, honest, with_move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.cross_fit import CrossFitted, Place
    from calibcli.core.decisions.objectives import Constraint, Objective
    from calibcli.core.decisions.thresholds import Curve
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.boxes.sought import Sought
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
_SHOWN = ("precision", "recall", "f1")


def undescribed(where: Result, each: Sequence[Population], _: int) -> Chosen:
    """Return what stands for a slice without objects, or without boxes, whatever the resamples."""
    return nothing(where, each[0].pairs, reason(each[0]), n=0)


def described(one: Sought, wish: Wish, conventions: Conventions, draws: int) -> Chosen:
    """Return the cut-off of a slice as it stands in the JSON; one above every score if refused."""
    best, level = one.best(wish.objective), conventions.confidence if draws else None
    setting = 0 if best is None else best[0]
    found, stats = one.each[setting], one.family.settings[setting][0]
    threshold = NEVER if best is None else plain(best[1].threshold)
    value = {"value": None if best is None else best[1].value, "low": None, "high": None}
    item: Result = {
        "slice": one.where,
        "threshold": threshold,
        "threshold_low": None,
        "threshold_high": None,
        "nms_iou": one.limits[setting] if one.limits else None,
        "n": found.pairs.n,
        "value": value,
        "confusion": cut_table(found, threshold, replace(conventions, confidence=level)),
    }
    if best is None:
        nearest = next(choice for choice in one.choices if isinstance(choice, Unreachable))
        reason = f"the target is not met: {nearest.nearest()}"
        return Chosen({**item, "reason": reason}, one.family.curves[setting])
    if level is not None:
        resample(item, Picked(one.family.curves[setting], best[1], None, stats, lowest=LOWEST),
                 wish, conventions, draws)  # fmt: skip
        for name in ("threshold_low", "threshold_high"):
            item[name] = None if item[name] is None else plain(item[name])
    if level is not None and wish.guarantee is None:
        spread = None
        low, high = value["low"], value["high"]
        if low is not None and high is not None and wish.objective.name not in (*_SHOWN, "dice"):
            spread = best[1].value - low, high - best[1].value
        images = float(boxes_of(found).images)
        others = images * (1.0 - 1.0 / FOLDS)
        bounds = tuple(per_image(bound, others) for bound in wish.constraints)
        crossed = cross_fit(one.family, lambda curves: _again(curves, wish.objective, bounds))
        place = setting, best[1].index
        entry = honest(one.family, crossed, place, wish, level, images, spread, shown=_SHOWN)
        entry |= _alarms(one, crossed, place, wish, level)
        item["cross_fitted"] = entry
        apply_ends(item, entry)
    item |= {**_guarantee(one, setting, wish), **_searched(one)}
    return Chosen(item, one.family.curves[setting])


def _again(
    curves: Sequence[Curve], objective: Objective, bounds: tuple[Constraint, ...]
) -> tuple[int, Choice] | None:
    choices = [choose(curve, objective, bounds) for curve in curves]
    return best_of(choices, objective)


def _alarms(one: Sought, crossed: CrossFitted, place: Place, wish: Wish, level: float) -> Result:
    """Return false boxes an image of decisions that folds get from the others, where bounded."""
    bounds = [bound for bound in wish.constraints if bound.name == FP_PER_IMAGE]
    if not bounds or crossed.counts is None:
        return {}
    figure = alarms_by_image(Judged(crossed.counts), one.each[place[0]].extra, level)
    move = moved(one.family, crossed, place, bounds[0].function)
    return {FP_PER_IMAGE: with_move(figure, move, level, share=False)}


def _guarantee(one: Sought, setting: int, wish: Wish) -> Result:
    sure, choice = one.promised[setting], one.choices[setting]
    if wish.guarantee is None or sure is None or isinstance(choice, Unreachable):
        return {}
    among = one.family.curves[setting].threshold[sure.allowed]
    means = sure.at(choice.index, wish.constraints)
    names = [constraint.name for constraint in wish.constraints]
    clipped = {"most": sure.table.alarms, "clipped": means.clipped}
    return {
        "guarantee": {
            "confidence": wish.guarantee,
            "constraints": [str(c) for c in wish.constraints],
            "low": plain(float(among[0])),
            "high": float(among[-1]),
            "unit": "image",
            "images": means.having,
            "mean_precision": means.precision,
            "units": means.units,
            "means": dict(zip(names, means.means, strict=True)),
            **(clipped if FP_PER_IMAGE in names else {}),
        }
    }


def _searched(one: Sought) -> Result:
    if len(one.choices) < 2:
        return {}
    found = []
    for nms, choice in zip(one.limits, one.choices, strict=True):
        entry: Result = {"nms_iou": nms}
        if isinstance(choice, Unreachable):
            entry |= dict.fromkeys(("threshold", "value", "precision", "recall"))
        else:
            entry |= {
                "threshold": plain(choice.threshold),
                "value": choice.value,
                "precision": choice.confusion.figure(FIGURES["precision"]),
                "recall": choice.confusion.figure(FIGURES["recall"]),
            }
        found.append(entry)
    return {"searched": found}


def plain(threshold: float) -> float:
    """Return a cut-off as it is written: the least one stands for every box."""
    return 0.0 if threshold <= LOWEST else threshold
