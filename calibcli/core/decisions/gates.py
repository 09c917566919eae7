"""Gates: 'ece>0.05' against a result, and whether the run may pass.

The expression says when the gate *fails*:

    [scope.] [calibrated.] [section.] figure [@cut-off] [.low | .high | .value | .p]  >|<=|…  number

    scope    class.NAME    group.COLUMN.VALUE    worst(class)    worst(group.COLUMN)    worst(group)
    section  drift, versus, decision, series, overlap (a figure by itself), evidence (.p);
             cross_fitted: of `threshold`, on rows that the choice has not seen
    figure   a metric (ece, auc, …), or one of a confusion table: precision, or precision@0.5 where
             there are several cut-offs; precision@chosen is at the one of --thresholds;
             decision.precision.NAME is class.NAME.decision.precision

`worst` takes the slice that is most likely to fail: the largest value where the gate fails above
the number, the smallest where it fails below. Names may hold dots; the longest known one is meant.
Whatever cannot be evaluated (an unknown name, a metric that is undefined, no interval) is a
UsageError: a gate fails closed.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.base import plain
from calibcli.core.results.envelope import Envelope, GateResult
from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.reading import typed
from calibcli.core.results.stream import Numbered, numbers
from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Json = Mapping[str, Any]
    Cutoff = Callable[[Where, bool], float | None]
    Named = dict[str, list[Numbered]]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_EXPRESSION = re.compile(r"(?P<subject>.*\S)\s*(?P<op>>=|<=|>|<)\s*(?P<target>[^\s<>=]+)\s*", re.S)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_AT_CUT = re.compile(rf"(?P<figure>\w+)@(?P<cut>{_NUMBER.pattern})(?P<beside>\.[a-z]+)?")
_WORST = re.compile(r"worst\((?P<of>class|group(?:\.(?P<column>.+?))?)\)\.(?P<figure>.+)", re.S)
_SECTIONS: Final = {
    "drift": "--reference FILE",
    "versus": "--versus COL",
    "series": "--by COL",
    "decision": "--thresholds FILE",
    "overlap": "--calibrator FILE",
    "evidence": "--evidence FILE",
    "cross_fitted": "enough rows to choose without a part of them",
}
_STAGES: Final = {"decision": "decision", "cross-fitted": "cross_fitted"}
_ENDS = ("low", "high", "value", "p")
ALIASES: Final = {
    "sensitivity": "recall",
    "tpr": "recall",
    "ppv": "precision",
    "tnr": "specificity",
    "logloss": "nll",
    "log_loss": "nll",
}
"""Other names of figures, as gates take them."""
_TABLES: Final = {
    "metrics": "",
    "confusion": "",
    "drift": "drift",
    "versus": "versus",
    "versus, calibrated": "versus",
    "overlap": "overlap",
    "series": "series",
    "evidence": "evidence",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One parsed `--fail-if`: it fails when `subject op target` is true."""

    expr: str
    subject: str
    op: str
    target: float


class Findings:
    """The figures of a result, as gates look them up.

    Attributes:
        chosen: the cut-off that was chosen for a slice, before the calibrator or after it.
    """

    def __init__(self, found: Iterable[Numbered] = (), chosen: Cutoff | None = None) -> None:
        self.chosen = chosen
        self._found: dict[tuple[str, bool], dict[Where, Named]] = {}
        self.add(found)

    @classmethod
    def of(cls, result: Json | Envelope, chosen: Cutoff | None = None) -> Findings:
        """Return the figures of a result, or of one as the JSON has it."""
        whole: Any = result if isinstance(result, Envelope) else typed(result)
        if whole.schema != "calibcli/measure":
            from calibcli.core.results.parts.chosen import of_result

            return cls(of_result(whole), chosen)
        found = cls(numbers(whole), chosen)
        if whole.series is not None:
            for name, count in whole.series.metrics.items():
                found.add([Numbered("series", OVERALL, "series", "", name, count.value)])
        if whole.overlap is not None:
            told = whole.overlap.reason or ""
            for name, value in plain(whole.overlap).items():
                if name != "reason":
                    one = Numbered("", OVERALL, "overlap", "", name, value, reason=told)
                    found.add([one])
        return found

    def add(self, found: Iterable[Numbered]) -> None:
        """Take numbers of the stream in."""
        for one in found:
            if one.table not in _TABLES or one.stage == "second" or one.where.kind == "period":
                continue
            section = _STAGES.get(one.stage, _TABLES[one.table])
            if section == "decision" and one.where.kind == "class":  # also `precision.CLASS`
                self.add([one._replace(where=OVERALL, name=f"{one.name}.{one.where.name}")])
            after = "calibrated" in one.stage or one.table == "versus, calibrated"
            key = section, after and section != "overlap"
            named = self._found.setdefault(key, {}).setdefault(one.where, {})
            name = one.name
            if one.table == "drift" and one.at:
                one, name = one._replace(at=""), f"{name}.{one.at}"
            cut = _AT_CUT.fullmatch(name) if section in ("drift", "versus") else None
            if cut is not None:  # of raw scores, at a cut-off of theirs
                figure, at, beside = cut.group("figure", "cut", "beside")
                name = figure + (beside or "")
                one = one._replace(at=float(at), name=name)
            if all(one.at != other.at for other in named.setdefault(name, [])):
                named[name].append(one)

    def slices(self, section: str, after: bool) -> dict[Where, Named]:
        """Return the figures of a section by slice."""
        return self._found.get((section, after), {})

    def elsewhere(self, where: Where, name: str) -> str | None:
        """Return what a figure of a slice is called that a section has; None if none has."""
        for (section, after), found in self._found.items():
            if section and name in found.get(where, {}):
                return f"{'calibrated.' * after}{section}.{name}"
        return None

    def wheres(self, kind: str, *, evidence: bool = True) -> list[Where]:
        """Return the classes, or the values of groups, that any section has, in their order.

        `evidence` also has groups that came on other nights only.
        """
        told = [found for key, found in self._found.items() if evidence or key[0] != "evidence"]
        parts = (where for found in told for where in found)
        return list(dict.fromkeys(where for where in parts if where.kind == kind))


