"""Figures in the text format of Prometheus, for the textfile collector of the node exporter.

Every figure is a gauge `calibcli_<metric>` with its interval as `_low` and `_high`. Labels: `slice`
(overall, class, group), `column` and `name` of the slice, `stage` (before, calibrated), and the
tags of the run. A figure that is not defined is absent. No timestamps: the collector refuses them,
and tells the age of the file itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from calibcli.render.tables.common import RATES, entry
from calibcli.render.words import names
from calibcli.render.words.glossary import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def render_measure(result: Result) -> str:
    """Return a measure result for Prometheus."""
    found = _Families(result)
    _info(found, result, "measure")
    for part in (result["overall"], *(result.get("classes") or []), *(result.get("groups") or [])):
        where = _where(part["slice"])
        for stage, source in (("before", part), ("calibrated", part.get("calibrated"))):
            if source:
                _slice(found, source, {**where, "stage": stage})
    for section in ("drift", "versus"):
        for name, value in _section(result.get(section)):
            found.figure(f"{section}_{name}", f"{name} of {section}", value, {})
    _gates(found, result)
    return found.text()


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


def _slice(found: _Families, part: Result, where: Labels) -> None:
    for name, value in (part.get("metrics") or {}).items():
        found.figure(name, METRICS.get(name, name), value, where)
    for item in part.get("confusion") or []:
        _confusion(found, item, {**where, "threshold": _number(item["threshold"])})


def _confusion(found: _Families, item: Result, where: Labels, prefix: str = "") -> None:
    for outcome in ("tp", "fp", "fn", "tn"):
        labels = {**where, "outcome": outcome}
        found.add(f"{prefix}confusion", f"rows {_RATE_HELP}", item.get(outcome), labels)
    for name in RATES:
        if name in item:
            found.figure(prefix + name, f"{name} {_RATE_HELP}", item[name], where)


def _section(section: Result | None) -> Iterator[tuple[str, Any]]:
    """Yield the figures of a comparison: what has a value."""
    for name, value in ((section or {}).get("metrics") or section or {}).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number or (isinstance(value, dict) and "value" in value):
            yield name, value


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
