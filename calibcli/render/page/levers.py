"""The levers of the report page: a cut-off that moves its counts, a confidence that reads slices.

The script gets numbers and finished texts as JSON in a block that is no script; names are text of
the page only. The counts are exact at every cut-off that is listed, so the lever shows what
`measure --threshold` prints there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts.gallery_slices import by_harm
from calibcli.render.page.parts import section_html
from calibcli.render.tables import common as tabulate
from calibcli.render.words import figures, words
from calibcli.render.words.names import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Result = Mapping[str, Any]

SHOWN: Final = 40
"""Slices of the confidence lever that show without a click."""
BINS: Final = 12_000
"""Bins of all slices together that the page carries."""

_VERDICTS: Final = {"within tolerance": 1, "over-confident": 2, "under-confident": 3}
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}


def levers(report: Result) -> tuple[str, dict[str, Any]]:
    """Return the sections of both levers, and the data that moves them (empty without any)."""
    cut_page, cut = _cutoff(report)
    read_page, read = _confidence(report["measure"])
    data = {name: value for name, value in (("cut", cut), ("read", read)) if value}
    if not data:
        return "", {}
    page = cut_page + read_page
    note = "The levers of this page need JavaScript; its tables and charts do not."
    return f'<noscript><p class="note">{note}</p></noscript>\n{page}', data


def _hidden(section: str) -> str:
    """Return a section that the script shows: without it, it would be empty."""
    return f'<div class="lever" hidden>{section}</div>\n'


def data_block(data: Result) -> str:
    """Return data as a block that no browser runs, whatever it holds."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char, escape in _ESCAPES.items():
        text = text.replace(char, escape)
    return f'<script type="application/json" id="levers-data">{text}</script>\n'


# -- the cut-off -----------------------------------------------------------------------------------


def _cutoff(report: Result) -> tuple[str, dict[str, Any]]:
    measure = report["measure"]
    found = list(_with_cutoffs(measure))
    if not found:
        return "", {}
    overall = measure["overall"].get("calibrated") or measure["overall"]
    costs = (overall.get("cost_curve") or {}).get("costs") or {"fp": 1, "fn": 1, "tp": 0, "tn": 0}
    slices = [{**part["cutoffs"]} for _, part in found]
    options = "".join(
        f'<option value="{place}">{html(name)}</option>' for place, (name, _) in enumerate(found)
    )
    data = {"slices": slices, "start": _start(report)}
    score = "calibrated probability" if measure["overall"].get("calibrated") else "score"
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
    left = _slices(measure) - sum("slice" in part for _, part in found)
    if left > 0:
        body += f'<p class="note">Left out here: {left} slices with a lower ECE.</p>\n'
    return _hidden(section_html("Move the cut-off", "lever", body, lead)), data


def _with_cutoffs(measure: Result) -> Iterable[tuple[str, Result]]:
    """Yield (name, the result that has cut-offs): all rows first, the most harmful next."""
    overall = measure["overall"]
    after = overall.get("calibrated")
    if after and after.get("cutoffs"):
        yield "all rows", {**after, "slice": overall["slice"]}
    if overall.get("cutoffs"):
        yield ("all rows, before calibration" if after else "all rows"), overall
    for part in by_harm([*(measure.get("classes") or []), *(measure.get("groups") or [])]):
        source = part.get("calibrated") or part
        if source.get("cutoffs"):
            yield _name(part), {**source, "slice": part["slice"]}


def _slices(measure: Result) -> int:
    """Return how many slices have cut-offs of their own to move."""
    groups = [] if measure["task"] == "multiclass" else measure.get("groups") or []
    before = bool(measure["overall"].get("calibrated"))
    whole = 0 if measure["task"] == "multiclass" else 1 + before
    return whole + len(measure.get("classes") or []) + len(groups)


def _name(part: Result) -> str:
    where = part["slice"]
    name = words.slice_name(part)
    return f"{where.get('column')} = {name}" if where.get("kind") == "group" else f"class {name}"


def _start(report: Result) -> float:
    """Return where the lever starts: the chosen cut-off, else the first that was measured."""
    for item in (report.get("thresholds") or {}).get("thresholds") or []:
        if (item.get("slice") or {}).get("kind", "overall") == "overall":
            return float(item["threshold"])
    tables = report["measure"]["overall"].get("confusion") or []
    asked = (report["measure"].get("params") or {}).get("thresholds") or [0.5]
    return float(tables[0]["threshold"] if tables else asked[0])


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


def _confidence(measure: Result) -> tuple[str, dict[str, Any]]:
    params = measure.get("params") or {}
    overall = measure["overall"]
    parts = [
        overall,
        *by_harm([*(measure.get("classes") or []), *(measure.get("groups") or [])]),
    ]
    parts = [part for part in parts if part.get("bins")]
    if not parts:
        return "", {}
    sides = 2 if overall.get("calibrated") else 1
    room = max(BINS // (sides * max(len(part["bins"]) for part in parts)), 1)
    kept = parts[:room]
    shared = (
        None if params.get("binning") == "mass" and not params.get("edges") else _edges(overall)
    )
    data = {
        "start": (params.get("at") or [0.8])[0],
        "closed": params.get("closed") or "right",
        "edges": shared,
        "slices": [
            [
                _side(side, params, edges=shared is None)
                for side in (part.get("calibrated"), part)
                if side
            ]
            for part in kept
        ],
    }
    names = ["all rows", *(_name(part) for part in kept[1:])]
    rows = "".join(
        f'<tr{" class=more" if place >= SHOWN else ""}><th scope="row" class="l"><bdi>{html(name)}'
        f"</bdi></th>{'<td></td>' * 6}</tr>"
        for place, name in enumerate(names)
    )
    score, frequency = words.score_word(str(measure["task"]))
    level = tabulate.level(params)
    heads = ("rows", f"mean {score}", f"{frequency}", "gap", f"ECE {level}".strip(), "verdict")
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
        body += f'<p class="note">Left out here: {left} slices with a lower ECE.</p>\n'
    tolerance = figures.short(words.tolerance_of(params))
    chance = (
        f" Of gaps that are none, one in {words.odds(params)} looks beyond chance." if level else ""
    )
    lead = (
        f"When the {score} is about this high, how often is it right? The gap is {frequency} less "
        f"{score} in the bin that holds the level ({words.bins_words(params)}); up to {tolerance} "
        f"is within tolerance.{chance}"
    )
    return _hidden(section_html("Read at a confidence", "confidence", body, lead)), data


def _edges(part: Result) -> dict[str, list[float]]:
    return {end: [row[end] for row in part["bins"]] for end in ("low", "high")}


def _side(part: Result, params: Result, *, edges: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ece": figures.with_interval(part["metrics"].get("ece")),
        "bins": [_reading(row, params) for row in part["bins"]],
    }
    return {**made, "edges": _edges(part)} if edges else made


def _reading(row: Result, params: Result) -> list[Any] | int:
    """Return one bin as (rows, score, frequency, gap, verdict, beyond chance); 0 where empty."""
    if not row["count"]:
        return 0
    gap = row["gap"]
    verdict = "within tolerance"
    if abs(gap) > words.tolerance_of(params):
        verdict = "over-confident" if gap < 0 else "under-confident"
    low, high = row.get("frequency_low"), row.get("frequency_high")
    sure = low is not None and not low <= row["score"] <= high
    return [
        row["count"],
        figures.metric(row["score"]),
        figures.metric(row["frequency"]),
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