def parse_gate(text: str) -> Gate:
    """Read an expression as far as that is possible before there is a result.

    Raises UsageError when it has no comparison or compares with something that is no number.
    """
    match = _EXPRESSION.fullmatch(text)
    if match is None or match["subject"].strip()[-1] in "<>=!":
        raise UsageError(f"not a gate: {text!r}", "for example --fail-if 'ece>0.05'")
    number = match["target"]
    if _NUMBER.fullmatch(number) is None or not math.isfinite(float(number)):
        raise UsageError(f"the gate {text!r} compares with {number!r}, not a number")
    return Gate(text, match["subject"].strip(), match["op"], float(number))


def evaluate_gate(gate: Gate, result: Json | Findings) -> GateResult:
    """Return the verdict of a gate on a result.

    Raises UsageError when the expression cannot be evaluated there.
    """
    found = result if isinstance(result, Findings) else Findings.of(result)
    subject, after = _without(gate.subject, "calibrated.")
    worst = _WORST.fullmatch(subject)
    if worst is None and subject.startswith("worst"):
        raise UsageError(
            f"the gate {gate.expr!r} cannot be read",
            "worst(class).ece>0.1, worst(group.camera).ece>0.1 or worst(group).ece>0.1",
        )
    if worst is not None:
        slices = _slices(gate, found, worst)
        values = [(_value(gate, found, where, worst["figure"], after), where) for where in slices]
        pick = max if gate.op in (">", ">=") else min
        (value, figure), where = pick(values, key=lambda pair: pair[0][0])
        return _verdict(gate, value, figure, where)
    scope, _, rest = subject.partition(".")
    if scope in ("class", "group") and rest:
        where, rest = _named_slice(gate, found, scope, rest)
        return _verdict(gate, *_value(gate, found, where, rest, after))
    return _verdict(gate, *_value(gate, found, OVERALL, subject, after))


def evaluate_gates(gates: Iterable[Gate], result: Json | Findings) -> list[GateResult]:
    """Return the verdicts in the order given."""
    found = result if isinstance(result, Findings) else Findings.of(result)
    return [evaluate_gate(gate, found) for gate in gates]


def _verdict(gate: Gate, value: float, figure: Numbered, where: Where | None = None) -> GateResult:
    """Return what a gate found; the interval stands where it failed."""
    passed = not _OPERATORS[gate.op](value, gate.target)
    low, high = figure.low, figure.high
    if passed or low is None or high is None:
        low = high = None
    return GateResult(gate.expr, value, passed, where, low, high)


def _without(text: str, prefix: str) -> tuple[str, bool]:
    return text.removeprefix(prefix), text.startswith(prefix)


def _slices(gate: Gate, found: Findings, worst: re.Match[str]) -> list[Where]:
    """Return the slices that worst(...) ranges over; never empty."""
    of, column = worst["of"], worst["column"]
    if of == "class":
        classes = found.wheres("class")
        if not classes:
            raise UsageError(f"the gate {gate.expr!r} needs classes", "this result has none")
        return classes
    groups = found.wheres("group", evidence=worst["figure"].startswith("evidence."))
    if not groups:
        raise UsageError(f"the gate {gate.expr!r} needs groups", "name a column with --group")
    if column is None:
        return groups
    named = [where for where in groups if where.column == column]
    if not named:
        columns = list(dict.fromkeys(str(where.column) for where in groups))
        raise UsageError(
            f"the gate {gate.expr!r} names no --group column",
            did_you_mean(column, columns) or f"columns: {', '.join(columns)}",
        )
    return named


