"""Gates within a period: which of them fail, over all figures that the period has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from calibcli.core.decisions.gates import Findings, evaluate_gate
from calibcli.core.results.comparisons import Compared
from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.parts.decided import Decided
from calibcli.core.results.reading import typed_as
from calibcli.core.results.stream import of_decision, of_differences, of_drift, of_slice
from calibcli.errors import UsageError
from calibcli.workflows.measure.compared.unlabelled import unlabelled_result
from calibcli.workflows.measure.slices import slice_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.gates import Gate
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Slice
    from calibcli.workflows.measure.crossed import Crossed
    from calibcli.workflows.measure.decided.applied import Applied

Result = dict[str, Any]
_ELSEWHERE = re.compile(r"(overlap|series|evidence)\b")
_OF_GROUPS = re.compile(r"group\b|worst\(group\b")
_OF_CLASSES = re.compile(r"class\b|worst\(class\b")
_OF_TWO = re.compile(r"(?P<scope>.*\.)?versus\.")


def of_periods(gate: Gate, crossed: Crossed) -> bool:
    """Whether a gate is evaluated in each period, beside all rows."""
    if crossed.whole and _OF_GROUPS.match(gate.subject):
        return False
    return not _ELSEWHERE.match(gate.subject)


def failing(
    one: Slice,
    row: Result,
    gates: Sequence[Gate],
    conventions: Conventions,
    decisions: Mapping[str, Result],
    applied: Applied | None,
    crossed: Crossed,
    *,
    labelled: bool,
) -> list[str]:
    """Return the gates that fail in a period, over all figures of it.

    Args:
        one: the period.
        row: what is told of it.
        gates: those that `of_periods` has let through.
        conventions: how to bin, where to cut, how sure to be.
        decisions: what decisions are worth, by period.
        applied: these thresholds, if any.
        crossed: what else is known within periods.
        labelled: whether the rows have labels.

    Raises:
        UsageError: a gate that cannot be evaluated there.
    """
    found = Findings(chosen=None if applied is None else applied.chosen_cutoff)
    period = one.value

    def add(part: Slice, where: Where) -> None:
        judged = slice_result if labelled else unlabelled_result
        for stage, population in (("before", part.population), ("calibrated", part.calibrated)):
            if population is not None:
                after, own = stage == "calibrated", part.where
                own = {"kind": "overall"} if part is one else own
                cut = conventions if applied is None else applied.cut(conventions, own, after=after)
                told = typed_as(judged(own, population, cut), SliceResult)
                found.add(of_slice(stage, where, told))

    add(one, OVERALL)
    found.add(of_drift("drift", OVERALL, typed_as(row.get("drift") or {}, dict[str, Compared])))
    if period in decisions:
        found.add(of_decision(OVERALL, typed_as(decisions[period], Decided)))
    if any(_OF_CLASSES.match(gate.subject) for gate in gates):
        for part in crossed.classes_of(one):
            add(part, typed_as(part.where, Where))
    if any(_OF_GROUPS.match(gate.subject) for gate in gates):
        for part in crossed.groups_of(period):
            where = typed_as(part.where, Where)
            add(part, where)
            decided = crossed.decision_of(period, part)
            if decided is not None:
                found.add(of_decision(where, typed_as(decided, Decided)))
    if period in crossed.versus:
        told = crossed.versus[period]
        found.add(of_differences(OVERALL, "versus", crossed.second, told.metrics))
    return [gate.expr for gate in gates if not _passes(gate, found, crossed, period)]


def _passes(gate: Gate, found: Findings, crossed: Crossed, period: str) -> bool:
    two = _OF_TWO.match(gate.subject)
    if two is not None and (two["scope"] or crossed.missing):
        why = crossed.missing or "within a period two models are compared as they are, on all rows"
        raise UsageError(f"the gate {gate.expr!r} cannot be evaluated with --by: {why}")
    try:
        return evaluate_gate(gate, found).passed
    except UsageError as error:
        raise UsageError(f"{error.message}, in {period}", error.hint) from error
