"""Gates within a period: which of them fail, over all figures that the period has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from calibcli.core.comparison.evidence import ECE, RATES
from calibcli.core.decisions.gates import Findings, evaluate_gate
from calibcli.core.results.figures import OVERALL
from calibcli.core.results.stream import of_decision, of_differences, of_drift, of_slice
from calibcli.errors import UsageError
from calibcli.workflows.measure.ranking import ranking_result, unlabelled_result
from calibcli.workflows.measure.slices import slice_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.gates import Gate
    from calibcli.core.results.comparisons import Compared
    from calibcli.core.results.figures import Where
    from calibcli.core.results.parts.decided import Decided
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Slice
    from calibcli.workflows.measure.crossed import Crossed
    from calibcli.workflows.measure.decided.applied import Applied

_ELSEWHERE = re.compile(r"(overlap|series|evidence)\b")
_OF_NIGHTS = re.compile(rf".*\.evidence\.({'|'.join((ECE, *RATES))})(\.p|\.value)?")
_OF_GROUPS = re.compile(r"group\b|worst\(group\b")
_OF_CLASSES = re.compile(r"class\b|worst\(class\b")
_OF_TWO = re.compile(r"(?P<scope>.*\.)?versus\.")


def of_periods(gate: Gate, crossed: Crossed) -> bool:
    """Whether a gate is evaluated in each period, beside all rows."""
    if crossed.whole and _OF_GROUPS.match(gate.subject):
        return False
    return not (_ELSEWHERE.match(gate.subject) or _OF_NIGHTS.fullmatch(gate.subject))


def failing(
    one: Slice,
    moved: dict[str, Compared],
    gates: Sequence[Gate],
    conventions: Conventions,
    decisions: Mapping[str, Decided],
    applied: Applied | None,
    crossed: Crossed,
    *,
    labelled: bool,
) -> list[str]:
    """Return the gates that fail in a period, over all figures of it.

    Args:
        one: the period.
        moved: its drift; {} without a reference.
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
    period, scale = one.value, crossed.found.raw_scale

    def add(part: Slice, where: Where) -> None:
        judged = slice_result if labelled else unlabelled_result
        for stage, population in (("before", part.population), ("calibrated", part.calibrated)):
            if population is not None:
                after, own = stage == "calibrated", part.where
                own = OVERALL if part is one else own
                if scale is not None and not after:
                    cut = conventions if applied is None else applied.raw_cuts(conventions, own)
                    told = ranking_result(own, population, cut, scale)
                    found.add(of_slice(stage, where, told))
                    continue
                cut = conventions if applied is None else applied.cut(conventions, own, after=after)
                found.add(of_slice(stage, where, judged(own, population, cut)))

    add(one, OVERALL)
    found.add(of_drift("drift", OVERALL, moved))
    if period in decisions:
        found.add(of_decision(OVERALL, decisions[period]))
    if any(_OF_CLASSES.match(gate.subject) for gate in gates):
        for part in crossed.classes_of(one):
            add(part, part.where)
    if any(_OF_GROUPS.match(gate.subject) for gate in gates):
        for part in crossed.groups_of(period):
            add(part, part.where)
            decided = crossed.decision_of(period, part)
            if decided is not None:
                found.add(of_decision(part.where, decided))
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
