"""The tables of images: each structure by itself, the average over pixels last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.figures import Figure
from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.tables.slices import reading_cells
from calibcli.render.words import figures
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from calibcli.core.results.measure import MeasureResult, Structure
    from calibcli.core.results.parts.searches import Together
    from calibcli.core.results.threshold import Choice

_OVERLAP = ("precision", "recall", "dice", "iou", "mean_dice")


def structures_table(result: MeasureResult) -> Table | None:
    """Return one row a structure, where it is decided, and one of all pixels; None for rows."""
    told = result.segmentation
    if told is None:
        return None
    tolerance, later = result.conventions.within, result.overall.calibrated
    after = any(one.calibrated is not None for one in told.structures)
    rows = [
        _row(one, tolerance, hidden=one.name in told.hidden, after=after) for one in told.structures
    ]
    rows.append(
        (
            Cell("all pixels", "", "dim"),
            Cell(figures.count(told.pixels)),
            Cell(""),
            figure("ece", result.overall.ece),
            *([figure("ece", None if later is None else later.ece)] if after else []),
            *(Cell("") for _ in range(2 + len(_OVERLAP))),
        )
    )
    interval = level(result.conventions)
    columns = (
        Column("structure", left=True),
        Column("decided"),
        Column("score", rank=6),
        Column("ece", interval),
        *([Column("calibrated", interval)] if after else []),
        Column("gap"),
        Column("scores are", left=True, rank=5),
        *(
            Column(name.replace("_", " "), interval if name == "dice" else "", rank=rank)
            for name, rank in zip(_OVERLAP, (2, 3, 0, 4, 1), strict=True)
        ),
    )
    note = (
        f"Each structure on the pixels decided for it ({told.decided}); gap: precision less "
        "mean score. Intervals are over images."
    )
    return Table("Per structure", columns, tuple(rows), note)


def _row(one: Structure, tolerance: float, *, hidden: bool, after: bool) -> tuple[Cell, ...]:
    gap = one.gap.value
    said, style = _verdict(gap, tolerance)
    mark: Style = "bad" if hidden else ""
    cells = [
        Cell(visible(one.name), "", mark),
        Cell(figures.count(one.decided)),
        figure("score", one.score),
        figure("ece", one.ece, mark),
        *([figure("ece", None if one.calibrated is None else one.calibrated.ece)] if after else []),
        Cell(figures.signed(gap), "", style),
        Cell(said, "", style),
    ]
    for key, item in _overlap(one).items():
        plain = item if key == "dice" else Figure(item.value)
        cells.append(figure(key, plain))
    return tuple(cells)


def _overlap(one: Structure | Together) -> dict[str, Figure]:
    found = (one.precision, one.recall, one.dice, one.iou, one.mean_dice)
    return dict(zip(_OVERLAP, found, strict=True))


def _verdict(gap: float | None, tolerance: float) -> tuple[str, Style]:
    if gap is None:
        return "", ""
    if abs(gap) <= tolerance:
        return "within tolerance", "good"
    return ("over-confident", "bad") if gap < 0 else ("under-confident", "bad")


def at_table(result: MeasureResult) -> Table | None:
    """Return what each structure's scores mean at given confidences; None for rows."""
    structures = () if result.segmentation is None else result.segmentation.structures
    rows = []
    for one in structures:
        for item in one.at or ():
            *cells, said = reading_cells(item)
            rows.append(
                (Cell(visible(one.name)), *cells, Cell(figures.metric(one.ece.value)), said)
            )
    if not rows:
        return None
    columns = (
        Column("class", left=True),
        Column("at"),
        Column("bin", left=True, rank=2),
        Column("pixels", rank=1),
        Column("score"),
        Column("correctness"),
        Column("gap"),
        Column("ece"),
        Column("verdict", left=True),
    )
    return Table("Read at a confidence", columns, tuple(rows))


def regions_table(result: Choice) -> Table | None:
    """Return the mask rule of each structure: how regions are filtered, what it reaches."""
    told = result.regions
    if told is None:
        return None
    rows = []
    for item in result.thresholds:
        title = visible(item.slice.title) if item.slice.kind == "class" else "structure"
        if item.threshold is None:
            rows.append((Cell(title), Cell(item.reason or ""), *(Cell("") for _ in range(6))))
            continue
        plain = None if item.without_regions is None else item.without_regions.value
        same = item.same_regions
        rows.append(
            (
                Cell(title),
                Cell(figures.exact(item.threshold), style="bold"),
                Cell(str(item.min_area)),
                Cell("yes" if item.fill_holes else "no"),
                figure("dice", item.pooled_dice),
                figure("mean_dice", item.mean_dice),
                Cell("" if plain is None else figures.metric(plain)),
                Cell("" if same is None else figures.percent(same)),
            )
        )
    interval = level(result.conventions)
    columns = (
        Column("structure", left=True),
        Column("threshold"),
        Column("least area"),
        Column("fill holes"),
        Column("pooled dice", interval),
        Column("mean dice", interval),
        Column(f"{result.objective} uncleaned", rank=2),
        Column("same in resamples", rank=3),
    )
    note = (
        f"{told.order}; connectivity {told.connectivity}. Thresholds tried: "
        f"{told.thresholds}. Mean dice: the mean over images."
    )
    return Table("Mask rules", columns, tuple(rows), note)


def together_table(result: Choice) -> Table | None:
    """Return what masks reach once each pixel has one structure."""
    told = result.regions
    if told is None or not told.together:
        return None
    rows = tuple(
        (Cell(visible(one.name)), *(figure(key, item) for key, item in _overlap(one).items()))
        for one in told.together
    )
    interval = level(result.conventions)
    columns = (
        Column("structure", left=True),
        *(Column(name.replace("_", " "), interval) for name in _OVERLAP),
    )
    rest = told.background or f"{told.nothing} in the mask"
    note = f"A pixel that several claim: {told.overlap}. A pixel that none claims: {rest}."
    return Table("Masks with one structure a pixel", columns, rows, note)


def facts(result: MeasureResult) -> list[str]:
    """Return the facts beside the headline: images and structures."""
    told = result.segmentation
    if told is None:
        return []
    images, structures = told.images, len(told.structures)
    return [
        f"{figures.count(images)} image{'' if images == 1 else 's'}",
        f"{structures} structure{'' if structures == 1 else 's'}",
    ]
