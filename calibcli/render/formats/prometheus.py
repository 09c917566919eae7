"""Figures in the text format of Prometheus, for the textfile collector of the node exporter.

Every figure is a gauge `calibcli_<metric>` with its interval as `_low` and `_high`. Labels: `slice`
(overall, class, group), `column` and `name` of the slice, `stage` (before, calibrated), and the
tags of the run. A figure that is not defined is absent. No timestamps: the collector refuses them,
and tells the age of the file itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.chosen import of_apply
from calibcli.core.results.reading import typed
from calibcli.core.results.stream import numbers
from calibcli.render.tables.common import RATES, entry
from calibcli.render.words import names
from calibcli.render.words.glossary import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.stream import Numbered

    Result = Mapping[str, Any]
    Labels = Mapping[str, object]

_RATE_HELP = "at the threshold; positive means score >= threshold"


class _Families:
    """Samples by metric: all samples of one must stand together."""

    def __init__(self, result: Result) -> None:
        self.found: dict[str, tuple[str, dict[str, str]]] = {}
        self.tags = dict((result.get("params") or {}).get("tags") or {})

    def add(self, name: str, help_text: str, value: Any, labels: Labels | None = None) -> None:
        """Add a sample; nothing where there is no value."""
        if value is None or isinstance(value, str):
            return
        metric = "calibcli_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)
        every = {**(labels or {}), **self.tags}
        inside = ",".join(f'{key}="{_label(text)}"' for key, text in every.items())
        series = f"{metric}{{{inside}}}" if inside else metric
        # A series that came twice would make the collector refuse the whole file.
        self.found.setdefault(metric, (help_text, {}))[1].setdefault(series, _number(value))

    def figure(self, name: str, help_text: str, value: Any, labels: Labels) -> None:
        """Add a figure and the ends of its interval."""
        item = entry(value)
        self.add(name, help_text, item.get("value"), labels)
        for end, which in (("low", "lower"), ("high", "upper")):
            self.add(
                f"{name}_{end}", f"{which} end of the interval of {name}", item.get(end), labels
            )

    def text(self) -> str:
        """Return the file."""
        lines: list[str] = []
        for metric, (help_text, samples) in self.found.items():
            lines += [f"# HELP {metric} {_help(help_text)}", f"# TYPE {metric} gauge"]
            lines += [f"{series} {value}" for series, value in samples.items()]
        return "\n".join(lines) + "\n"


_SHOWN: Final = frozenset(
    {("before", "metrics"), ("calibrated", "metrics"), ("before", "confusion")}
    | {("calibrated", "confusion"), ("decision", "metrics"), ("drift", "drift")}
    | {("difference", "versus")}
)


def render_measure(result: Result) -> str:
    """Return a measure result for Prometheus."""
    found = _Families(result)
    _info(found, result, "measure")
    for one in numbers(typed(result)):
        if (one.stage, one.table) in _SHOWN:
            _numbered(found, one)
    _gates(found, result)
    return found.text()


def _numbered(found: _Families, one: Numbered) -> None:
    """Add a number of the stream as a gauge."""
    where = one.where
    entry = {"value": one.value, "low": one.low, "high": one.high}
    labels: dict[str, object] = {
        "slice": where.kind,
        "column": where.column or "",
        "name": "" if where.kind == "overall" else where.name or where.value or "",
    }
    if one.table in ("drift", "versus"):
        if where.kind == "overall" and not (one.table == "drift" and one.at):
            found.figure(f"{one.table}_{one.name}", f"{one.name} of {one.table}", entry, {})
        return
    if one.stage == "decision":
        told = f"{one.name} of the decisions of the thresholds"
        found.figure(f"decision_{one.name}", told, entry, labels)
        return
    labels["stage"] = one.stage
    if one.table == "metrics":
        found.figure(one.name, METRICS.get(one.name, one.name), entry, labels)
        return
    labels["threshold"] = one.at if one.at is None else _number(float(one.at))
    if one.name in ("tp", "fp", "fn", "tn"):
        found.add("confusion", f"rows {_RATE_HELP}", one.value, {**labels, "outcome": one.name})
    elif one.name in RATES:
        found.figure(one.name, f"{one.name} {_RATE_HELP}", entry, labels)


def render_fit(result: Result) -> str:
    """Return a fit result for Prometheus: figures before and after."""
    found = _Families(result)
    _info(found, result, "fit", method=result["method"])
    for part in (result, *(result.get("groups") or []), *(result.get("classes") or [])):
        where = _where(part.get("slice") or {})
        for stage in ("before", "after"):
            metrics = (part.get(stage) or {}).get("metrics") or {}
            for name, value in metrics.items():
                text = f"{METRICS.get(name, name)}, before and after the fit"
                found.figure(f"fit_{name}", text, value, {**where, "stage": stage})
    _gates(found, result)
    return found.text()


def render_apply(result: Result) -> str:
    """Return what apply wrote for Prometheus: rows, mean probabilities, shares of decisions."""
    found = _Families(result)
    _info(found, result, "apply", method=result["method"])
    for one in of_apply(typed(result)):
        _numbered(found, one)
    _gates(found, result)
    return found.text()


def render_promotion(result: Result) -> str:
    """Return what became of a challenger for Prometheus: the decision, its figures, its checks."""
    found = _Families(result)
    decision = result["decision"]
    _info(found, result, "promotion", decision=decision, code=result["code"])
    told = "1 where the challenger took the champion's place, else 0"
    found.add("promotion_promoted", told, int(decision == "promoted"))
    compared = result["comparison"] or {}
    entry = {"value": compared.get("difference"), **{k: compared.get(k) for k in ("low", "high")}}
    score = {"score": compared.get("score", "")}
    told = "held-out loss, or objective, of the challenger less the champion's"
    found.figure("promotion_difference", told, entry, score)
    for one in result["checks"]:
        labels = {"check": one["name"]}
        found.add("promotion_check", "what is checked of a dump", one["value"], labels)
        told = "1 where the dump passed the check, else 0"
        found.add("promotion_check_passed", told, int(one["passed"]), labels)
    _gates(found, result)
    return found.text()


def render_threshold(result: Result) -> str:
    """Return a threshold result for Prometheus: cut-offs, what they reach, and the counts."""
    found = _Families(result)
    objective = {"objective": result.get("objective")} if result.get("objective") else {}
    _info(found, result, "threshold", kind=result.get("kind", "empirical"))
    for item in result.get("thresholds") or []:
        where = {**_where(item.get("slice") or {}), **objective}
        found.figure("threshold", "the chosen cut-off", _cut(item), where)
        reached = item.get("value")
        found.figure("threshold_objective", "what the chosen cut-off reaches", reached, where)
        _confusion(found, item.get("confusion") or {}, where, "threshold_")
    _gates(found, result)
    return found.text()


def _cut(item: Result) -> Result:
    ends = {end: item.get(f"threshold_{end}") for end in ("low", "high")}
    return {"value": item.get("threshold"), **ends}


def _info(found: _Families, result: Result, command: str, **more: object) -> None:
    labels = {"version": result["calibcli"], "task": result["task"], **more}
    said = len(result.get("warnings") or [])
    found.add("info", "what made these figures", 1, {"command": command, **labels})
    found.add("warnings", "number of warnings of the run", said, {"command": command})


def _where(where: Result) -> Labels:
    kind = where.get("kind", "overall")
    name = where.get("name", where.get("value", ""))
    return {"slice": kind, "column": where.get("column", ""), "name": "" if name is None else name}


def _confusion(found: _Families, item: Result, where: Labels, prefix: str = "") -> None:
    for outcome in ("tp", "fp", "fn", "tn"):
        labels = {**where, "outcome": outcome}
        found.add(f"{prefix}confusion", f"rows {_RATE_HELP}", item.get(outcome), labels)
    for name in RATES:
        if name in item:
            found.figure(prefix + name, f"{name} {_RATE_HELP}", item[name], where)


def _gates(found: _Families, result: Result) -> None:
    gates = result.get("gates") or []
    for gate in {gate["expr"]: gate for gate in gates}.values():
        labels = {"expr": gate["expr"]}
        found.add(
            "gate_passed", "1 where the gate passed, 0 where it failed", gate["passed"], labels
        )
        found.add("gate_value", "what the gate compares", gate["value"], labels)
    failed = sum(not gate["passed"] for gate in gates)
    found.add("gates_failed", "number of gates that failed", failed)


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(float(value))


def _label(text: object) -> str:
    """Escape a label's value: a line end as the format has it, other controls spelt out."""
    kept = "\n".join(names.visible(line) for line in str(text).split("\n"))
    return kept.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(text: str) -> str:
    return names.visible(text).replace("\\", "\\\\")
