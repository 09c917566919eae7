"""The tables of images: each structure by itself, the average over pixels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.results.figures import Reading
from calibcli.core.results.reading import typed_as
from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.tables.slices import reading_cells
from calibcli.render.words import figures, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    Result = Mapping[str, Any]

_OVERLAP = ("precision", "recall", "dice", "iou", "mean_dice")


def structures_table(result: Result) -> Table | None:
    """Return one row a structure, where it is decided, and one of all pixels; None for rows."""
    told = result.get("segmentation")
    if not told:
        return None
    tolerance = words.tolerance_of(result.get("params") or {})
    after = any("calibrated" in one for one in told["structures"])
    rows = []
    for one in told["structures"]:
        rows.append(_row(visible(one["name"]), one, told, tolerance, after=after))
    metrics = result["overall"]["metrics"]
    later = (result["overall"].get("calibrated") or {}).get("metrics") or {}
    rows.append(
        (
            Cell("all pixels", "", "dim"),
            Cell(figures.count(told["pixels"])),
            Cell(""),
            figure("ece", metrics.get("ece")),
            *([figure("ece", later.get("ece"))] if after else []),
            *(Cell("") for _ in range(2 + len(_OVERLAP))),
        )
    )
    interval = level(result.get("params") or {})
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
        f"Each structure on the pixels decided for it ({told['decided']}); gap: precision less "
        "mean score. Intervals are over images."
    )
    return Table("Per structure", columns, tuple(rows), note)


def _row(
    name: str, one: Result, told: Result, tolerance: float, *, after: bool
) -> tuple[Cell, ...]:
    gap = one["gap"]["value"]
    said, style = _verdict(gap, tolerance)
    hidden = one["name"] in told.get("hidden", [])
    mark: Style = "bad" if hidden else ""
    later = (one.get("calibrated") or {}).get("ece")
    cells = [
        Cell(name, "", mark),
        Cell(figures.count(one["decided"])),
        figure("score", one["score"]),
        figure("ece", one["ece"], mark),
        *([figure("ece", later)] if after else []),
        Cell(figures.signed(gap), "", style),
        Cell(said, "", style),
    ]
    for key in _OVERLAP:
        item = one[key]
        plain = item if key == "dice" else {"value": item["value"]}
        cells.append(figure(key, plain))
    return tuple(cells)


def _verdict(gap: float | None, tolerance: float) -> tuple[str, Style]:
    if gap is None:
        return "", ""
    if abs(gap) <= tolerance:
        return "within tolerance", "good"
    return ("over-confident", "bad") if gap < 0 else ("under-confident", "bad")


def at_table(result: Result) -> Table | None:
    """Return what each structure's scores mean at given confidences; None for rows."""
    told = result.get("segmentation") or {}
    rows = []
    for one in told.get("structures", []):
        for item in one.get("at") or []:
            *cells, verdict = reading_cells(typed_as(item, Reading))
            own = Cell(figures.metric(one["ece"]["value"]))
            rows.append((Cell(visible(one["name"])), *cells, own, verdict))
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


def regions_table(result: Result) -> Table | None:
    """Return the mask rule of each structure: how regions are filtered, what it reaches."""
    told = result.get("regions")
    if not told:
        return None
    rows = []
    for item in result["thresholds"]:
        if item["threshold"] is None:
            rows.append((Cell(_title(item)), Cell(item["reason"]), *(Cell("") for _ in range(6))))
            continue
        plain = (item.get("without_regions") or {}).get("value")
        rows.append(
            (
                Cell(_title(item)),
                Cell(figures.exact(item["threshold"]), style="bold"),
                Cell(str(item["min_area"])),
                Cell("yes" if item["fill_holes"] else "no"),
                figure("dice", item["pooled_dice"]),
                figure("mean_dice", item["mean_dice"]),
                Cell(figures.metric(plain) if plain is not None else ""),
                Cell(figures.percent(item["same_regions"]) if "same_regions" in item else ""),
            )
        )
    interval = level(result.get("params") or {})
    columns = (
        Column("structure", left=True),
        Column("threshold"),
        Column("least area"),
        Column("fill holes"),
        Column("pooled dice", interval),
        Column("mean dice", interval),
        Column(f"{result['objective']} uncleaned", rank=2),
        Column("same in resamples", rank=3),
    )
    note = (
        f"{told['order']}; connectivity {told['connectivity']}. Thresholds tried: "
        f"{told['thresholds']}. Mean dice: the mean over images."
    )
    return Table("Mask rules", columns, tuple(rows), note)


def together_table(result: Result) -> Table | None:
    """Return what masks reach once each pixel has one structure."""
    told = result.get("regions") or {}
    if not told.get("together"):
        return None
    rows = tuple(
        (Cell(visible(one["name"])), *(figure(key, one[key]) for key in _OVERLAP))
        for one in told["together"]
    )
    interval = level(result.get("params") or {})
    columns = (
        Column("structure", left=True),
        *(Column(name.replace("_", " "), interval) for name in _OVERLAP),
    )
    rest = told["background"] or f"{told['nothing']} in the mask"
    note = f"A pixel that several claim: {told['overlap']}. A pixel that none claims: {rest}."
    return Table("Masks with one structure a pixel", columns, rows, note)


def _title(item: Result) -> str:
    where = item["slice"]
    return visible(where["name"]) if where["kind"] == "class" else "structure"


def facts(result: Result) -> list[str]:
    """Return the facts beside the headline: images and structures."""
    told = result.get("segmentation") or {}
    if not told:
        return []
    images, structures = told["images"], len(told["structures"])
    return [
        f"{figures.count(images)} image{'' if images == 1 else 's'}",
        f"{structures} structure{'' if structures == 1 else 's'}",
    ]
