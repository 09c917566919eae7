"""A result of `fit` in few lines: what the map did, why it was taken, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.core.results.measure import SliceResult
from calibcli.render.tables.decisions import parameters_words
from calibcli.render.words import figures, names, short, verdicts, words
from calibcli.render.words.lines import ASIDE, DETAIL, MORE, Line, ranked
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.core.results.figures import Figure
    from calibcli.core.results.fit import Candidate, FitResult, FittedClass, FittedGroup, Side

_CHANGES: Final = {"accuracy": "accuracy", "nll": "log loss", "brier": "Brier", "auc": "AUC"}


def lines(result: FitResult, columns: int) -> Iterator[Line]:
    """Yield the lines above the files: the answer, the verdict on it, the choice, the worst."""
    before, after = result.before, result.after
    rows = before.value("n") or after.value("n")
    told = f"{short.count(rows)} {words_of(result.task).rows}"
    done = f"{names.visible(result.method)}: {_change(before, after)}"
    yield from (Line(*one) for one in short.ends_of_line(done, told, columns, "bold"))
    yield Line(words.after_words(after.kind), "", MORE)
    yield from _left(result)
    yield Line(short.bias_line(after.metrics), "", ASIDE)
    yield Line(choice_words(result.candidates, result.conventions.select), "", MORE)
    changes = "   ".join(_changes(before.metrics, after.metrics))
    while len(changes) > columns:
        changes = changes.rpartition("   ")[0]
    yield Line(changes, "", DETAIL)
    yield Line(_parameters(result), "dim", ASIDE)
    for what, parts in (("group", result.groups), ("class", result.classes)):
        yield Line(_worst(what, parts, words_of(result.task).rows), "", DETAIL)


def _change(before: Side, after: Side) -> str:
    """Return `ECE 0.082 [0.061, 0.095] to 0.022 [0.000, 0.028]`."""
    later = figures.NONE if after.ece is None else short.with_interval(after.ece)
    if before.ece is None:
        return f"raw scores to ECE {later}"
    return f"ECE {short.with_interval(before.ece)} to {later}"


def _left(result: FitResult) -> Iterator[Line]:
    """Yield whether scores are honest after the map; of one that has seen the rows nothing."""
    bins = result.after.bins
    if not bins or result.after.kind == "in-sample":
        return
    part = SliceResult(metrics=result.after.metrics, bins=bins)
    answer = verdicts.slice_verdict(part, result.conventions, words_of(result.task))
    told = answer.headline if answer.tone == "warn" else answer.phrase
    yield Line(f"calibrated: {told[:1].lower()}{told[1:]}", answer.tone)
    regions = short.region_lines(answer.regions, words_of(result.task).rows)
    yield from ranked(regions, DETAIL, ASIDE)


def choice_words(candidates: Sequence[Candidate], select: str) -> str:
    """Return why a method was taken, in a sentence; empty where no two were compared.

    The rule takes the simplest whose loss is within one standard error of the lowest; below 1,000
    rows 1.5 of them count as one.
    """
    scored = [one for one in candidates if one.score is not None]
    chosen = next((one for one in scored if one.chosen), None)
    if chosen is None or len(scored) < 2:
        return ""
    loss = f"lowest cross-fitted {words.LOSSES.get(select, select)}"
    lowest = min(scored, key=lambda one: one.score or 0.0)
    name, other = names.visible(chosen.method), names.visible(lowest.method)
    of = f"of {len(scored)} candidates {other} has the {loss}, {figures.metric(lowest.score)}"
    gap, error = chosen.difference, chosen.se
    if lowest.score == chosen.score or gap is None or error is None:
        return of
    within = "is within one standard error" if gap <= error else "is not worse for sure"
    score = figures.metric(chosen.score)
    return f"{of}; {name} ({score}) {within} ({figures.metric(error)}), and simpler"


def _changes(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> list[str]:
    """Return figures before and after, such as `log loss 0.473 to 0.252`."""
    found = []
    for key, name in _CHANGES.items():
        first, last = before.get(key), after.get(key)
        if last is None or last.value is None:
            continue
        digits = short.digits_of(last)
        told = short.number(last.value, digits)
        if first is not None and first.value is not None:
            told = f"{short.number(first.value, digits)} to {told}"
        found.append(f"{name} {told}")
    return found


def _parameters(result: FitResult) -> str:
    """Return the parameters of the map, where they are a few numbers."""
    told = parameters_words(result.calibrator)
    return (
        names.visible(told)
        if "=" in told and " values" not in told and len(told) <= short.WIDTH
        else ""
    )


def _worst(what: str, parts: Sequence[FittedClass | FittedGroup], rows: str) -> str:
    """Return the class or group of the largest ECE after the map; of groups, how many are."""
    known = [(one.after.ece, one) for one in parts if one.after is not None and one.after.ece]
    if len(known) < 2:
        return ""
    ece, worst = max(known, key=lambda one: one[0].value or 0.0)
    name = names.cut(names.visible(worst.slice.title), 30)
    column = worst.slice.column
    said = what if column is None else names.visible(column)
    first = None if worst.before is None else worst.before.ece
    told = short.with_interval(ece)
    if first is not None:
        told = f"{short.number(first.value, short.digits_of(ece))} to {told}"
    size = None if worst.after is None else worst.after.value("n")
    return f"worst {said}: {name}, ECE {told}, {short.count(size)} {rows}"


def more_line(result: FitResult) -> str:
    """Return what `--all` would add."""
    parts = [f"{sum(one.value is not None for one in result.after.metrics.values())} metrics"]
    for name, found in (
        ("methods", result.candidates), ("classes", result.classes), ("groups", result.groups),
    ):  # fmt: skip
        parts += [f"{len(found)} {name}"] if found else []
    return f"--all: {', '.join(parts)}"
