"""Figures of slices, the most harmful first, and of the map of a calibrator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from calibcli.render.charts import maps, reliability, slices
from calibcli.render.charts.drawing import Figure, short
from calibcli.render.tables import common as tabulate
from calibcli.render.words import figures, words
from calibcli.tasks.words import ONE_SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.report import CalibratorFile
    from calibcli.tasks.words import Words

MULTIPLES: Final = 12
DOTS: Final = 40


def by_harm(parts: Sequence[SliceResult]) -> list[SliceResult]:
    """Return slices with the highest ECE first, after calibration where there is one."""
    return sorted(parts, key=lambda p: -(words.ece_of(p) or 0.0))


def kind_word(kind: str) -> str:
    """Return what the slices of a kind are called: class, or the group's column (raw)."""
    return "class" if kind == "class" else kind.removeprefix("group ")


def slices_identity(kind: str, place: int) -> str:
    """Return what the figures of a kind are named by: letters and digits of the column's name."""
    if kind == "class":
        return "class"
    letters = re.sub(r"[^a-z0-9]+", "-", kind_word(kind).lower()).strip("-")[:40]
    return f"group-{place}-{letters}".removesuffix("-")


def calibrates(parts: Sequence[SliceResult]) -> bool:
    """Whether any slice has an ECE; raw scores have none."""
    return any(words.ece_of(part) is not None for part in parts)


def dots_figure(
    kind: str, parts: Sequence[SliceResult], result: MeasureResult, identity: str
) -> Figure:
    """Return ECE of each slice, the most harmful first."""
    params, what = result.conventions, kind_word(kind)
    order = by_harm(parts)
    tolerance = params.within
    interval = tabulate.level(params)
    lines = f"Lines are the {interval}; " if interval else ""
    caption = (
        f"{lines}{'the' if lines else 'The'} dashed line is the tolerance, "
        f"{figures.short(tolerance)}. {words.bins_words(params)}. The most harmful comes first. "
        "Small slices have a higher ECE by chance alone."
    )
    worst = words.worst_slice(order)
    said = f"the worst is {worst.where.title}" if worst else "none has an ECE"
    return Figure(
        f"{identity}-ece",
        slices.dots(order[:DOTS], tolerance=tolerance, title=f"ECE per {what}"),
        f"ECE of {len(order)} slices by {what}; {said}. The table below has the numbers.",
        (("", caption),),
    )


def multiple_figures(
    kind: str, parts: Sequence[SliceResult], result: MeasureResult, identity: str
) -> list[Figure]:
    """Return small reliability diagrams of the most harmful slices."""
    task = ONE_SCORE if kind == "class" else words.task_of(result)
    shown = [part for part in by_harm(parts) if part.bins][:MULTIPLES]
    return [_multiple(part, task, f"{identity}-{i + 1}") for i, part in enumerate(shown)]


def _multiple(part: SliceResult, task: Words, identity: str) -> Figure:
    name, after = part.where.title, part.calibrated
    ece = figures.with_interval(part.ece)
    if after is None or not after.bins:
        spec = reliability.reliability(part.bins, task=task, title=short(name), small=True)
        return Figure(identity, spec, f"Reliability of {name}: ECE {ece}", (("", f"ECE {ece}"),))
    later = figures.with_interval(after.ece)
    spec = reliability.reliability_pair(part.bins, after.bins, task=task, title=short(name))
    says = f"Reliability of {name}: ECE {ece}, after calibration {later}"
    return Figure(identity, spec, says, (("before", ece), ("after", later)))


def map_figures(chosen: CalibratorFile) -> list[Figure]:
    """Return the map of a fitted calibrator, with its interval."""
    points = chosen.map
    if not points:
        return []
    interval = tabulate.level(chosen.conventions)
    band = f"The band is the {interval} of the map, by bootstrap. " if interval else ""
    spec = maps.calibration_map(points, title="The calibrator's map")
    says = f"Calibrated probability against score at {len(points)} scores; the table has them."
    caption = f"{band}On the dashed line a score is left as it is."
    return [Figure("calibrator-map", spec, says, (("", caption),))]
