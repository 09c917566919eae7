"""`threshold --task detection`: score and NMS IoU chosen together, for each class or for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.cross_fit import FOLDS, CellFamily, cross_fit, parted
from calibcli.core.decisions.objectives import FIGURES, TOLERANCE, Objective
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.core.detection.guarantee import ByImage, certified, check
from calibcli.core.results.warning import Warning, any_of
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import InputError, UsageError
from calibcli.io.boxes.dataset import BoxDataset
from calibcli.tasks.detection.found import Detections
from calibcli.tasks.detection.medium import other_suppression
from calibcli.tasks.detection.nms import suppressed
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.input.gather import gather, one_class, open_input
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.loaded_cuts import CUT
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.warnings import check_fits, in_sample_warnings
from calibcli.workflows.measure.decided.boxes import box_decisions
from calibcli.workflows.measure.slices import cut_table
from calibcli.workflows.threshold.choosing import DRAWS, NEVER, Picked, Refused, resample
from calibcli.workflows.threshold.honest import apply_ends, honest, not_shown
from calibcli.workflows.threshold.outcome import each_apart, keep, outcome, void
from calibcli.workflows.threshold.search import BOXES, NMS, parse_search
from calibcli.workflows.threshold.slices import MOST_RESAMPLED, refuse_unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.thresholds import Curve
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gather import Gathered, Progress, Slice
    from calibcli.workflows.input.loaded import LoadedCalibrator
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
USABLE = ("f1", "precision", "recall", "fnr", "dice", "iou", "alerts")
"""Figures that need no true negatives; fbeta:B is another."""
_SHOWN = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True, eq=False)
class _Sought:
    """One slice: its candidates under each NMS IoU, and the best of each.

    Attributes:
        where: as it stands in the JSON.
        each: its boxes under each NMS IoU.
        family: a setting for each NMS IoU.
        choices: the best under each, or why there is none.
        allowed: which candidates are certified, where there is a guarantee.
        images: of each choice, images with a box and their mean precision.
    """

    where: Result
    each: tuple[Population, ...]
    family: CellFamily
    choices: tuple[Choice | Unreachable, ...]
    allowed: tuple[NDArray[np.bool_] | None, ...]
    images: tuple[tuple[int, float] | None, ...]

    def best(self, objective: Objective) -> tuple[int, Choice] | None:
        """Return the best of the NMS IoUs, of equal ones that with the fewest false alarms."""
        return _best(self.choices, objective)


def threshold_boxes(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    per_class: bool = False,
    search: Sequence[str] = (),
    calibrator: str | None = None,
    output: str | Gated | None = None,
    candidates: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Choose the cut-off of detections, together with the IoU of non-maximum suppression.

    Args:
        spec: the detections, before suppression where its IoU is to be chosen.
        conventions: the level of the intervals, the seed.
        wish: what to achieve.
        per_class: a cut-off (and an NMS IoU) for each class, instead of one for all.
        search: values to try, as nms-iou=0.3,0.5,0.7.
        calibrator: path of a calibrator of detections to apply first.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate: the trade-off.
        threads: how many threads match.
        progress: called with the number of boxes so far.

    Raises:
        AnswerNoError: a class in which the constraints cannot be met; nothing is written.
        InputError: unusable input, no class with objects and detections.
        UsageError: options that detections do not have.
    """
    _check_wish(wish)
    limits = _limits(search, spec)
    if wish.guarantee is not None:
        check(wish.constraints, wish.guarantee)
    loaded = None if calibrator is None else load_calibrator(calibrator)
    watch = watch_of(loaded)
    found = _gathered(spec, conventions, limits, loaded, watch, threads, progress)
    first = found[0]
    assert isinstance(first.dataset, BoxDataset)
    warnings = list(first.warnings)
    if loaded is not None:
        warnings += _fitting(loaded, first, watch)
    names = first.classes
    whole = tuple(_side(one.overall, loaded) for one in found)
    wanted: list[tuple[Result, tuple[Population, ...]]] = [({"kind": "overall"}, whole)]
    if per_class:
        wanted = [
            ({"kind": "class", "name": name}, tuple(one_class(one, k) for one in whole))
            for k, name in enumerate(names)
        ]
    images = boxes_of(whole[0]).images
    wish = replace(wish, objective=_objective(wish, images))
    level = None if wish.guarantee is None else (1.0 - wish.guarantee) / len(whole)
    sought = [_seek(where, each, wish, level, conventions.seed) for where, each in wanted]
    if all(one is None for one in sought):
        raise InputError(
            "no class has both objects and detections: there is nothing to choose",
            "is the ground truth that of these images?",
        )
    idle = [where["name"] for (where, _), one in zip(wanted, sought, strict=True) if one is None]
    refused = [
        (_named(one.where), _refused(one, wish, images))
        for one in sought
        if one is not None and one.best(wish.objective) is None
    ]
    warnings += refuse_unreachable(refused, len(wanted), wish, len(idle))
    draws = DRAWS if len(wanted) <= MOST_RESAMPLED else 0
    items = [
        _nothing(where, each) if one is None
        else _item(one, limits, wish, conventions, draws)
        for (where, each), one in zip(wanted, sought, strict=True)
    ]  # fmt: skip
    warnings += not_shown(items, wish)
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
    if loaded is not None:
        used = {item["slice"].get("name"): item.get("nms_iou") for item in items}
        warnings += other_suppression(loaded.payload["input"].get("nms_iou"), used)
    result = outcome(
        inputs=first.inputs,
        params={
            **first.params,
            "nms_iou": spec.nms_iou,
            "categories": first.dataset.categories,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": calibrator,
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
    keep(output, result, names, CUT, loaded)
    if candidates is not None:
        from calibcli.workflows.threshold.boxes.candidates import write_candidates

        told = [
            (
                str(one.where.get("name", "overall")),
                list(zip(limits or (None,), one.family.curves, strict=True)),
            )
            for one in sought
            if one is not None
        ]
        write_candidates(candidates, told, wish.objective)
    return result


def _check_wish(wish: Wish) -> None:
    if wish.objective.common is not None:
        raise UsageError(
            f"--maximize {wish.objective.name} is of classes of rows",
            "boxes of all classes have one cut-off without --per-class: --maximize f1",
        )
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


def _limits(search: Sequence[str], spec: InputSpec) -> tuple[float, ...]:
    found, given = tuple(sorted(parse_search(search, BOXES).get(NMS, ()))), spec.nms_iou
    if found and given is not None:
        raise UsageError("--nms-iou and --search nms-iou both say where to suppress", "give one")
    return (given,) if isinstance(given, float) else found


def _gathered(
    spec: InputSpec,
    conventions: Conventions,
    limits: tuple[float, ...],
    loaded: LoadedCalibrator | None,
    watch: Watch | None,
    threads: int | None,
    progress: Progress | None,
) -> list[Gathered]:
    """Return the boxes under each NMS IoU; suppression goes by the scores of the model itself."""
    mapping = None if loaded is None else loaded.calibrator
    bare = replace(spec, nms_iou=None)
    dataset, sources = open_input(bare, mapping)
    if not isinstance(dataset, BoxDataset):
        raise UsageError(
            "the cut-offs of boxes are chosen on boxes, and saved statistics hold none",
            "give the files of detections",
        )
    return [
        gather(
            bare,
            replace(conventions, thresholds=(), at=(), bins=(1,)),
            calibrator=mapping,
            threads=threads,
            progress=progress,
            watch=watch if place == 0 else None,
            opened=(suppressed(dataset, {} if nms is None else {None: nms}), sources),
        )
        for place, nms in enumerate(limits or (None,))
    ]


def _fitting(loaded: LoadedCalibrator, found: Gathered, watch: Watch | None) -> list[Warning]:
    """Return what is to be said of a calibrator and these boxes.

    Raises:
        InputError: it was fitted on something else.
    """
    check_fits(loaded, found.task, found.classes, logits=found.logits)
    shared = found_overlap(loaded, watch)
    return in_sample_warnings(loaded, found.inputs, shared, "the cut-off is", found.medium)


def _side(one: Slice, loaded: LoadedCalibrator | None) -> Population:
    """Return the population that is cut."""
    return one.population if loaded is None or one.calibrated is None else one.calibrated


def boxes_of(population: Population) -> Detections:
    """Return the boxes of a population."""
    assert isinstance(population.extra, Detections)
    return population.extra


def _seek(
    where: Result,
    each: tuple[Population, ...],
    wish: Wish,
    level: float | None,
    seed: int,
) -> _Sought | None:
    """Return a slice's candidates and the best of each NMS IoU; None where there are none."""
    if _reason(each[0]) is not None:
        return None
    home = np.random.default_rng(seed).permutation(BUCKETS) % FOLDS
    settings = []
    for one in each:
        stats = boxes_of(one).counted(one.pairs)
        assert stats.parts is not None
        settings.append((stats, parted(stats, stats.parts, home, FOLDS, clustered=True)))
    family = CellFamily(tuple(settings), LOWEST)
    choices, allowed, images = [], [], []
    for one, curve in zip(each, family.curves, strict=True):
        by_image = None if level is None else _by_image(boxes_of(one))
        able = None
        if by_image is not None and level is not None:
            able = certified(by_image, wish.constraints, level, curve.threshold)
        choice = choose(curve, wish.objective, wish.constraints, allowed=able)
        choices.append(choice)
        allowed.append(able)
        images.append(_images(by_image, choice))
    return _Sought(where, each, family, tuple(choices), tuple(allowed), tuple(images))


def _reason(one: Population) -> str | None:
    """Return why there is nothing to choose in a slice, None where there is something."""
    if not boxes_of(one).own_objects.sum():
        return "no object to find"
    return None if one.pairs.n else "no detections"


def _nothing(where: Result, each: Sequence[Population]) -> Result:
    return {"slice": where, "threshold": None, "n": 0, "reason": _reason(each[0])}


def _by_image(boxes: Detections) -> ByImage:
    """Return the boxes by what is independent: the units of the images."""
    units, place = np.unique(boxes.whole.unit, return_inverse=True)
    rows = boxes.rows(boxes.only)
    own = boxes.whole.object_label
    mine = np.ones(len(own), np.bool_) if boxes.only is None else own == boxes.only
    objects = np.bincount(place[boxes.whole.object_image[mine]], minlength=len(units))
    score = boxes.whole.score[rows]
    return ByImage(score, boxes.right(rows), place[boxes.whole.image[rows]], objects)


def _images(by_image: ByImage | None, choice: Choice | Unreachable) -> tuple[int, float] | None:
    """Return how many images have a box at a cut-off, and their mean precision."""
    if by_image is None or isinstance(choice, Unreachable):
        return None
    place = int(np.searchsorted(-by_image.score, -choice.threshold, side="right"))
    number, mean = by_image.mean_precision()
    return int(number[place]), float(mean[place])


def _best(
    choices: Sequence[Choice | Unreachable], objective: Objective
) -> tuple[int, Choice] | None:
    best: tuple[int, Choice] | None = None
    for setting, one in enumerate(choices):
        if isinstance(one, Unreachable):
            continue
        if best is None:
            best = setting, one
            continue
        gain = one.value - best[1].value
        gain = gain if objective.larger_is_better else -gain
        slack = TOLERANCE * max(1.0, abs(best[1].value))
        fewer = one.confusion.fp < best[1].confusion.fp
        if gain > slack or (gain >= -slack and fewer):
            best = setting, one
    return best


def _named(where: Result) -> str:
    return f"class {where['name']!r}" if where["kind"] == "class" else ""


def _refused(one: _Sought, wish: Wish, images: int) -> Refused:
    """Return why a slice has no cut-off."""
    nearest = next(choice for choice in one.choices if isinstance(choice, Unreachable))
    if wish.guarantee is None:
        hint = "no thresholds were written"
        return Refused(nearest.message(), hint, unreachable=True, best=nearest.nearest())
    return Refused(
        f"no cut-off can be certified for {wish.target} with confidence {wish.guarantee:g} on "
        f"{images:,} images",
        "no thresholds were written; without --guarantee, or with a lower target or more images, "
        "there may be one",
        unreachable=True,
        best=f"not certified on {images:,} images",
    )


def _item(
    one: _Sought,
    limits: tuple[float, ...],
    wish: Wish,
    conventions: Conventions,
    draws: int,
) -> Result:
    best, level = one.best(wish.objective), conventions.confidence if draws else None
    setting = 0 if best is None else best[0]
    found, stats = one.each[setting], one.family.settings[setting][0]
    threshold = NEVER if best is None else _plain(best[1].threshold)
    value = {"value": None if best is None else best[1].value, "low": None, "high": None}
    item: Result = {
        "slice": one.where,
        "threshold": threshold,
        "threshold_low": None,
        "threshold_high": None,
        "nms_iou": limits[setting] if limits else None,
        "n": found.pairs.n,
        "value": value,
        "confusion": cut_table(found, threshold, replace(conventions, confidence=level)),
    }
    if best is None:
        nearest = next(choice for choice in one.choices if isinstance(choice, Unreachable))
        return {**item, "reason": f"the target is not met: {nearest.nearest()}"}
    if level is not None:
        resample(item, Picked(one.family.curves[setting], best[1], None, stats, lowest=LOWEST),
                 wish, conventions, draws)  # fmt: skip
        for name in ("threshold_low", "threshold_high"):
            item[name] = None if item[name] is None else _plain(item[name])
    if level is not None and wish.guarantee is None:
        spread = None
        low, high = value["low"], value["high"]
        if low is not None and high is not None and wish.objective.name not in (*_SHOWN, "dice"):
            spread = best[1].value - low, high - best[1].value
        crossed = cross_fit(one.family, lambda curves: _again(curves, wish))
        place = setting, best[1].index
        images = float(boxes_of(found).images)
        entry = honest(one.family, crossed, place, wish, level, images, spread, shown=_SHOWN)
        item["cross_fitted"] = entry
        apply_ends(item, entry)
    return {**item, **_guarantee(one, setting, wish), **_searched(one, limits)}


def _again(curves: Sequence[Curve], wish: Wish) -> tuple[int, Choice] | None:
    choices = [choose(curve, wish.objective, wish.constraints) for curve in curves]
    return _best(choices, wish.objective)


def _guarantee(one: _Sought, setting: int, wish: Wish) -> Result:
    able, images = one.allowed[setting], one.images[setting]
    if wish.guarantee is None or able is None or images is None:
        return {}
    among = one.family.curves[setting].threshold[able]
    return {
        "guarantee": {
            "confidence": wish.guarantee,
            "constraints": [str(c) for c in wish.constraints],
            "low": _plain(float(among[0])),
            "high": float(among[-1]),
            "unit": "image",
            "images": images[0],
            "mean_precision": images[1],
        }
    }


def _searched(one: _Sought, limits: tuple[float, ...]) -> Result:
    if len(one.choices) < 2:
        return {}
    found = []
    for nms, choice in zip(limits, one.choices, strict=True):
        entry: Result = {"nms_iou": nms}
        if isinstance(choice, Unreachable):
            entry |= dict.fromkeys(("threshold", "value", "precision", "recall"))
        else:
            entry |= {
                "threshold": _plain(choice.threshold),
                "value": choice.value,
                "precision": choice.confusion.figure(FIGURES["precision"]),
                "recall": choice.confusion.figure(FIGURES["recall"]),
            }
        found.append(entry)
    return {"searched": found}


def _plain(threshold: float) -> float:
    """Return a cut-off as it is written: the least one stands for every box."""
    return 0.0 if threshold <= LOWEST else threshold


def _trade_off(
    sought: Sequence[_Sought | None],
    items: Sequence[Result],
    limits: tuple[float, ...],
    wish: Wish,
) -> Result:
    """Return the curves of precision and recall at each NMS IoU, where several were tried."""
    if not limits:
        return {}
    from calibcli.workflows.threshold.boxes.trade_off import trade_off

    reached = []
    for one, item in zip(sought, items, strict=True):
        if one is None or item["value"]["value"] is None:
            continue
        at = [
            (nms, curve, choice.threshold if isinstance(choice, Choice) else None)
            for nms, curve, choice in zip(limits, one.family.curves, one.choices, strict=True)
        ]
        reached.append((one.where, item["value"]["value"], at))
    return {"trade_off": trade_off(reached, wish.objective)}


def _decision(
    each: Sequence[Population],
    limits: tuple[float, ...],
    items: Sequence[Result],
    names: Sequence[str],
    level: float | None,
) -> Result:
    """Return the figures of the boxes that `apply` keeps, of all classes together."""
    per_class = items[0]["slice"]["kind"] == "class"
    chosen = items if per_class else [items[0]] * len(names)
    found = [each[limits.index(one["nms_iou"]) if limits and one.get("nms_iou") else 0]
             for one in chosen]  # fmt: skip
    cuts = [np.inf if one["threshold"] is None else one["threshold"] for one in chosen]
    return box_decisions(found, cuts, names, level)
