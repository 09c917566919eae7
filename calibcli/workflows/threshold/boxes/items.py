"""The cut-off and NMS IoU of a slice of boxes, and what they reach."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.core.decisions.cross_fit import FOLDS, cross_fit, moved
from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.objectives import FIGURES, FP_PER_IMAGE, per_image
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.core.results.figures import Figure
from calibcli.core.results.threshold import CutOff, Guarantee, Searched
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.measure.decided.boxes import alarms_by_image
from calibcli.workflows.measure.slices import cut_table
from calibcli.workflows.threshold.boxes.sought import best_of, boxes_of, reason
from calibcli.workflows.threshold.choosing import Chosen, Picked
from calibcli.workflows.threshold.describing import NEVER, nothing, resample
from calibcli.workflows.threshold.honest import crossed, honest, with_move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.cross_fit import CrossFitted, Place
    from calibcli.core.decisions.objectives import Constraint, Objective
    from calibcli.core.decisions.thresholds import Curve
    from calibcli.core.results.figures import Where
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.boxes.sought import Sought
    from calibcli.workflows.threshold.choosing import Refused
    from calibcli.workflows.threshold.wish import Wish

_SHOWN = ("precision", "recall", "f1")


def undescribed(where: Where, each: Sequence[Population], _: int) -> Chosen:
    """Return what stands for a slice without objects, or without boxes, whatever the resamples."""
    return nothing(where, each[0].pairs, reason(each[0]), n=0)


def described(
    one: Sought, lost: Refused | None, wish: Wish, conventions: Conventions, draws: int
) -> Chosen:
    """Return the cut-off of a slice; one above every score if it is `lost`."""
    best, level = one.best(wish.objective), conventions.confidence if draws else None
    setting = 0 if best is None else best[0]
    found, stats = one.each[setting], one.family.settings[setting][0]
    curve = one.family.curves[setting]
    threshold = NEVER if best is None else plain(best[1].threshold)
    item = CutOff(
        slice=one.where,
        threshold=threshold,
        threshold_low=None,
        threshold_high=None,
        nms_iou=one.limits[setting] if one.limits else None,
        n=found.pairs.n,
        value=Figure(None if best is None else best[1].value),
        confusion=cut_table(found, threshold, replace(conventions, confidence=level)),
    )
    if best is None:
        assert lost is not None
        return Chosen(structs.replace(item, reason=lost.words), curve)
    if level is not None:
        picked = Picked(curve, best[1], None, stats, lowest=LOWEST)
        item = resample(item, picked, wish, conventions, draws)
        low, high = (None if end is None else plain(end) for end in item.ends)
        item = structs.replace(item, threshold_low=low, threshold_high=high)
    if level is not None and wish.guarantee is None:
        spread, value = None, item.reached
        shown = wish.objective.name in (*_SHOWN, "dice")
        if not shown and value is not None and value.low is not None and value.high is not None:
            spread = best[1].value - value.low, value.high - best[1].value
        images = float(boxes_of(found).images)
        others = images * (1.0 - 1.0 / FOLDS)
        bounds = tuple(per_image(bound, others) for bound in wish.constraints)
        folds = cross_fit(one.family, lambda curves: _again(curves, wish.objective, bounds))
        place = setting, best[1].index
        entry = honest(one.family, folds, place, wish, level, images, spread, shown=_SHOWN)
        alarms = _alarms(one, folds, place, wish, level)
        item = crossed(item, structs.replace(entry, fp_per_image=alarms))
    item = structs.replace(item, guarantee=_guarantee(one, setting, wish), searched=_searched(one))
    return Chosen(item, curve)


def _again(
    curves: Sequence[Curve], objective: Objective, bounds: tuple[Constraint, ...]
) -> tuple[int, Choice] | None:
    choices = [choose(curve, objective, bounds) for curve in curves]
    return best_of(choices, objective)


def _alarms(
    one: Sought, folds: CrossFitted, place: Place, wish: Wish, level: float
) -> Figure | None:
    """Return false boxes an image of decisions that folds get from the others, where bounded."""
    bounds = [bound for bound in wish.constraints if bound.name == FP_PER_IMAGE]
    if not bounds or folds.counts is None:
        return None
    figure = alarms_by_image(Judged(folds.counts), one.each[place[0]].extra, level)
    move = moved(one.family, folds, place, bounds[0].function)
    return with_move(figure, move, level, share=False)


def _guarantee(one: Sought, setting: int, wish: Wish) -> Guarantee | None:
    sure, choice = one.promised[setting], one.choices[setting]
    if wish.guarantee is None or sure is None or isinstance(choice, Unreachable):
        return None
    among = one.family.curves[setting].threshold[sure.allowed]
    means = sure.at(choice.index, wish.constraints)
    names = [constraint.name for constraint in wish.constraints]
    bounded = FP_PER_IMAGE in names
    return Guarantee(
        wish.guarantee,
        tuple(map(str, wish.constraints)),
        plain(float(among[0])),
        float(among[-1]),
        unit=one.unit,
        images=means.having,
        mean_precision=means.precision,
        units=means.units,
        means=dict(zip(names, means.means, strict=True)),
        most=sure.table.alarms if bounded else None,
        clipped=means.clipped if bounded else None,
    )


def _searched(one: Sought) -> tuple[Searched, ...] | None:
    if len(one.choices) < 2:
        return None
    return tuple(
        Searched(nms, None, None, None, None)
        if isinstance(choice, Unreachable)
        else Searched(
            nms,
            plain(choice.threshold),
            choice.value,
            choice.confusion.figure(FIGURES["precision"]),
            choice.confusion.figure(FIGURES["recall"]),
        )
        for nms, choice in zip(one.limits, one.choices, strict=True)
    )


def plain(threshold: float) -> float:
    """Return a cut-off as it is written: the least one stands for every box."""
    return 0.0 if threshold <= LOWEST else threshold
