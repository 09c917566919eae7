"""The tables of images: each structure by itself, the average over pixels last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.figures import Figure
from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.tables.slices import reading_cells
from calibcli.render.words import figures
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from calibcli.core.results.base import Number
    from calibcli.core.results.figures import Reading
    from calibcli.core.results.measure import MeasureResult, Structure
    from calibcli.core.results.parts.searches import Together
    from calibcli.core.results.threshold import Choice, CutOff
    from calibcli.render.tables.layout import Row, Style

_OVERLAP = ("precision", "recall", "dice", "iou", "mean_dice")


def structures_table(result: MeasureResult) -> Table | None:
    """Return one row a structure, where it is decided, and one of all pixels; None for rows."""
    told = result.segmentation
    if told is None:
        return None
    after = any(one.calibrated is not None for one in told.structures)
    later, interval = result.overall.calibrated, level(result.conventions)
    shown = {"precision": 2, "recall": 3, "dice": 0, "iou": 4, "mean_dice": 1}

    def row(
        name: Cell,
        decided: Number,
        ece: Cell,
        calibrated: Figure | None,
        one: Structure | None = None,
    ) -> Row:
        gap = None if one is None else one.gap.value
        said, style = _verdict(gap, result.conventions.within)
        overlap = {} if one is None else _overlap(one)
        yield Column("structure", left=True), name
        yield Column("decided"), figures.count(decided)
        yield Column("score", rank=6), figure("score", None if one is None else one.score)
        yield Column("ece", interval), ece
        if after:
            yield Column("calibrated", interval), figure("ece", calibrated)
        yield Column("gap"), Cell("" if one is None else figures.signed(gap), "", style)
        yield Column("scores are", left=True, rank=5), Cell(said, "", style)
        for key, rank in shown.items():
            item, whole = overlap.get(key), key == "dice"
            plain = item if item is None or whole else Figure(item.value)
            yield (
                Column(key.replace("_", " "), interval if whole else "", rank=rank),
                figure(key, plain),
            )

    rows = []
    for one in told.structures:
        mark: Style = "bad" if one.name in told.hidden else ""
        name, ece = Cell(visible(one.name), "", mark), figure("ece", one.ece, mark)
        rows.append(
            row(name, one.decided, ece, None if one.calibrated is None else one.calibrated.ece, one)
        )
    whole = Cell("all pixels", "", "dim"), told.pixels, figure("ece", result.overall.ece)
    rows.append(row(*whole, None if later is None else later.ece))
    note = (
        f"Each structure on the pixels decided for it ({told.decided}); gap: precision less "
        "mean score. Intervals are over images."
    )
    return Table.of("Per structure", rows, note)


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

    def row(one: Structure, item: Reading) -> Row:
        *cells, verdict = reading_cells(item, "pixels", (2, 1, 0))
        yield Column("class", left=True), visible(one.name)
        yield from cells
        yield Column("ece"), figures.metric(one.ece.value)
        yield verdict

    rows = [row(one, item) for one in structures for item in one.at or ()]
    return Table.of("Read at a confidence", rows) if rows else None


def regions_table(result: Choice) -> Table | None:
    """Return the mask rule of each structure: how regions are filtered, what it reaches."""
    told = result.regions
    if told is None:
        return None
    interval = level(result.conventions)

    def row(item: CutOff) -> Row:
        title = visible(item.slice.title) if item.slice.kind == "class" else "structure"
        plain = None if item.without_regions is None else item.without_regions.value
        same, cut = item.same_regions, Cell(figures.exact(item.threshold), style="bold")
        cells: list[Cell | str] = [
            cut,
            str(item.min_area),
            "yes" if item.fill_holes else "no",
            figure("dice", item.pooled_dice),
            figure("mean_dice", item.mean_dice),
            "" if plain is None else figures.metric(plain),
            "" if same is None else figures.percent(same),
        ]
        if item.threshold is None:
            cells = [item.reason or "", *[""] * 6]
        yield Column("structure", left=True), title
        yield from zip(columns, cells, strict=True)

    columns = (
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
    return Table.of("Mask rules", map(row, result.thresholds), note)


def together_table(result: Choice) -> Table | None:
    """Return what masks reach once each pixel has one structure."""
    told = result.regions
    if told is None or not told.together:
        return None

    def row(one: Together) -> Row:
        yield Column("structure", left=True), visible(one.name)
        for name, item in _overlap(one).items():
            yield Column(name.replace("_", " "), level(result.conventions)), figure(name, item)

    rest = told.background or f"{told.nothing} in the mask"
    note = f"A pixel that several claim: {told.overlap}. A pixel that none claims: {rest}."
    return Table.of("Masks with one structure a pixel", map(row, told.together), note)


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
