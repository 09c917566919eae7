"""What a measure result of images has beside that of rows: a judgement of each structure.

An average over the pixels of a frame is an average over background. So each structure is judged
where it is decided: on the pixels for which it is the most probable class, or at least 0.5. How
often are those right, and is that what their scores claim?
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.results.figures import Figure, undefined
from calibcli.core.results.measure import Segmentation, SliceResult, Structure
from calibcli.core.results.warning import Warning
from calibcli.core.segmentation.overlap import overlap
from calibcli.core.statistics.keys import HALF_KEY
from calibcli.io.task import IMAGES
from calibcli.tasks.segmentation.image_counts import ImageCounts
from calibcli.workflows.measure.slices import bin_rows, figure, readings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered

Result = dict[str, Any]
FEW_IMAGES = 20
_DECIDED = {"ece": "decided_ece", "gap": "decided_gap"}


def judge(result: Result, found: Gathered, conventions: Conventions) -> list[Warning]:
    """Add the structures to a measure result, and return what is to be warned of.

    Adds `segmentation`, and gives each confusion table `dice` and `iou`.
    """
    stack: Any = found.dataset
    structures = _structures(stack, found.overall.population, conventions)
    if found.overall.calibrated is not None:
        later = _structures(stack, found.overall.calibrated, conventions)
        structures = [
            structs.replace(own, calibrated=structs.replace(after, name=None, pixels=None))
            for own, after in zip(structures, later, strict=True)
        ]
    whole: SliceResult = result["overall"]
    average = whole.value("ece")
    hidden = [one for one in structures if _hidden(one, average, conventions.tolerance)]
    told = Segmentation(
        pixel=found.task,
        images=stack.images,
        pixels=whole.rows,
        ignored=stack.ignored,
        decided="most probable class" if found.exclusive else "score >= 0.5",
        structures=tuple(structures),
        hidden=tuple(str(one.name) for one in hidden),
    )
    result[IMAGES] = told
    classes = result["classes"]
    decided = zip(classes or [whole], structures, strict=True)
    parts = [_with_overlaps(_with_more(part, own)) for part, own in decided]
    result["classes"] = parts if classes else []
    result["overall"] = _with_overlaps(whole) if classes else parts[0]
    return _warnings(told, hidden, average, conventions, several=bool(classes))


def _with_more(part: SliceResult, own: Structure) -> SliceResult:
    """Return a slice with the figures of the pixels that are decided for its structure."""
    names = "ece", "gap", "dice", "iou", "mean_dice"
    figures = {_DECIDED.get(name, name): getattr(own, name) for name in names}
    after = part.calibrated
    if after is not None and own.calibrated is not None:
        after = _with_more(after, own.calibrated)
    return structs.replace(part, metrics=part.metrics | figures, calibrated=after)


def _with_overlaps(part: SliceResult) -> SliceResult:
    """Return a slice whose confusion tables have Dice and IoU."""
    tables = part.confusion
    if tables is not None:
        tables = tuple(structs.replace(one, dice=one.f1, iou=_iou(one.f1)) for one in tables)
    after = None if part.calibrated is None else _with_overlaps(part.calibrated)
    return structs.replace(part, confusion=tables, calibrated=after)


def _structures(stack: Any, population: Population, conventions: Conventions) -> list[Structure]:
    assert isinstance(population.extra, ImageCounts)
    counts, weight = population.extra.by_image(), population.extra.weights()
    found = []
    for k, name in enumerate(stack.structures):
        decided, every = _pairs(population, k)
        own = counts[:, k] if len(counts) else np.zeros((0, 3), np.int64)
        found.append(_structure(name, decided, every, own, weight, conventions))
    return found


def _pairs(population: Population, k: int) -> tuple[ScoreStats, ScoreStats]:
    """Return the pairs of the pixels decided for a structure, and those that `--at` reads."""
    if population.exclusive:
        return population.top[k], population.top[k]
    stats = population.pairs if population.single else population.classes[k]
    parts = stats.parts
    decided = replace(
        stats,
        table=stats.table.rows(stats.place >= HALF_KEY),
        parts=None if parts is None else parts.rows(parts.places >= HALF_KEY),
    )
    return decided, stats


def _structure(
    name: str,
    decided: ScoreStats,
    every: ScoreStats,
    counts: NDArray[np.int64],
    weight: NDArray[np.float64] | None,
    conventions: Conventions,
) -> Structure:
    level = conventions.confidence
    view = View(decided, conventions.headline)
    figures = intervals.measure(
        view, confidence=level, seed=conventions.seed, names=("mean_score", "ece")
    )
    shown = {name: figure(one) for name, one in overlap(counts, level, weight).items()}
    pixels = [int(v) for v in counts.sum(axis=0)]
    right, wrong, missed = pixels if weight is None else (weight @ counts).tolist()
    return Structure(
        name=name,
        pixels=pixels[0] + pixels[2],
        decided=pixels[0] + pixels[1],
        score=figure(figures["mean_score"]),
        gap=_gap(decided, level),
        ece=figure(figures["ece"]),
        precision=shown["precision"],
        recall=shown["recall"],
        dice=shown["dice"],
        iou=shown["iou"],
        mean_dice=shown["mean_dice"],
        tp=right,
        fp=wrong,
        fn=missed,
        bins=bin_rows(view, level),
        at=readings_of(View(every, conventions.headline), conventions) if conventions.at else None,
    )


def _gap(stats: ScoreStats, level: float | None) -> Figure:
    """Return frequency less mean score, the sign that a bin's gap has: below 0 is over-confident.

    Its variance is that of a mean over clusters.
    """
    if not stats.n:
        return undefined("no pixel is decided for it")
    n, score = float(stats.n), stats.score
    value = float((stats.positives - (stats.total * score).sum()) / n)
    if level is None:
        return Figure(value)
    spread = intervals.variance(stats, ((1.0 - score - value) / n, (-score - value) / n))
    error = intervals.quantile(stats, level) * max(spread, 0.0) ** 0.5
    return Figure(value, value - error, value + error)


def _iou(f1: Figure) -> Figure:
    """Return IoU from Dice: they are one figure on two scales."""
    value, low, high = (
        None if end is None else end / (2.0 - end) for end in (f1.value, f1.low, f1.high)
    )
    return Figure(value, low, high, reason=f1.reason)


def _warnings(
    told: Segmentation,
    hidden: Sequence[Structure],
    average: float | None,
    conventions: Conventions,
    *,
    several: bool,
) -> list[Warning]:
    said = []
    if told.images < FEW_IMAGES and conventions.confidence is not None:
        images = "1 image" if told.images == 1 else f"{told.images} images"
        text = f"{images}: intervals are of images, so they are rough"
        said.append(Warning("few-images", text))
    if told.ignored:
        text = f"{told.ignored:,} pixels have the label to ignore and are left out"
        said.append(Warning("ignored", text))
    if hidden:
        worst = max(hidden, key=lambda one: one.ece.value or 0.0)
        share = worst.decided / max(told.pixels, 1)
        text = (
            f"the average over all pixels hides {len(hidden)} of {len(told.structures)} "
            f"structures: its ECE is {average:.4f}, but {worst.ece.value:.4f} on the "
            f"{share:.2%} of pixels decided as {worst.name!r}"
        )
        said.append(Warning("hidden-structure", text))
    unseen = [repr(one.name) for one in told.structures if not one.pixels]
    if unseen and not several:
        said.append(Warning("absent-class", f"no pixel has the label of {', '.join(unseen)}"))
    return said


def _hidden(structure: Structure, average: float | None, tolerance: float) -> bool:
    """Return whether a structure is beyond tolerance, surely, and twice as bad as the average."""
    ece = structure.ece
    if ece.value is None or average is None:
        return False
    sure = ece.value if ece.low is None else ece.low
    return bool(sure > tolerance and ece.value >= 2.0 * average)
