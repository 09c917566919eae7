"""`threshold --task detection`: score and NMS IoU chosen together, for each class or for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.objectives import FIGURES, TOLERANCE, Objective
from calibcli.core.decisions.stability import stability
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.detection.guarantee import ByImage, certified, check
from calibcli.core.metrics.binary import View
from calibcli.core.results.warning import Warning, any_of
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.tasks.detection.nms import keep as kept_boxes
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.detection.observed import (
    TASK,
    calibrated_scores,
    matching_warnings,
    observe,
)
from calibcli.workflows.detection.slices import detection_confusion, lrp_curve, probabilities
from calibcli.workflows.input.loaded_cuts import CUT
from calibcli.workflows.input.warnings import in_sample
from calibcli.workflows.threshold.choosing import DRAWS
from calibcli.workflows.threshold.outcome import each_apart, keep, outcome, void
from calibcli.workflows.threshold.search import parse_search
from calibcli.workflows.threshold.slices import MOST_RESAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.detection.pairs import Counted
    from calibcli.workflows.detection.artifacts import DetectionCalibrator
    from calibcli.workflows.detection.observed import DetectionOptions, Observed
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
NMS = "nms-iou"
USABLE = ("f1", "precision", "recall", "fnr", "dice", "iou", "alerts")
"""Figures that need no true negatives; fbeta:B is another."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """One slice under one NMS IoU."""

    nms: float | None
    found: Counted
    stats: ScoreStats
    curve: Curve
    choice: Choice | Unreachable
    ends: tuple[float, float] | None
    images: tuple[int, float] | None


def threshold_detection(
    spec: InputSpec,
    options: DetectionOptions,
    conventions: Conventions,
    wish: Wish,
    *,
    per_class: bool = False,
    search: Sequence[str] = (),
    calibrator: str | None = None,
    output: str | None = None,
    candidates: str | None = None,
) -> Result:
    """Choose the cut-off of detections, together with the IoU of non-maximum suppression.

    Args:
        spec: the detections, before suppression where its IoU is to be chosen.
        options: what they are compared with.
        conventions: the level of the intervals, the seed.
        wish: what to achieve.
        per_class: a cut-off (and an NMS IoU) for each class, instead of one for all.
        search: values to try, as nms-iou=0.3,0.5,0.7.
        calibrator: path of a calibrator of detections to apply first.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate: the trade-off.

    Raises:
        AnswerNoError: a class in which the constraints cannot be met; nothing is written.
        InputError: unusable input, no class with objects and detections.
        UsageError: options that detections do not have.
    """
    _check_wish(wish)
    limits = _limits(search)
    if wish.guarantee is not None:
        check(wish.constraints, wish.guarantee)
    seen = observe(spec, options)
    warnings = list(seen.warnings)
    loaded = None
    if calibrator is not None:
        from calibcli.workflows.detection.artifacts import fitting_calibrator

        loaded = fitting_calibrator(calibrator, seen)
        warnings = list(seen.warnings)
        if loaded.saw(seen.data.inputs):
            warnings.append(in_sample("this very file", "the cut-off is"))
    counts = _counted(seen, limits, loaded)
    warnings += matching_warnings(counts[0][1], options)
    names = seen.data.classes
    wanted: list[tuple[Result, int | None]] = [({"kind": "overall"}, None)]
    if per_class:
        wanted = [({"kind": "class", "name": name}, k) for k, name in enumerate(names)]
    objective = _objective(wish, len(seen.data.images))
    level = None if wish.guarantee is None else (1.0 - wish.guarantee) / len(counts)
    items: list[Result] = []
    curves: list[tuple[str, list[_Tried]]] = []
    reached: list[tuple[Result, float, list[tuple[float | None, Curve, float | None]]]] = []
    refused: list[tuple[str, Unreachable, int]] = []
    idle: list[str] = []
    draws = DRAWS if len(wanted) <= MOST_RESAMPLED else 0
    for where, k in wanted:
        name = str(where.get("name", "overall"))
        reason = _nothing_to_choose(counts, k)
        if reason is not None:
            idle.append(name)
            items.append({"slice": where, "threshold": None, "n": 0, "reason": reason})
            continue
        tried = [_try(nms, found, k, objective, wish, level) for nms, found in counts]
        curves.append((name, tried))
        best = _best(tried, objective)
        if best is None:
            nearest = next(one.choice for one in tried if isinstance(one.choice, Unreachable))
            refused.append((name, nearest, len(seen.data.images)))
            continue
        items.append(_item(where, best, tried, k, objective, wish, conventions, draws))
        at = [(one.nms, one.curve, _chosen(one)) for one in tried]
        reached.append((where, items[-1]["value"]["value"], at))
    if len(idle) == len(wanted):
        raise InputError(
            "no class has both objects and detections: there is nothing to choose",
            "is the ground truth that of these images?",
        )
    if refused:
        raise _refusal(refused, len(wanted), wish)
    if idle:
        named = ", ".join(map(repr, idle[:5])) + (" …" if len(idle) > 5 else "")
        text = (
            f"{len(idle)} of {len(wanted)} classes have no objects or no detections and get no "
            f"cut-off, so none of their boxes is kept: {named}"
        )
        warnings.append(Warning("no-objects", text))
    kind = "empirical" if wish.guarantee is None else "certified"
    if wish.guarantee is not None:
        if len(items) > 1:
            warnings.append(each_apart(len(items), wish.guarantee))
        if any_of(warnings, "in-sample"):
            kind = "empirical"
            warnings.append(void("the guarantee"))
    more: Result = {}
    if limits:
        from calibcli.workflows.detection.trade_off import trade_off

        more["trade_off"] = trade_off(reached, objective)
    result = outcome(
        inputs=seen.data.inputs,
        params={
            **seen.params(),
            "categories": seen.data.categories,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": calibrator,
            "guarantee": wish.guarantee,
            "per_class": per_class,
            "search": {"nms_iou": list(limits)} if limits else None,
        },
        task=TASK,
        objective=objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind=kind,
        thresholds=items,
        **more,
        warnings=warnings,
    )
    if candidates is not None:
        from calibcli.workflows.detection.candidates import write_candidates

        told = [(name, [(one.nms, one.curve) for one in tried]) for name, tried in curves]
        write_candidates(candidates, told, objective)
    keep(output, result, names, CUT, None if loaded is None else loaded.artifact)
    return result


def _check_wish(wish: Wish) -> None:
    for option, value in {
        "--prior": wish.prior,
        "--per-group": wish.per_group,
        "--equal": wish.equal,
    }.items():
        if value is not None:
            raise UsageError(f"{option} is not for --task detection", "leave it out")
    costs = wish.costs
    if costs is not None and (costs.tn or costs.refer is not None):
        raise UsageError(
            "a detector has no true negatives to cost anything, and refers no boxes",
            "--cost fp=1,fn=4",
        )
    names = [] if costs is not None else [wish.objective.name]
    for name in (*names, *(one.name for one in wish.constraints)):
        if name not in USABLE and not name.startswith("fbeta:"):
            raise UsageError(
                f"{name} counts true negatives, which a detector does not have",
                f"one of: {', '.join(USABLE)}, fbeta:B",
            )


def _objective(wish: Wish, images: int) -> Objective:
    """Return the objective; a cost is that of an image, since NMS changes how many boxes there are.

    The costs of one NMS IoU could not be compared with those of another by the box.
    """
    costs = wish.costs
    if costs is None:
        return wish.objective

    def expected(tp: Any, fp: Any, fn: Any, _: Any) -> Any:
        return (costs.tp * tp + costs.fp * fp + costs.fn * fn) / max(images, 1)

    return Objective("cost", expected, larger_is_better=False)


def _limits(search: Sequence[str]) -> tuple[float, ...]:
    found = parse_search(search, {NMS: (0.0, 1.0)})
    return tuple(sorted(found.get(NMS, ())))


def _counted(
    seen: Observed, limits: tuple[float, ...], loaded: DetectionCalibrator | None
) -> list[tuple[float | None, Counted]]:
    """Return the pairs under each NMS IoU; suppression goes by the scores of the model itself."""
    view = seen.scene(nms=min(limits) if limits else None)
    ranked, place = view, np.arange(len(view.order))
    if loaded is not None:
        score = calibrated_scores(loaded.artifact.calibrator, seen.data, logits=seen.spec.logits)
        ranked = seen.scene(score)
        back = np.empty_like(view.order)
        back[view.order] = place
        place = back[ranked.order]
    found: list[tuple[float | None, Counted]] = []
    for nms in limits or (None,):
        kept: NDArray[np.bool_] | None = None
        if nms is not None and view.rivals is not None:
            kept = kept_boxes(view.rivals, nms, len(view.order))[place]
        found.append((nms, seen.counted(ranked, (), kept=kept)))
    return found


def _nothing_to_choose(counts: Sequence[tuple[float | None, Counted]], k: int | None) -> str | None:
    found = counts[0][1]
    objects = found.matched.view.objects
    if not (objects.sum() if k is None else objects[k].sum()):
        return "no object to find"
    if not (found.pooled if k is None else found.classes[k]).n:
        return "no detections"
    return None


def _try(
    nms: float | None,
    found: Counted,
    k: int | None,
    objective: Objective,
    wish: Wish,
    level: float | None,
) -> _Tried:
    stats = found.with_missed(k)
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg).above(LOWEST)
    allowed = ends = images = None
    by_image = None
    if level is not None:
        by_image = _by_image(found, k)
        allowed = certified(by_image, wish.constraints, level, curve.threshold)
        among = curve.threshold[allowed]
        if among.size:
            ends = (float(among[0]), float(among[-1]))
    choice = choose(curve, objective, wish.constraints, allowed=allowed)
    if by_image is not None and isinstance(choice, Choice):
        place = int(np.searchsorted(-by_image.score, -choice.threshold, side="right"))
        number, mean = by_image.mean_precision()
        images = int(number[place]), float(mean[place])
    return _Tried(nms, found, stats, curve, choice, ends, images)


def _by_image(found: Counted, k: int | None) -> ByImage:
    matched = found.matched
    view = matched.view
    own = matched.of_class(k)
    rows = matched.rows[own]
    score = probabilities(matched, own)
    return ByImage(score, matched.right[own], view.image[rows], view.per_image(k))


def _best(tried: Sequence[_Tried], objective: Objective) -> _Tried | None:
    """Return the best of the NMS IoUs, of equal ones that with the fewest false alarms."""
    best: _Tried | None = None
    for one in tried:
        if not isinstance(one.choice, Choice):
            continue
        if best is None or not isinstance(best.choice, Choice):
            best = one
            continue
        gain = one.choice.value - best.choice.value
        gain = gain if objective.larger_is_better else -gain
        slack = TOLERANCE * max(1.0, abs(best.choice.value))
        fewer = one.choice.confusion.fp < best.choice.confusion.fp
        if gain > slack or (gain >= -slack and fewer):
            best = one
    return best


def _item(
    where: Result,
    best: _Tried,
    tried: Sequence[_Tried],
    k: int | None,
    objective: Objective,
    wish: Wish,
    conventions: Conventions,
    draws: int,
) -> Result:
    choice, stats, level = best.choice, best.stats, conventions.confidence
    assert isinstance(choice, Choice)
    threshold = _plain(choice.threshold)
    view = View(stats, conventions.headline)
    item: Result = {
        "slice": where,
        "threshold": threshold,
        "threshold_low": None,
        "threshold_high": None,
        "nms_iou": best.nms,
        "n": (best.found.pooled if k is None else best.found.classes[k]).n,
        "value": {"value": choice.value, "low": None, "high": None},
        "confusion": detection_confusion(view, threshold, level, lrp_curve(best.found.matched, k)),
    }
    if level is not None and draws:
        _resampled(item, best, objective, wish, level, conventions.seed, draws)
    if wish.guarantee is not None and best.ends is not None and best.images is not None:
        item["guarantee"] = {
            "confidence": wish.guarantee,
            "constraints": [str(c) for c in wish.constraints],
            "low": _plain(best.ends[0]),
            "high": best.ends[1],
            "unit": "image",
            "images": best.images[0],
            "mean_precision": best.images[1],
        }
    if len(tried) > 1:
        item["searched"] = [_searched(one) for one in tried]
    return item


def _chosen(one: _Tried) -> float | None:
    return one.choice.threshold if isinstance(one.choice, Choice) else None


def _plain(threshold: float) -> float:
    """Return a cut-off as it is written: the least one stands for every box."""
    return 0.0 if threshold <= LOWEST else threshold


def _searched(one: _Tried) -> Result:
    if isinstance(one.choice, Unreachable):
        return {"nms_iou": one.nms, "threshold": None, "value": None, "precision": None,
                "recall": None}  # fmt: skip
    table = one.choice.confusion
    return {
        "nms_iou": one.nms,
        "threshold": _plain(one.choice.threshold),
        "value": one.choice.value,
        "precision": table.figure(FIGURES["precision"]),
        "recall": table.figure(FIGURES["recall"]),
    }


def _resampled(
    item: Result,
    best: _Tried,
    objective: Objective,
    wish: Wish,
    level: float,
    seed: int,
    draws: int,
) -> None:
    """Add the interval of the cut-off and of the objective, by resampling images."""
    stats, choice = best.stats, best.choice
    assert stats.parts is not None
    assert isinstance(choice, Choice)
    cell = np.searchsorted(stats.place, stats.parts.places)
    cell = np.minimum(cell, len(stats.key) - 1)
    spread = stability(
        stats.floor,
        stats.pos,
        stats.neg,
        choice,
        objective,
        wish.constraints if wish.guarantee is None else (),
        figures=(),
        confidence=level,
        draws=draws,
        seed=seed,
        buckets=(stats.parts.slot, cell, stats.parts.pos, stats.parts.neg),
        lowest=LOWEST,
    )
    if spread is None:
        return
    if spread.value is not None:
        item["value"] |= {"low": spread.value[0], "high": spread.value[1]}
    if wish.guarantee is None:
        low, high = spread.threshold
        item["threshold_low"], item["threshold_high"] = _plain(low), _plain(high)
        item["optimism"] = spread.optimism
        item["resamples"] = {"met": spread.draws, "of": spread.of}


def _refusal(refused: list[tuple[str, Unreachable, int]], slices: int, wish: Wish) -> AnswerNoError:
    name, first, images = refused[0]
    what = "" if slices == 1 else f"class {name!r}: "
    more = f" (and {len(refused) - 1} of {slices} more)" if len(refused) > 1 else ""
    if wish.guarantee is not None:
        wanted = " and ".join(map(str, wish.constraints))
        return AnswerNoError(
            f"{what}no cut-off can be certified for {wanted} with confidence "
            f"{wish.guarantee:g} on {images:,} images{more}",
            "no thresholds were written; without --guarantee, or with a lower target or more "
            "images, there may be one",
        )
    return AnswerNoError(f"{what}{first.message()}{more}", "no thresholds were written")
