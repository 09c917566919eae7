"""Tables about choices: candidates of a fit, chosen cut-offs, their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables import choices
from calibcli.render.tables.common import RATES, entry, figure, level, short_level
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]


_UNSAID = frozenset(
    {"schema", "version", "method", "notes", "limits", "exclusive", "normalize", "files"}
)


def parameters_words(calibrator: Result) -> str:
    """Return a calibrator's parameters in one line; of lists and parts their number."""
    said = []
    for key, value in calibrator.items():
        if key in _UNSAID or value is None or isinstance(value, str):
            continue
        name = key.replace("_", " ")
        if isinstance(value, dict):
            if "method" in value:
                told = parameters_words(value)
                said.append(f"{name}: {value['method']}{f' ({told})' if told else ''}")
            else:
                said.append(f"{len(value)} {name}")
        elif isinstance(value, (list, tuple)):
            if value and all(isinstance(one, str) for one in value):
                said.append(f"{name}: {', '.join(value)}")
                continue
            parts = value and isinstance(value[0], (dict, list))
            said.append(f"{len(value)} {name}" if parts else f"{name}: {len(value)} values")
        elif isinstance(value, float):
            said.append(f"{name} = {figures.short(value)}")
        else:
            said.append(f"{name} = {value}")
    low, high = calibrator.get("limits") or (None, None)
    if low is not None or high is not None:
        ends = " to ".join(figures.short(end) if end is not None else "" for end in (low, high))
        said.append(f"logits held to {ends.strip()}")
    return ", ".join(said)


def candidates_table(candidates: Sequence[Result], params: Result) -> Table | None:
    """Return the methods that were compared; the chosen one is marked."""
    if not candidates:
        return None
    timed = any(item.get("seconds") is not None for item in candidates)
    rows = []
    for item in candidates:
        style: Style = "good" if item.get("chosen") else ""
        rows.append(
            (
                Cell("chosen" if item.get("chosen") else "", "", style),
                Cell(str(item["method"]), "", style),
                Cell(figures.metric(item.get("score"))),
                Cell(figures.metric(item.get("se"))),
                *([Cell(_seconds(item.get("seconds")))] if timed else []),
                Cell(str(item.get("note") or "")),
            )
        )
    columns = (
        Column("", left=True),
        Column("method", left=True),
        Column(f"cross-fitted {params.get('select', 'nll')}"),
        Column("se of difference to best"),
        *([Column("seconds", rank=1)] if timed else []),
        Column("note", left=True),
    )
    return Table("Candidates", columns, tuple(rows))


def _seconds(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:.2f}"


def fitted_slices_table(
    parts: Sequence[Result], params: Result, title: str = "Per slice"
) -> Table | None:
    """Return ECE and log loss before and after, one row a class or a group.

    Groups also tell how much of their map is their own, and why where nothing is.
    """
    if not parts:
        return None
    weighed = any("weight" in part for part in parts)
    rows = []
    for part in parts:
        before = (part.get("before") or {}).get("metrics") or {}
        after = (part.get("after") or {}).get("metrics") or {}
        rows.append(
            (
                Cell(words.slice_name(part)),
                Cell(figures.count((before.get("n") or {}).get("value"))),
                *([Cell(_weight(part.get("weight")))] if weighed else []),
                figure("ece", before.get("ece")),
                figure("ece", after.get("ece")),
                Cell(figures.metric((before.get("nll") or {}).get("value"))),
                Cell(figures.metric((after.get("nll") or {}).get("value"))),
                *([Cell(str(part.get("note") or ""))] if weighed else []),
            )
        )
    columns = (
        Column("slice", left=True),
        Column("n"),
        *([Column("own map")] if weighed else []),
        Column("ece before", level(params)),
        Column("ece after", level(params)),
        Column("nll before", rank=1),
        Column("nll after", rank=1),
        *([Column("note", left=True)] if weighed else []),
    )
    return Table(title, columns, tuple(rows))


def _weight(value: Any) -> str:
    """Return the share of a slice's own map; of several labels the least and the most."""
    if isinstance(value, (list, tuple)):
        ends = sorted({figures.percent(one) for one in (min(value), max(value))})
        return " to ".join(ends)
    return figures.percent(value)


