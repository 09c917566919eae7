"""Gates: 'ece>0.05' against a measure result, and whether the run may pass.

The expression says when the gate *fails*:

    [calibrated.] [scope.] figure [.low | .high | .value | .p]  >|>=|<|<=  number

    scope   class.NAME    group.COLUMN.VALUE    worst(class)    worst(group.COLUMN)    worst(group)
            decision (accuracy, undecided, macro_f1, precision.CLASS, …: of what `apply` decides)
            drift         versus        series        overlap (a figure by itself: rows used to fit)
    figure  a metric (ece, auc, …), or one of a confusion table: precision, or precision@0.5 where
            there are several thresholds

`worst` takes the slice that is most likely to fail: the largest value where the gate fails above
the number, the smallest where it fails below. Names may hold dots; the longest known one is meant.
Whatever cannot be evaluated (an unknown name, a metric that is undefined, no interval) is a
UsageError: a gate fails closed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calibcli.errors import UsageError, did_you_mean

Json = Mapping[str, Any]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_EXPRESSION = re.compile(r"(?P<subject>.*\S)\s*(?P<op>>=|<=|>|<)\s*(?P<target>[^\s<>=]+)\s*", re.S)
_WORST = re.compile(r"worst\((?P<of>class|group(?:\.(?P<column>.+?))?)\)\.(?P<figure>.+)", re.S)
_SECTIONS = {"drift": "--reference FILE", "versus": "--versus COL", "series": "--by COL"}
_ENDS = ("low", "high", "value", "p")


@dataclass(frozen=True, slots=True)
class Gate:
    """One parsed `--fail-if`: it fails when `subject op target` is true."""

    expr: str
    subject: str
    op: str
    target: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found. `slice` is the slice that `worst(…)` picked, else None."""

    expr: str
    value: float
    passed: bool
    slice: Json | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of "gates" in a result."""
        out: dict[str, Any] = {"expr": self.expr, "value": self.value, "passed": self.passed}
        return out if self.slice is None else out | {"slice": dict(self.slice)}


def parse_gate(text: str) -> Gate:
    """Read an expression as far as that is possible before there is a result.

    Raises UsageError when it has no comparison or compares with something that is no number.
    """
    match = _EXPRESSION.fullmatch(text)
    if match is None or match["subject"].strip()[-1] in "<>=!":
        raise UsageError(f"not a gate: {text!r}", "for example --fail-if 'ece>0.05'")
    try:
        target = float(match["target"])
    except ValueError:
        target = math.nan
    if not math.isfinite(target):
        raise UsageError(f"the gate {text!r} compares with {match['target']!r}, not a number")
    return Gate(text, match["subject"].strip(), match["op"], target)


def evaluate_gate(gate: Gate, result: Json) -> Verdict:
    """Return the verdict of a gate on a measure result.

    Raises UsageError when the expression cannot be evaluated there.
    """
    subject, calibrated = gate.subject, False
    if subject.startswith("calibrated."):
        subject, calibrated = subject.removeprefix("calibrated."), True
    worst = _WORST.fullmatch(subject)
    if worst is not None:
        slices = _slices(gate, result, worst["of"], worst["column"])
        values = [(_value(gate, s, worst["figure"], calibrated), s) for s in slices]
        pick = max if gate.op in (">", ">=") else min
        value, where = pick(values, key=lambda pair: pair[0])
        return _verdict(gate, value, where["slice"])
    if subject.startswith("worst"):
        raise UsageError(
            f"the gate {gate.expr!r} cannot be read",
            "worst(class).ece>0.1, worst(group.camera).ece>0.1 or worst(group).ece>0.1",
        )
    section, _, figure = subject.partition(".")
    if section == "decision" and figure:
        return _verdict(gate, _decided(gate, result, figure))
    if section == "overlap":
        return _verdict(gate, _overlap(gate, result, figure or "value"))
    if section in _SECTIONS:
        return _verdict(gate, _section_value(gate, result, section, figure, calibrated))
    if section in ("class", "group") and figure:
        found, figure = _named_slice(gate, result, section, figure)
        return _verdict(gate, _value(gate, found, figure, calibrated))
    return _verdict(gate, _value(gate, result["overall"], subject, calibrated))


def evaluate_gates(gates: Iterable[Gate], result: Json) -> list[Verdict]:
    """Return the verdicts in the order given."""
    return [evaluate_gate(gate, result) for gate in gates]


def _verdict(gate: Gate, value: float, where: Json | None = None) -> Verdict:
    return Verdict(gate.expr, value, not _OPERATORS[gate.op](value, gate.target), where)


def _slices(gate: Gate, result: Json, of: str, column: str | None) -> list[Json]:
    """Return the slices that worst(...) ranges over; never empty."""
    if of == "class":
        found = list(result.get("classes") or [])
        if not found:
            raise UsageError(f"the gate {gate.expr!r} needs classes", "this result has none")
        return found
    groups = list(result.get("groups") or [])
    if not groups:
        raise UsageError(f"the gate {gate.expr!r} needs groups", "name a column with --group")
    if column is None:
        return groups
    found = [s for s in groups if s["slice"]["column"] == column]
    if not found:
        columns = list(dict.fromkeys(str(s["slice"]["column"]) for s in groups))
        raise UsageError(
            f"the gate {gate.expr!r} names no --group column",
            did_you_mean(column, columns) or f"columns: {', '.join(columns)}",
        )
    return found


def _named_slice(gate: Gate, result: Json, kind: str, rest: str) -> tuple[Json, str]:
    """Return the slice whose name `rest` begins with (the longest such name) and the figure."""
    if kind == "class":
        named = {str(s["slice"]["name"]): s for s in result.get("classes") or []}
    else:
        named = {
            f"{s['slice']['column']}.{s['slice']['value']}": s for s in result.get("groups") or []
        }
    fits = [name for name in named if rest.startswith(f"{name}.")]
    if not fits:
        if not named:
            raise UsageError(
                f"the gate {gate.expr!r} needs {'classes' if kind == 'class' else 'groups'}",
                "this result has none" if kind == "class" else "name a column with --group",
            )
        if rest in named:
            raise UsageError(f"the gate {gate.expr!r} names no figure", f"{kind}.{rest}.ece")
        wanted = rest.rpartition(".")[0] or rest
        shown = ", ".join(list(named)[:10]) + (", …" if len(named) > 10 else "")
        raise UsageError(
            f"the gate {gate.expr!r} names no {kind} of this result",
            did_you_mean(wanted, named) or f"there are: {shown}",
        )
    name = max(fits, key=len)
    return named[name], rest[len(name) + 1 :]


def _section_value(gate: Gate, result: Json, section: str, figure: str, calibrated: bool) -> float:
    found = result.get(section)
    if found and calibrated:
        found = found.get("calibrated")
        if not found:
            raise UsageError(
                f"the gate {gate.expr!r} needs figures after calibration",
                "they come with --calibrator FILE",
            )
    if not found:
        option = _SECTIONS[section]
        raise UsageError(f"the gate {gate.expr!r} needs {section}", f"it comes with {option}")
    name, end = _split_end(figure)
    return _number(gate, _lookup(gate, found.get("metrics", found), name), end, section)


def _decided(gate: Gate, result: Json, figure: str) -> float:
    """Return a figure of the decisions: of all of them, or `precision.CLASS` of one class."""
    found = result.get("decision")
    if not found:
        raise UsageError(f"the gate {gate.expr!r} needs decisions", "--thresholds FILE")
    name, end = _split_end(figure)
    metrics, classes = found["metrics"], found.get("classes") or []
    base, _, which = name.partition(".")
    for one in classes:
        if one["name"] == which and isinstance(one.get(base), Mapping):
            return _number(gate, one[base], end, f"class {which!r}")
    known = dict(metrics)
    for one in classes:
        known |= {f"{key}.{one['name']}": one[key] for key in one if isinstance(one[key], Mapping)}
    return _number(gate, _lookup(gate, known, name), end, "the decisions")


def _overlap(gate: Gate, result: Json, end: str) -> float:
    found = result.get("overlap")
    if not found:
        raise UsageError(f"the gate {gate.expr!r} needs a calibrator", "--calibrator FILE")
    if end not in found or end == "reason":
        raise UsageError(
            f"the gate {gate.expr!r} names no figure of this result: {end!r}",
            did_you_mean(end, found) or "overlap, overlap.low or overlap.high",
        )
    return _number(gate, found, end, "the overlap")


def _value(gate: Gate, summary: Json, figure: str, calibrated: bool) -> float:
    """Return the figure of one slice as a number."""
    where = _describe(summary["slice"])
    if calibrated:
        if not summary.get("calibrated"):
            raise UsageError(
                f"the gate {gate.expr!r} needs figures after calibration",
                "they come with --calibrator FILE",
            )
        summary = summary["calibrated"]
    name, end = _split_end(figure)
    metrics: Json = summary.get("metrics") or {}
    if name in metrics:
        return _number(gate, metrics[name], end, where)
    base, _, at = name.partition("@")
    tables = summary.get("confusion") or []
    if tables and base in tables[0] and base != "threshold":
        return _number(gate, _table(gate, tables, base, at)[base], end, where)
    known = [*metrics, *(k for k in (tables[0] if tables else {}) if k != "threshold")]
    return _number(gate, _lookup(gate, dict.fromkeys(known), name), end, where)


def _table(gate: Gate, tables: list[Json], base: str, at: str) -> Json:
    """Return the confusion table at the threshold written after '@', or the only one."""
    thresholds = [float(t["threshold"]) for t in tables]
    shown = ", ".join(f"{base}@{t!r}" for t in thresholds)
    if not at:
        if len(tables) > 1:
            raise UsageError(f"the gate {gate.expr!r} must say at which threshold", shown)
        return tables[0]
    try:
        wanted = float(at)
    except ValueError:
        wanted = math.nan
    if wanted not in thresholds:
        raise UsageError(f"the gate {gate.expr!r} names no threshold of this result", shown)
    return tables[thresholds.index(wanted)]


def _split_end(figure: str) -> tuple[str, str]:
    """Return the figure without .low/.high/.value, and which of them is meant."""
    name, _, end = figure.rpartition(".")
    return (name, end) if name and end in _ENDS else (figure, "value")


def _lookup(gate: Gate, known: Json, name: str) -> Any:
    if name not in known or known[name] is None:
        raise UsageError(
            f"the gate {gate.expr!r} names no figure of this result: {name!r}",
            did_you_mean(name, known) or f"one of: {', '.join(known)}",
        )
    return known[name]


def _number(gate: Gate, entry: Any, end: str, where: str) -> float:
    """Return one number of a {"value", "low", "high"} entry; UsageError with the reason if null."""
    if isinstance(entry, Mapping):
        number, reason = entry.get(end), entry.get("reason")
    else:
        number, reason = (entry if end == "value" else None), None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        if end != "value" and not reason:
            reason = "it has no p-value" if end == "p" else "it has no interval here"
        raise UsageError(
            f"the gate {gate.expr!r} cannot be evaluated for {where}: {reason or 'no value'}",
            "intervals are left out with --no-ci" if end in ("low", "high") else None,
        )
    return number


def _describe(where: Json) -> str:
    match where["kind"]:
        case "class":
            return f"class {where['name']!r}"
        case "group":
            return f"group {where['column']}={where['value']!r}"
        case kind:
            return str(kind)
