"""The comparison of two models on the same rows, as a table and as CSV rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render import figures, tabulate
from calibcli.render.layout import Cell, Column, Style, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Result = Mapping[str, Any]


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


def versus_rows(result: Result) -> Iterator[tuple[Any, ...]]:
    """Yield the comparison as rows of the long CSV: second, and the difference, of each metric."""
    compared = result.get("versus") or {}
    for name, item in (compared.get("metrics") or {}).items():
        start = ("overall", "", "", "versus")
        reason = item.get("reason") or ""
        yield ("second", *start, compared["score"], name, item["second"], "", "", reason)
        ends = (item["value"], item["low"], item["high"])
        yield ("difference", *start, compared["score"], name, *ends, reason)


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