def map_table(points: Sequence[Result], params: Result) -> Table | None:
    """Return the calibrated probability at chosen scores, and how sure it is."""
    if not points:
        return None
    rows = tuple(
        (
            Cell(figures.metric(point["score"])),
            figure("probability", {**point, "value": point["probability"]}),
        )
        for point in points
    )
    columns = (Column("score"), Column("calibrated probability", level(params)))
    return Table("The map", columns, rows)


def slice_title(part: Result) -> str:
    """Return a slice's title: `overall`, a class's name, or `camera=front`."""
    where = part.get("slice") or {}
    if where.get("kind", "overall") == "overall":
        return "overall"
    if where["kind"] == "group":
        title = f"{where.get('column', 'group')}={words.slice_name(part)}"
        return f"{title}, {where['class']}" if "class" in where else title
    return words.slice_name(part)


def objective_words(result: Result) -> str:
    """Return what was sought: `maximises f1, subject to precision>=0.95`."""
    objective = str(result.get("objective") or "")
    text = "minimises expected cost" if objective == "cost" else f"maximises {objective}"
    limits = [str(item) for item in result.get("constraints") or []]
    return f"{text}, subject to {' and '.join(limits)}" if limits else text


def thresholds_headline(result: Result) -> str:
    """Return the answer in a line: the cut-off exactly, and what it is best at."""
    other = choices.headline(result)
    if other:
        return other
    chosen = result.get("thresholds") or []
    common = result.get("common")
    if common:
        crossed = (common.get("cross_fitted") or {}).get("value")
        honest = f", cross-fitted {figures.with_interval(crossed)}" if crossed else ""
        threshold, value = figures.exact(common["threshold"]), figures.metric(common["value"])
        of_all = f"threshold {threshold} for all {len(chosen)} classes"
        return f"{of_all}: {objective_words(result)} ({value}{honest})"
    if len(chosen) != 1:
        return f"{len(chosen)} thresholds: each {objective_words(result)}"
    only = chosen[0]
    best = entry(only.get("value"))
    reached = f" ({_reached(best, only)})" if best.get("value") is not None else ""
    logit = only.get("logit")
    of_logit = "" if logit is None else f" (logit {figures.exact(logit)})"
    threshold = figures.exact(only.get("threshold"))
    below = " or below" if words.falling(result.get("params") or {}) else ""
    return f"threshold {threshold}{of_logit}{below}: {objective_words(result)}{reached}"


def _reached(best: Result, item: Result) -> str:
    """Return what was reached; the interval is of new rows and may not hold what these gave."""
    crossed = entry((item.get("cross_fitted") or {}).get("value"))
    low, high = best.get("low"), best.get("high")
    if None in (low, high, crossed["value"]) or low <= best["value"] <= high:
        return figures.with_interval(best)
    return f"{figures.metric(best['value'])} here, cross-fitted {figures.with_interval(crossed)}"


def kind_words(result: Result) -> str:
    """Return how far the choice can be trusted."""
    params = result.get("params") or {}
    confidence, unit = params.get("guarantee"), params.get("cluster")
    if result.get("kind") == "conformal":
        if unit:
            return f"conformal: holds for a row of a new value of {unit}, whatever the model"
        return "conformal: holds on new rows like these, whatever the model"
    if result.get("kind") == "certified":
        level_words = f" with confidence {figures.short(confidence)}" if confidence else ""
        if result.get("task") == "detection":
            return f"certified: holds in the mean over new images like these{level_words}"
        if unit:
            named = "images" if unit == "image" else f"values of {unit}"
            return f"certified: holds in the mean over new {named} like these{level_words}"
        return f"certified: the constraint holds on new rows like these{level_words}"
    return "empirical: best on these rows; new rows will do somewhat worse (--guarantee certifies)"


