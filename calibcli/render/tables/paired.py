"""The comparison of two models on the same rows, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    Result = Mapping[str, Any]

PROPER = ("nll", "brier")


def versus_table(result: Result) -> Table | None:
    """Return the metrics of both models and their paired differences; None without --versus."""
    compared = result.get("versus")
    if not compared:
        return None
    rows = tuple(
        (
            Cell(name),
            Cell(figures.named(name, {"value": item["first"]})),
            Cell(figures.named(name, {"value": item["second"]})),
            _difference(name, item),
        )
        for name, item in compared["metrics"].items()
    )
    columns = (
        Column("metric", left=True),
        Column("first"),
        Column(f"second ({compared['score']})"),
        Column("difference", tabulate.level(result.get("params") or {})),
    )
    caption = f"Versus {compared['score']}: second less first, paired"
    return Table(caption, columns, rows, f"{_capital(compared['verdict'])}.")


def calibrated_table(result: Result) -> Table | None:
    """Return the two proper scores with the first model calibrated; None without a calibrator."""
    compared = (result.get("versus") or {}).get("calibrated")
    if not compared:
        return None
    name = result["versus"]["score"]
    rows = tuple(
        (
            Cell(score),
            Cell(figures.named(score, {"value": item["first"]})),
            Cell(figures.named(score, {"value": item["second"]})),
            _difference(score, item),
        )
        for score, item in compared["metrics"].items()
        if score in (*PROPER, "ece")
    )
    columns = (
        Column("metric", left=True),
        Column("first, calibrated"),
        Column(f"second ({name})"),
        Column("difference", tabulate.level(result.get("params") or {})),
    )
    caption = f"Versus {name}: the first model after the calibrator, the second as it is"
    return Table(caption, columns, rows, f"{_capital(compared['verdict'])}.")


def slices_table(result: Result) -> Table | None:
    """Return the differences of the proper scores in each class and group; None without any."""
    compared = result.get("versus") or {}
    parts = [*(compared.get("classes") or []), *(compared.get("groups") or [])]
    if not parts:
        return None
    rows = tuple(
        (
            Cell(words.slice_name(part)),
            *(_difference(score, part["metrics"][score]) for score in PROPER),
        )
        for part in parts
    )
    level = tabulate.level(result.get("params") or {})
    columns = (Column("slice", left=True), *(Column(score, level) for score in PROPER))
    return Table(f"Versus {compared['score']}, by slice: second less first", columns, rows)


def _difference(name: str, item: Result) -> Cell:
    low, high = item["low"], item["high"]
    detail = figures.interval(item)
    style: Style = ""
    if low is not None and not low <= 0.0 <= high:
        better = name in (tabulate.HIGHER_IS_BETTER if low > 0.0 else tabulate.LOWER_IS_BETTER)
        worse = name in (tabulate.LOWER_IS_BETTER if low > 0.0 else tabulate.HIGHER_IS_BETTER)
        style = "good" if better else "bad" if worse else ""
    return Cell(figures.named(name, {"value": item["value"]}), detail, style)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
