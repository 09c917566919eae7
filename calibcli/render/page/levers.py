"""The levers of the report page: a cut-off that moves its counts, a confidence that reads slices.

The script gets numbers and finished texts as JSON in a block that is no script; names are text of
the page only. The counts are exact at every cut-off that is listed, so the lever shows what
`measure --threshold` prints there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from calibcli.core.results.base import plain
from calibcli.core.results.parts.curves import OutcomeCosts
from calibcli.render.charts.gallery_slices import by_harm
from calibcli.render.page.parts import note_html, section_html
from calibcli.render.tables import common as tabulate
from calibcli.render.words import figures, words
from calibcli.render.words.names import html
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Bin, Where
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.curves import Cutoffs
    from calibcli.core.results.report import ReportResult

SHOWN: Final = 40
"""Slices of the confidence lever that show without a click."""
BINS: Final = 12_000
"""Bins of all slices together that the page carries."""

_VERDICTS: Final = {"within tolerance": 1, "over-confident": 2, "under-confident": 3}
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}


def levers(report: ReportResult) -> tuple[str, dict[str, Any]]:
    """Return the sections of both levers, and the data that moves them (empty without any)."""
    cut_page, cut = _cutoff(report)
    read_page, read = _confidence(report.measure)
    data = {name: value for name, value in (("cut", cut), ("read", read)) if value}
    if not data:
        return "", {}
    page = cut_page + read_page
    note = "The levers of this page need JavaScript; its tables and charts do not."
    return f"<noscript>{note_html(note)}</noscript>\n{page}", data


def _hidden(section: str) -> str:
    """Return a section that the script shows: without it, it would be empty."""
    return f'<div class="lever" hidden>{section}</div>\n'


def data_block(data: Mapping[str, Any]) -> str:
    """Return data as a block that no browser runs, whatever it holds."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char, escape in _ESCAPES.items():
        text = text.replace(char, escape)
    return f'<script type="application/json" id="levers-data">{text}</script>\n'


# -- the cut-off -----------------------------------------------------------------------------------


def _cutoff(report: ReportResult) -> tuple[str, dict[str, Any]]:
    measure = report.measure
    found = list(_with_cutoffs(measure))
    if not found:
        return "", {}
    curve = measure.overall.last.cost_curve
    costs = structs.asdict(OutcomeCosts(1, 1, 0, 0) if curve is None else curve.costs)
    options = "".join(
        f'<option value="{place}">{html(name)}</option>' for place, (name, _) in enumerate(found)
    )
    data = {"slices": [plain(cutoffs) for _, cutoffs in found], "start": _start(report)}
    score = "score" if measure.overall.calibrated is None else "calibrated probability"
    lead = (
        f"A row counts as positive, an alert, when its {score} >= the cut-off. Move it with the "
        "mouse or the arrow keys, or type it; measure --threshold gives the same counts, with "
        "intervals."
    )
    body = _CUTOFF.format(
        options=options,
        cells="".join(_matrix_row(*row) for row in _MATRIX),
        readings="".join(
            f'<div><dt>{term}</dt><dd id="cut-{name}"></dd></div>' for name, term in _READINGS
        ),
        costs="".join(
            f'<label for="cost-{name}">{name.upper()} <input id="cost-{name}" type="number" '
            f'step="any" inputmode="decimal" value="{figures.short(costs[name])}"></label>'
            for name in ("fp", "fn", "tp", "tn")
        ),
    )
    left = _slices(measure) - len(found)
    if left > 0:
        body += note_html(f"Left out here: {left} slices with a lower ECE.") + "\n"
    return _hidden(section_html("Move the cut-off", "lever", body, lead)), data


def _with_cutoffs(measure: MeasureResult) -> Iterator[tuple[str, Cutoffs]]:
    """Yield (name, cut-offs): those of all rows first, the most harmful next."""
    overall = measure.overall
    after = overall.calibrated
    if after is not None and after.cutoffs is not None:
        yield "all rows", after.cutoffs
    if overall.cutoffs is not None:
        yield ("all rows" if after is None else "all rows, before calibration"), overall.cutoffs
    for part in by_harm([*measure.classes, *measure.groups]):
        if part.last.cutoffs is not None:
            yield _name(part.where), part.last.cutoffs


def _slices(measure: MeasureResult) -> int:
    """Return how many slices have cut-offs of their own to move.

    Where a row has a score for each class, only classes can be cut.
    """
    if measure.overall.confusion is None:
        return len(measure.classes)
    before = measure.overall.calibrated is not None
    return 1 + before + len(measure.classes) + len(measure.groups)


def _name(where: Where) -> str:
    return f"{where.column} = {where.title}" if where.kind == "group" else f"class {where.title}"


def _start(report: ReportResult) -> float:
    """Return where the lever starts: the chosen cut-off, else the first that was measured."""
    for item in report.thresholds.thresholds if report.thresholds is not None else ():
        if item.slice.kind == "overall" and item.threshold is not None:
            return item.threshold
    tables = report.measure.overall.confusion
    asked = report.measure.conventions.thresholds or [0.5]
    return (tables[0].threshold if tables else None) or asked[0]


_READINGS: Final = (
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("specificity", "specificity"),
    ("fpr", "false positive rate"),
    ("alerts", "alerts"),
    ("cost", "expected cost per row"),
    ("total", "cost of these rows"),
)
_MATRIX: Final = (
    ("label 1", (("tp", "TP"), ("fn", "FN"))),
    ("label 0", (("fp", "FP"), ("tn", "TN"))),
)


def _matrix_row(label: str, cells: Sequence[tuple[str, str]]) -> str:
    inside = "".join(
        f'<td class="count" id="cell-{name}">{short} <b id="cut-{name}"></b>'
        f'<small id="cut-{name}-share"></small></td>'
        for name, short in cells
    )
    return f'<tr><th scope="row">{label}</th>{inside}</tr>'