def thresholds_table(result: Result) -> Table | None:
    """Return the chosen cut-offs, exact, with counts, rates and intervals."""
    chosen = result.get("thresholds") or []
    if not chosen:
        return None
    shown = [
        key
        for key in RATES
        if any(entry((c.get("confusion") or {}).get(key)).get("value") is not None for c in chosen)
    ]
    counts = [
        key
        for key in ("tp", "fp", "fn", "tn")
        if key != "tn" or any((c.get("confusion") or {}).get(key) is not None for c in chosen)
    ]
    suppressed = any(item.get("nms_iou") is not None for item in chosen)
    of_logits = any(item.get("logit") is not None for item in chosen)
    rows = []
    for item in chosen:
        confusion = item.get("confusion") or {}
        rows.append(
            (
                Cell(slice_title(item)),
                Cell(figures.exact(item.get("threshold")), _cut_interval(item), "bold"),
                *([Cell(figures.exact(item.get("logit")), style="bold")] if of_logits else []),
                *([Cell(figures.short(item.get("nms_iou")))] if suppressed else []),
                Cell(figures.count(item.get("n"))),
                *(Cell(figures.count(confusion.get(key))) for key in counts),
                *(figure(key, confusion.get(key)) for key in shown),
            )
        )
    params = result.get("params") or {}
    ranks = {"fpr": 3, "specificity": 2, "f1": 1}
    columns = (
        Column("slice", left=True),
        Column("threshold", short_level(params) if any(map(_cut_interval, chosen)) else ""),
        *([Column("logit")] if of_logits else []),
        *([Column("NMS IoU")] if suppressed else []),
        Column("n"),
        *(Column(key) for key in counts),
        *(Column(key, short_level(params), rank=ranks.get(key, 0)) for key in shown),
    )
    sign = "<=" if words.falling(params) else ">="
    return Table(f"Chosen thresholds: positive means score {sign} threshold", columns, tuple(rows))


def _cut_interval(item: Result) -> str:
    low, high = item.get("threshold_low"), item.get("threshold_high")
    return "" if low is None or high is None else f"[{figures.short(low)}, {figures.short(high)}]"


def groups_table(result: Result) -> Table | None:
    """Return what the chosen cut-offs do in each group, and which constraints they break."""
    parts = result.get("groups") or []
    if not parts:
        return None
    limited = "".join(str(c) for c in result.get("constraints") or [])
    shown = [key for key in RATES if key in limited] or ["precision", "recall"]
    rows = []
    for part in parts:
        table, breaks = part.get("confusion") or {}, part.get("breaks") or []
        sure = part.get("beyond_chance") or []
        style: Style = "bad" if sure else "warn" if breaks else ""
        said = "breaks " + ", ".join(map(str, breaks)) if breaks else ""
        rows.append(
            (
                Cell(slice_title(part)),
                Cell(figures.short(part.get("threshold"))),
                Cell(figures.count(part.get("n"))),
                *(Cell(figures.count(table.get(key))) for key in ("tp", "fp", "fn", "tn")),
                *(figure(key, table.get(key)) for key in shown),
                Cell(f"{said} beyond chance" if sure else said, "", style),
            )
        )
    params = result.get("params") or {}
    columns = (
        Column("slice", left=True),
        Column("threshold", rank=1),
        Column("n"),
        *(Column(key) for key in ("tp", "fp", "fn", "tn")),
        *(Column(key, short_level(params)) for key in shown),
        Column("constraint", left=True),
    )
    return Table("What the cut-off does in each group", columns, tuple(rows))


def costs_table(result: Result) -> Table | None:
    """Return the costs at each cut-off, whatever figures the result has for them."""
    with_cost = [item for item in result.get("thresholds") or [] if item.get("cost")]
    if not with_cost:
        return None
    keys = list(dict.fromkeys(key for item in with_cost for key in item["cost"]))
    rows = tuple(
        (Cell(slice_title(item)), *(_cost_cell(item["cost"].get(key)) for key in keys))
        for item in with_cost
    )
    columns = (Column("slice", left=True), *(Column(key.replace("_", " ")) for key in keys))
    return Table("Cost", columns, rows)


def _cost_cell(value: Any) -> Cell:
    if isinstance(value, dict) and "referred" in value:
        cost, referred = figures.metric(value["cost"]), figures.count(value["referred"])
        return Cell(_band_words(value["low"], value["high"]), f"{cost} a row, {referred} referred")
    if isinstance(value, dict):
        return figure("cost", value)
    if isinstance(value, list) and len(value) == 2:
        return Cell(_band_words(*value))
    if isinstance(value, bool) or value is None or isinstance(value, (str, list)):
        return Cell(figures.NONE if value is None else str(value))
    return Cell(figures.short(value))


def _band_words(low: float, high: float) -> str:
    return f"refer [{figures.short(low)}, {figures.short(high)})"
