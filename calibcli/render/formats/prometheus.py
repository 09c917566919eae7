"""Figures in the text format of Prometheus, for the textfile collector of the node exporter.

Every figure is a gauge `calibcli_<metric>` with its interval as `_low` and `_high`. Labels: `slice`
(overall, class, group), `column` and `name` of the slice, `stage` (before, calibrated), and the
tags of the run; gates of other commands than `measure` have a `command`. A figure that is not
defined is absent. No timestamps: the collector refuses them,
and tells the age of the file itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.figures import OVERALL, RATES, Figure
from calibcli.core.results.parts.chosen import of_apply
from calibcli.core.results.stream import numbers
from calibcli.render.words import names
from calibcli.render.words.glossary import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Interval, Where
    from calibcli.core.results.fit import FitResult, Side
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.core.results.stream import Numbered
    from calibcli.core.results.threshold import ThresholdResult
    from calibcli.render.tables.documents import Gated

    Labels = Mapping[str, object]

_RATE_HELP = "at the threshold; positive means score >= threshold"


class _Families:
    """Samples by metric: all samples of one must stand together."""

    def __init__(self, result: Gated) -> None:
        self.found: dict[str, tuple[str, dict[str, str]]] = {}
        self.result, self.tags = result, result.conventions.tags

    def info(self, command: str, **more: object) -> None:
        """Add what made the figures."""
        result = self.result
        labels = {"version": result.calibcli, "task": result.task, **more}
        self.add("info", "what made these figures", 1, {"command": command, **labels})
        said = len(result.warnings)
        self.add("warnings", "number of warnings of the run", said, {"command": command})

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

    def figure(
        self, name: str, help_text: str, one: Interval | Numbered | None, labels: Labels
    ) -> None:
        """Add a figure and the ends of its interval."""
        if one is None:
            return
        self.add(name, help_text, one.value, labels)
        for end, which, value in (("low", "lower", one.low), ("high", "upper", one.high)):
            self.add(f"{name}_{end}", f"{which} end of the interval of {name}", value, labels)

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
    | {("difference", "versus"), ("evidence", "evidence")}
)


def render_measure(result: MeasureResult) -> str:
    """Return a measure result for Prometheus."""
    found = _Families(result)
    found.info("measure")
    for one in numbers(result):
        if (one.stage, one.table) in _SHOWN:
            _numbered(found, one)
    _gates(found, result.gates)
    return found.text()


def _numbered(found: _Families, one: Numbered) -> None:
    """Add a number of the stream as a gauge."""
    where = one.where
    labels = _labels(where)
    if one.table in ("drift", "versus"):
        if where.kind == "overall" and not (one.table == "drift" and one.at):
            found.figure(f"{one.table}_{one.name}", f"{one.name} of {one.table}", one, {})
        return
    if one.stage == "evidence":
        told = f"{one.name}: evidence of all nights against the promise, and its p-value"
        own = {} if where.kind == "overall" else labels
        found.add(f"evidence_{one.name}", told, one.value, own)
        return
    if one.stage == "decision":
        told = f"{one.name} of the decisions of the thresholds"
        found.figure(f"decision_{one.name}", told, one, labels)
        return
    labels["stage"] = one.stage
    if one.table == "metrics":
        found.figure(one.name, METRICS.get(one.name, one.name), one, labels)
        return
    labels["threshold"] = one.at if one.at is None else _number(float(one.at))
    if one.name in ("tp", "fp", "fn", "tn"):
        found.add("confusion", f"rows {_RATE_HELP}", one.value, {**labels, "outcome": one.name})
    elif one.name in RATES:
        found.figure(one.name, f"{one.name} {_RATE_HELP}", one, labels)


def render_fit(result: FitResult) -> str:
    """Return a fit result for Prometheus: figures before and after."""
    found = _Families(result)
    found.info("fit", method=result.method)
    parts: list[tuple[Where, Side | None, Side | None]] = [(OVERALL, result.before, result.after)]
    parts += [(one.slice, one.before, one.after) for one in result.groups]
    parts += [(one.slice, one.before, one.after) for one in result.classes]
    for where, before, after in parts:
        for stage, side in (("before", before), ("after", after)):
            for name, value in side.metrics.items() if side is not None else ():
                text = f"{METRICS.get(name, name)}, before and after the fit"
                found.figure(f"fit_{name}", text, value, {**_labels(where), "stage": stage})
    _gates(found, result.gates, command="fit")
    return found.text()


def render_apply(result: ApplyResult) -> str:
    """Return what apply wrote for Prometheus: rows, mean probabilities, shares of decisions."""
    found = _Families(result)
    found.info("apply", method=result.method)
    for one in of_apply(result):
        _numbered(found, one)
    _gates(found, result.gates, command="apply")
    return found.text()


def render_promotion(result: PromotionResult) -> str:
    """Return what became of a challenger for Prometheus: the decision, its figures, its checks."""
    found = _Families(result)
    found.info("promotion", decision=result.decision, code=result.code)
    told = "1 where the challenger took the champion's place, else 0"
    found.add("promotion_promoted", told, int(result.decision == "promoted"))
    compared = result.comparison
    told = "held-out loss, or objective, of the challenger less the champion's"
    if compared is not None:
        change = Figure(compared.difference, compared.low, compared.high)
        found.figure("promotion_difference", told, change, {"score": compared.score})
    for one in result.checks:
        labels = {"check": one.name}
        found.add("promotion_check", "what is checked of a dump", one.value, labels)
        told = "1 where the dump passed the check, else 0"
        found.add("promotion_check_passed", told, int(one.passed), labels)
    _gates(found, result.gates)
    return found.text()


def render_threshold(result: ThresholdResult) -> str:
    """Return a threshold result for Prometheus: cut-offs, what they reach, and the counts."""
    found = _Families(result)
    objective = {"objective": result.objective} if result.objective else {}
    found.info("threshold", kind=result.kind)
    for item in result.thresholds:
        where = {**_labels(item.slice), **objective}
        found.figure("threshold", "the chosen cut-off", Figure(item.threshold, *item.ends), where)
        told = "what the chosen cut-off reaches"
        found.figure("threshold_objective", told, item.reached, where)
        table = item.confusion
        for outcome, count in table.counts.items() if table is not None else ():
            labels = {**where, "outcome": outcome}
            found.add("threshold_confusion", f"rows {_RATE_HELP}", count, labels)
        for name, rate in table.rates.items() if table is not None else ():
            if name in RATES:
                found.figure(f"threshold_{name}", f"{name} {_RATE_HELP}", rate, where)
    _gates(found, result.gates, command="threshold")
    return found.text()


def _labels(where: Where) -> dict[str, object]:
    """Return what a slice is in labels; of a null the name is empty."""
    name = "" if where.kind == "overall" else where.name or where.value or ""
    return {"slice": where.kind, "column": where.column or "", "name": name}


def _gates(found: _Families, gates: Sequence[GateResult], **command: str) -> None:
    """Add what gates found; the `command` tells those of a fit from those of a measurement."""
    for gate in {gate.expr: gate for gate in gates}.values():
        labels = {"expr": gate.expr, **command}
        found.add("gate_passed", "1 where the gate passed, 0 where it failed", gate.passed, labels)
        found.add("gate_value", "what the gate compares", gate.value, labels)
    failed = sum(not gate.passed for gate in gates)
    found.add("gates_failed", "number of gates that failed", failed, command)


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(float(value))


def _label(text: object) -> str:
    """Escape a label's value: a line end as the format has it, other controls spelt out."""
    kept = "\n".join(names.visible(line) for line in str(text).split("\n"))
    return kept.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(text: str) -> str:
    return names.visible(text).replace("\\", "\\\\")
