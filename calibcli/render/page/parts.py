"""The pieces of the report page: tables, figures, facts. Every text goes through `names.html`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from calibcli.render.charts import vega
from calibcli.render.words import figures
from calibcli.render.words.names import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calibcli.core.results.figures import Interval
    from calibcli.render.charts.drawing import Figure
    from calibcli.render.tables.layout import Cell, Column, Table


LONG: Final = 28
_HEADING: Final = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')


SORTS: Final = "scroll sorts"
"""Class of the tables that `assets/tables.js` sorts and filters."""


def table_html(table: Table, *, caption: bool = True, sorts: bool = False) -> str:
    """Return a table that scrolls sideways by itself where the screen is narrow.

    `sorts`: its rows are classes or groups, which can be sorted and filtered.
    """
    head = "".join(_head(column) for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(_cell(c, table.columns[i], i == 0) for i, c in enumerate(row))}</tr>"
        for row in table.rows
    )
    note = note_html(table.note) if table.note else ""
    said = f"<caption>{html(table.caption)}</caption>" if caption else ""
    look = SORTS if sorts and len(table.rows) > 2 else "scroll"
    return (
        f'<div class="{look}" role="group" tabindex="0" aria-label="{html(table.caption)}">'
        f"<table>{said}<thead>{_groups(table)}<tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}\n"
    )


def _groups(table: Table) -> str:
    cells = "".join(
        f'<th scope="colgroup" colspan="{span}" class="g">{html(title)}</th>'
        if title
        else f'<td colspan="{span}" class="g"></td>'
        for title, span in table.groups
    )
    return f"<tr>{cells}</tr>" if cells else ""


def _head(column: Column) -> str:
    tag = "th" if column.title else "td"
    scope = ' scope="col"' if column.title else ""
    look = ' class="l"' if column.left else ""
    detail = f" <small>{html(column.detail)}</small>" if column.detail else ""
    return f"<{tag}{scope}{look}>{html(column.title)}{detail}</{tag}>"


def _cell(cell: Cell, column: Column, first: bool) -> str:
    long = "long" if len(cell.text) > LONG else ""
    looks = [look for look in ("l" if column.left else "", long, cell.style) if look]
    look = f' class="{" ".join(looks)}"' if looks else ""
    text = f"<bdi>{html(cell.text)}</bdi>" if column.left and cell.text else html(cell.text)
    detail = f" <small>{html(cell.detail)}</small>" if cell.detail else ""
    if first and cell.text:
        return f'<th scope="row"{look}>{text}{detail}</th>'
    return f"<td{look}>{text}{detail}</td>"


def figure_html(figure: Figure) -> str:
    """Return a figure with its chart as SVG."""
    # The words beside it speak for the chart; its own marks would be read one by one.
    svg = vega.chart_svg(figure.spec, figure.identity).replace("<svg", '<svg aria-hidden="true"', 1)
    lines = "<br>".join(
        f'<span><span class="key {stage}"></span>{stage} {html(text)}</span>'
        if stage
        else f"<span>{html(text)}</span>"
        for stage, text in figure.caption
    )
    below = f"<figcaption>{lines}</figcaption>" if lines else ""
    return (
        f'<figure><div class="chart" role="img" aria-label="{html(figure.says)}">{svg}</div>'
        f"{below}</figure>\n"
    )


def tables_html(tables: Iterable[Table | None], *, sorts: bool = False) -> str:
    """Return the tables that there are, one below the other."""
    return "".join(table_html(one, sorts=sorts) for one in tables if one)


def note_html(text: str) -> str:
    """Return a quiet line (raw text)."""
    return f'<p class="note">{html(text)}</p>'


def figures_html(figures: Iterable[Figure], look: str = "") -> str:
    """Return figures side by side, as many as fit."""
    inside = "".join(map(figure_html, figures))
    return f'<div class="figures {look}">{inside}</div>\n' if inside else ""


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Return a list of terms and values (raw texts)."""
    rows = "".join(f"<dt>{html(term)}</dt><dd>{html(value)}</dd>" for term, value in facts)
    return f"<dl>{rows}</dl>\n" if rows else ""


def details_html(summary: str, body: str) -> str:
    """Return a part that opens on demand."""
    return f"<details><summary>{html(summary)}</summary>{body}</details>\n"


def section_html(title: str, identity: str, body: str, lead: str = "") -> str:
    """Return a section with its heading; `lead` is raw text."""
    said = f'<p class="lead">{html(lead)}</p>' if lead else ""
    return (
        f'<section aria-labelledby="{identity}"><h2 id="{identity}">{html(title)}</h2>'
        f"{said}{body}</section>\n"
    )


def contents(page: str) -> str:
    """Return links to the sections of a page that `section_html` made."""
    links = "".join(
        f'<li><a href="#{identity}">{title}</a></li>' for identity, title in _HEADING.findall(page)
    )
    return f'<nav aria-label="On this page"><ul>{links}</ul></nav>\n' if links else ""


def tile_html(name: str, meaning: str, before: Interval, after: Interval | None) -> str:
    """Return a headline figure, before and after, with intervals."""
    shown = before if after is None else after
    detail = f"<small>{html(_bounds(shown))}</small>"
    if after is not None:
        was = f"was {figures.named(name, before)} {_bounds(before)}"
        detail += f"<small>{html(was)}</small>"
    return (
        f'<li><span class="name">{html(name)}: {html(meaning)}</span>'
        f'<div class="figure">{html(figures.named(name, shown))}</div>{detail}</li>'
    )


def _bounds(figure: Interval) -> str:
    return figures.interval(figure) or figure.reason or ""
