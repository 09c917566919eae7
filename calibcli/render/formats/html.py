"""The report as one page: self-contained, no network, light and dark, screen and paper.

The page's Content-Security-Policy allows its own style sheet and the scripts of its levers and
tables, by hash, and nothing else; even a name that found its way past the escaping could neither
run nor fetch.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from calibcli.render.assets import asset
from calibcli.render.page import decisions as decisions_html
from calibcli.render.page import sections
from calibcli.render.page.first import first_screen
from calibcli.render.page.levers import data_block, levers
from calibcli.render.page.parts import SORTS, contents
from calibcli.render.page.style import STYLE
from calibcli.render.tables import documents
from calibcli.render.words import words
from calibcli.render.words.names import html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.report import ReportResult


def render_report_html(report: ReportResult) -> str:
    """Return the report page as HTML text.

    The same report gives the same bytes. However many classes and groups there are, the page stays
    small: diagrams are drawn for the worst, and the page says what it left out.
    """
    measure = report.measure
    title = report.title or "Calibration report"
    moving, data = levers(report)
    body = [sections.reliability(measure)]
    for place, (kind, parts) in enumerate(words.slices_by_kind(measure).items()):
        body.append(sections.slices_section(kind, parts, measure, place))
    body += [
        sections.confusions(measure),
        moving,
        decisions_html.curves(report),
        decisions_html.thresholds(report),
        decisions_html.trade_offs(report),
        sections.drift(measure),
        sections.periods(measure),
        sections.metrics(measure),
    ]
    if report.calibrator is not None:
        body.append(sections.calibrator(report.calibrator, report.conventions))
    body.append(sections.data(report))
    page = "".join(body)
    scripts = [asset("levers.js")] if data else []
    scripts += [asset("tables.js")] if f'class="{SORTS}"' in page else []
    facts = ", ".join([documents.inputs_line(report.inputs), *documents.measure_facts(measure)])
    told = words.settings(report.conventions)
    settings = f"; {told}" if told else ""
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8">\n{_policy(scripts)}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html(title)}</title>\n<style>{STYLE}</style></head>\n"
        f'<body><header class="page"><h1>{html(title)}</h1>\n'
        f"{first_screen(report)}{sections.tiles_html(measure)}"
        f'<p class="note">{html(words.conventions(measure))}; {html(facts + settings)}.</p>\n'
        f"{sections.warnings_html(report.warnings)}{contents(page)}</header>\n"
        f"<main>{page}</main>\n"
        f"<footer><p>Made by calibcli {html(report.calibcli)}. This page is one file "
        "and asks the network for nothing. Exact numbers: <code>--format json</code>.</p>"
        "</footer>\n"
        f"{data_block(data) if data else ''}{''.join(f'<script>{one}</script>' for one in scripts)}"
        "</body></html>\n"
    )


def _policy(scripts: Sequence[str]) -> str:
    told = " ".join(f"'{_digest(one)}'" for one in scripts)
    rules = [
        "default-src 'none'",
        f"style-src '{_digest(STYLE)}'",
        *([f"script-src {told}"] if told else []),
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ]
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"