def _named_slice(gate: Gate, found: Findings, kind: str, rest: str) -> tuple[Where, str]:
    """Return the slice whose name `rest` begins with (the longest such name) and the figure."""
    named = {
        str(one.name) if kind == "class" else f"{one.column}.{one.value}": one
        for one in found.wheres(kind)
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


def _value(
    gate: Gate, found: Findings, where: Where, subject: str, after: bool
) -> tuple[float, Numbered]:
    """Return the number that is meant of a slice, and the figure that it belongs to."""
    rest, again = _without(subject, "calibrated.")
    after = after or again
    head, _, tail = rest.partition(".")
    section = head if head in _SECTIONS else ""
    figure = tail if section else rest
    if section == "overlap":
        figure, after = figure or "value", False
    place = found.slices(section, after and section != "decision")
    if not place:
        raise _absent(gate, found, section, after)
    if where not in place:
        if after and where in found.slices(section, after=False):
            raise _absent(gate, found, section, after)
        told = f"the gate {gate.expr!r} cannot be evaluated for {_describe(where)}"
        raise UsageError(told, f"{section or 'this result'} has no figures of it")
    name, end = (figure, "value") if section == "overlap" else _split_end(figure)
    one = _figure(gate, found, place[where], name, where, after)
    if end == "p":
        beside = place[where].get(f"{one.name}.p")
        one = one._replace(value=beside[0].value if beside else None)
    return _number(gate, one, end, section or _describe(where)), one


def _absent(gate: Gate, found: Findings, section: str, after: bool) -> UsageError:
    """Return the error of figures that the result does not have."""
    if after and found.slices(section, after=False):
        return UsageError(
            f"the gate {gate.expr!r} needs figures after calibration",
            "they come with --calibrator FILE",
        )
    needed = {"overlap": "a calibrator", "decision": "decisions", "": "figures"}
    told = f"the gate {gate.expr!r} needs {needed.get(section, section)}"
    return UsageError(told, f"it comes with {_SECTIONS[section]}" if section else None)


def _figure(
    gate: Gate, found: Findings, named: Named, name: str, where: Where, after: bool
) -> Numbered:
    """Return the figure of a name, which may have a cut-off behind it."""
    base, _, at = name.partition("@")
    if base not in named:
        base = ALIASES.get(base, base)
    tables = [] if base == "npv" else named.get(base, [])
    if base == "npv" and "tn" in named:
        tables = [_npv(*pair) for pair in zip(named["tn"], named["fn"], strict=True)]
    if not tables:
        known = [one for one in named if not one.endswith((".p", ".reference", ".current"))]
        raise UsageError(
            f"the gate {gate.expr!r} names no figure of this result: {name!r}",
            found.elsewhere(where, base)
            or did_you_mean(name, known)
            or f"one of: {', '.join(known)}",
        )
    if not at:
        # A figure of the whole slice, such as that of a structure, goes before those at cut-offs.
        tables = [one for one in tables if one.at == ""] or tables
        if len(tables) == 1:
            return tables[0]
    cutoffs = [one.at for one in tables]
    shown = ", ".join(f"{base}@{cut!r}" for cut in cutoffs if cut != "")
    if not at:
        raise UsageError(f"the gate {gate.expr!r} must say at which threshold", shown)
    if at == "chosen":
        wanted = None if found.chosen is None else found.chosen(where, after)
        if wanted is None and found.chosen is not None and found.chosen(where, not after):
            told = f"calibrated.{name}" if not after else name
            side = "before" if after else "after"
            raise UsageError(
                f"the gate {gate.expr!r} asks on the wrong side: the thresholds cut {side} the "
                "calibrator",
                told,
            )
        if wanted is None:
            raise UsageError(
                f"the gate {gate.expr!r} needs one chosen cut-off of a score",
                "it comes with --thresholds FILE; decision.FIGURE is of all decisions together",
            )
    else:
        wanted = float(at) if _NUMBER.fullmatch(at) else math.nan
    if wanted not in cutoffs:
        raise UsageError(f"the gate {gate.expr!r} names no threshold of this result", shown)
    return tables[cutoffs.index(wanted)]


def _npv(tn: Numbered, fn: Numbered) -> Numbered:
    """Return the share of negatives among the rows below a cut-off."""
    good, bad = tn.value, fn.value
    if not isinstance(good, int | float) or not isinstance(bad, int | float) or not good + bad:
        return tn._replace(name="npv", value=None, reason="no row is below the cut-off")
    return tn._replace(name="npv", value=good / (good + bad))


def _split_end(figure: str) -> tuple[str, str]:
    """Return the figure without .low/.high/.value, and which of them is meant."""
    name, _, end = figure.rpartition(".")
    return (name, end) if name and end in _ENDS else (figure, "value")


def _number(gate: Gate, one: Numbered, end: str, where: str) -> float:
    """Return a number of a figure, or an end of its interval; UsageError with the reason."""
    number = one.low if end == "low" else one.high if end == "high" else one.value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        reason = one.reason
        if end != "value" and not reason:
            reason = "it has no p-value" if end == "p" else "it has no interval here"
        raise UsageError(
            f"the gate {gate.expr!r} cannot be evaluated for {where}: {reason or 'no value'}",
            "intervals are left out with --no-ci" if end in ("low", "high") else None,
        )
    return number


def _describe(where: Where) -> str:
    match where.kind:
        case "class":
            return f"class {where.name!r}"
        case "group":
            return f"group {where.column}={where.value!r}"
        case kind:
            return kind
