"""`threshold --task detection`: score and NMS IoU chosen together, for each class or for all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.objectives import FP_PER_IMAGE, Objective, per_image
from calibcli.core.decisions.stored import CUT
from calibcli.core.decisions.thresholds import Choice
from calibcli.core.detection.guarantee import check
from calibcli.core.results.figures import OVERALL, Where
from calibcli.errors import UsageError
from calibcli.io.boxes.dataset import BoxDataset
from calibcli.tasks.detection.medium import other_suppression
from calibcli.tasks.detection.nms import suppressed
from calibcli.tasks.features import refuse
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.gather import gather, open_input
from calibcli.workflows.input.gathered import one_class
from calibcli.workflows.input.overlap import found_overlap
from calibcli.workflows.input.warnings import check_fits, in_sample_warnings
from calibcli.workflows.measure.decided.boxes import box_decisions
from calibcli.workflows.threshold.boxes.items import described, undescribed
from calibcli.workflows.threshold.boxes.sought import boxes_of, refused, seek
from calibcli.workflows.threshold.outcome import keep, kind_promised, outcome
from calibcli.workflows.threshold.search import BOXES, NMS, parse_search
from calibcli.workflows.threshold.settling import Empty, Found, settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.results.threshold import CutOff
    from calibcli.core.results.warning import Warning
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.threshold.boxes.sought import Sought
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
USABLE = ("f1", "precision", "recall", "fnr", "dice", "iou", "alerts", FP_PER_IMAGE)
"""Figures that need no true negatives; fbeta:B is another."""
_NO_OBJECTS = Empty(
    (
        "no class has both objects and detections: there is nothing to choose",
        "is the ground truth that of these images?",
    ),
    "no-objects",
    "have no objects or no detections and get no cut-off, so none of their boxes is kept",
)


def threshold_boxes(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    per_class: bool = False,
    search: Sequence[str] = (),
    output: str | Gated | None = None,
    candidates: str | None = None,
    **options: Unpack[Options],
) -> Result:
    """Choose the cut-off of detections, together with the IoU of non-maximum suppression.

    Args:
        spec: the detections, before suppression where its IoU is to be chosen.
        conventions: the level of the intervals, the seed.
        wish: what to achieve.
        per_class: a cut-off (and an NMS IoU) for each class, instead of one for all.
        search: values to try, as nms-iou=0.3,0.5,0.7.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate: the trade-off.
        options: see `Options`.

    Raises:
        AnswerNoError: a class in which the constraints cannot be met; nothing is written.
        InputError: unusable input, no class with objects and detections.
        UsageError: options that detections do not have.
    """
    _check_wish(wish)
    limits = _limits(search, spec)
    if wish.guarantee is not None:
        check(wish.constraints, wish.guarantee)
        if spec.weighted:
            raise UsageError(
                "a guarantee counts images, and these carry weights",
                "leave out --weight, or --guarantee",
            )
    asked = Asked.of(spec, conventions, options)
    found = _gathered(asked, limits)
    first = found[0]
    assert isinstance(first.dataset, BoxDataset)
    warnings = [*first.warnings, *_fitting(asked, first)]
    names = first.classes
    whole = tuple(one.overall.used for one in found)
    wanted = [(OVERALL, whole)]
    if per_class:
        wanted = [
            (Where("class", name), tuple(one_class(one, k) for one in whole))
            for k, name in enumerate(names)
        ]
    images = boxes_of(whole[0]).images
    bounds = tuple(per_image(one, images) for one in wish.constraints)
    wish = replace(wish, objective=_objective(wish, images), constraints=bounds)
    level = None if wish.guarantee is None else (1.0 - wish.guarantee) / len(whole)
    unit = first.dataset.unit.name
    limit = spec.max_detections * (1 if per_class else len(names))
    sought = [
        seek(where, each, limits, wish, level, conventions.seed, limit, unit)
        for where, each in wanted
    ]
    slices = []
    for (where, each), one in zip(wanted, sought, strict=True):
        if one is None:
            slices.append(Found(where, partial(undescribed, where, each), empty=True))
            continue
        lost = refused(one, wish) if one.best(wish.objective) is None else None
        slices.append(Found(where, partial(described, one, lost, wish, conventions), lost))
    chosen, said = settled(slices, conventions, wish, _NO_OBJECTS)
    items = [one.item for one in chosen]
    warnings += said
    kind = kind_promised("certified", warnings, given=wish.guarantee is not None)
    if asked.loaded is not None:
        used = {item.slice.name: item.suppression for item in items}
        warnings += other_suppression(asked.loaded.stored.input.nms_iou, used)
    result = outcome(
        inputs=first.inputs,
        params={
            **first.params,
            "nms_iou": spec.nms_iou,
            "categories": first.dataset.categories,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": asked.path,
            "guarantee": wish.guarantee,
            "per_class": per_class,
            "search": {"nms_iou": list(limits)} if search else None,
        },
        task=first.name,
        objective=wish.objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind=kind,
        thresholds=items,
        **_trade_off(sought, items, limits, wish),
        decision=_decision(whole, limits, items, names, conventions.confidence),
        warnings=warnings,
    )
    keep(output, result, names, CUT, asked.loaded)
    if candidates is not None:
        from calibcli.workflows.threshold.boxes.trade_off import write_trade_off

        told = [
            (
                one.where.title,
                list(zip(limits or (None,), one.family.curves, strict=True)),
            )
            for one in sought
            if one is not None
        ]
        write_trade_off(candidates, told, wish.objective)
    return result


def _check_wish(wish: Wish) -> None:
    if wish.objective.common is not None:
        raise UsageError(
            f"--maximize {wish.objective.name} is of classes of rows",
            "boxes of all classes have one cut-off without --per-class: --maximize f1",
        )
    for option, value in {
        "--prior": wish.prior,
        "worst(…)": wish.within,
        "--equal": wish.equal,
    }.items():
        if value is not None:
            raise UsageError(f"{option} is not for --task detection", "leave it out")
    if wish.per_group is not None:
        refuse("threshold --per-group", "boxes")
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


def _limits(search: Sequence[str], spec: InputSpec) -> tuple[float, ...]:
    found, given = tuple(sorted(parse_search(search, BOXES).get(NMS, ()))), spec.nms_iou
    if found and given is not None:
        raise UsageError("--nms-iou and --search nms-iou both say where to suppress", "give one")
    return (given,) if isinstance(given, float) else found


def _gathered(asked: Asked, limits: tuple[float, ...]) -> list[Gathered]:
    """Return the boxes under each NMS IoU; suppression goes by the scores of the model itself."""
    bare = replace(asked.spec, nms_iou=None)
    dataset, sources = open_input(bare, asked.mapping)
    if not isinstance(dataset, BoxDataset):
        raise UsageError(
            "the cut-offs of boxes are chosen on boxes, and saved statistics hold none",
            "give the files of detections",
        )
    return [
        gather(
            bare,
            replace(asked.conventions, thresholds=(), at=(), bins=(1,)),
            calibrator=asked.mapping,
            threads=asked.threads,
            progress=asked.progress,
            watch=asked.watch if place == 0 else None,
            opened=(suppressed(dataset, {} if nms is None else {None: nms}), sources),
        )
        for place, nms in enumerate(limits or (None,))
    ]


def _fitting(asked: Asked, found: Gathered) -> list[Warning]:
    """Return what is to be said of a calibrator and these boxes.

    Raises:
        InputError: it was fitted on something else.
    """
    loaded = asked.loaded
    if loaded is None:
        return []
    check_fits(loaded, found.task, found.classes, logits=found.logits)
    shared = found_overlap(loaded, asked.watch)
    return in_sample_warnings(loaded, found.inputs, shared, "the cut-off is", found.medium)


def _trade_off(
    sought: Sequence[Sought | None],
    items: Sequence[CutOff],
    limits: tuple[float, ...],
    wish: Wish,
) -> Result:
    """Return the curves of precision and recall at each NMS IoU, where several were tried."""
    if not limits:
        return {}
    from calibcli.workflows.threshold.boxes.trade_off import trade_off

    reached = []
    for one, item in zip(sought, items, strict=True):
        value = None if item.reached is None else item.reached.value
        if one is None or value is None:
            continue
        at = [
            (nms, curve, choice.threshold if isinstance(choice, Choice) else None)
            for nms, curve, choice in zip(limits, one.family.curves, one.choices, strict=True)
        ]
        reached.append((one.where, value, at))
    return {"trade_off": trade_off(reached, wish.objective)}


def _decision(
    each: Sequence[Population],
    limits: tuple[float, ...],
    items: Sequence[CutOff],
    names: Sequence[str],
    level: float | None,
) -> Decided:
    """Return the figures of the boxes that `apply` keeps, of all classes together."""
    chosen = items if items[0].slice.kind == "class" else [items[0]] * len(names)
    nms = [one.suppression for one in chosen]
    found = [each[limits.index(one) if limits and one else 0] for one in nms]
    cuts = [np.inf if one.threshold is None else one.threshold for one in chosen]
    return box_decisions(found, cuts, names, level)