_CUTOFF: Final = """<div class="controls">
<label for="cut-rows">Rows<select id="cut-rows">{options}</select></label>
<label class="grow" for="cut-slider">Cut-off<input id="cut-slider" type="range" min="0"
step="1"></label>
<label for="cut-at">as a number<input id="cut-at" class="wide" type="number" min="0" step="any"
inputmode="decimal"></label>
<button type="button" id="cut-cheapest">Cheapest</button>
<button type="button" id="cut-reset">Reset</button></div>
<p class="note" id="cut-used"></p>
<div class="result"><table class="matrix"><caption class="said">Confusion matrix at the cut-off
</caption><thead><tr>
<td></td><th scope="col">positive</th><th scope="col">negative</th></tr></thead>
<tbody>{cells}</tbody></table>
<div><dl class="readings">{readings}</dl>
<fieldset class="costs"><legend>What one row of each kind costs</legend>{costs}</fieldset></div>
</div>
<p class="said" id="cut-said" role="status"></p>
"""


# -- the confidence --------------------------------------------------------------------------------


def _confidence(measure: MeasureResult) -> tuple[str, dict[str, Any]]:
    params, overall = measure.conventions, measure.overall
    parts = [overall, *by_harm([*measure.classes, *measure.groups])]
    parts = [part for part in parts if part.bins]
    if not parts:
        return "", {}
    sides = 1 if overall.calibrated is None else 2
    room = max(BINS // (sides * max(len(part.bins) for part in parts)), 1)
    kept = parts[:room]
    shared = None if params.binning == "mass" and not params.edges else _edges(overall)
    data = {
        "start": (params.at or [0.8])[0],
        "closed": params.closed,
        "edges": shared,
        "slices": [
            [
                _side(side, params, edges=shared is None)
                for side in (part.calibrated, part)
                if side is not None
            ]
            for part in kept
        ],
    }
    names = ["all rows", *(_name(part.where) for part in kept[1:])]
    rows = "".join(
        f'<tr{" class=more" if place >= SHOWN else ""}><th scope="row" class="l"><bdi>{html(name)}'
        f"</bdi></th>{'<td></td>' * 6}</tr>"
        for place, name in enumerate(names)
    )
    task = words_of(measure.task)
    score, frequency = task.score, task.frequency
    level = tabulate.level(params)
    heads = ("rows", f"mean {score}", frequency, "gap", f"ECE {level}".strip(), "verdict")
    stages = _STAGES if sides == 2 else ""
    more = ""
    if len(kept) > SHOWN:
        more = (
            '<button type="button" id="read-more" aria-expanded="false" '
            f'aria-controls="read-table">All {len(kept)} rows</button>'
        )
    body = _CONFIDENCE.format(
        stages=stages,
        heads="".join(f'<th scope="col">{html(head)}</th>' for head in heads),
        rows=rows,
        more=more,
    )
    if len(parts) > len(kept):
        left = len(parts) - len(kept)
        body += note_html(f"Left out here: {left} slices with a lower ECE.") + "\n"
    tolerance = figures.short(params.within)
    chance = (
        f" Of gaps that are none, one in {words.odds(params)} looks beyond chance." if level else ""
    )
    lead = (
        f"When the {score} is about this high, how often is it right? The gap is {frequency} less "
        f"{score} in the bin that holds the level ({words.bins_words(params)}); up to {tolerance} "
        f"is within tolerance.{chance}"
    )
    return _hidden(section_html("Read at a confidence", "confidence", body, lead)), data


def _edges(part: SliceResult) -> dict[str, list[float]]:
    return {"low": [row.low for row in part.bins], "high": [row.high for row in part.bins]}


def _side(part: SliceResult, params: Conventions, *, edges: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ece": figures.with_interval(part.ece),
        "bins": [_reading(row, params) for row in part.bins],
    }
    return {**made, "edges": _edges(part)} if edges else made


def _reading(row: Bin, params: Conventions) -> list[Any] | int:
    """Return one bin as (rows, score, frequency, gap, verdict, beyond chance); 0 where empty."""
    if not row.count or row.gap is None:
        return 0
    gap = row.gap
    verdict = "within tolerance"
    if abs(gap) > params.within:
        verdict = "over-confident" if gap < 0 else "under-confident"
    score, low, high = row.score or 0.0, row.frequency_low, row.frequency_high
    sure = low is not None and high is not None and not low <= score <= high
    return [
        row.count,
        figures.metric(row.score),
        figures.metric(row.frequency),
        figures.signed(gap),
        _VERDICTS[verdict],
        int(sure),
    ]


_STAGES: Final = """<fieldset class="stages"><legend>Scores</legend>
<label><input type="radio" name="read-stage" value="1">before</label>
<label><input type="radio" name="read-stage" value="0" checked>after calibration</label></fieldset>
"""
_CONFIDENCE: Final = """<div class="controls">{stages}
<label class="grow" for="read-slider">Confidence<input id="read-slider" type="range" min="0" max="1"
step="0.01"></label>
<label for="read-at">as a number<input id="read-at" type="number" min="0" max="1" step="0.01"
inputmode="decimal"></label>{more}</div>
<p id="read-worst"></p>
<div class="scroll" role="group" tabindex="0" aria-label="Slices at this confidence">
<table id="read-table"><caption class="said">Slices at this confidence</caption>
<thead><tr><th scope="col" class="l">slice</th>{heads}</tr></thead>
<tbody id="read-rows">{rows}</tbody></table></div>
<p class="said" id="read-said" role="status"></p>
"""
