"""What a replay says: which way of refitting has cost least, and what each has cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.stream import Numbered
from calibcli.render.tables.common import level, sure_style
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures
from calibcli.render.words.names import visible
from calibcli.render.words.words import LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.core.results.parts.replay import Policy, ReplayResult
    from calibcli.render.tables.layout import Row


def headline(result: ReplayResult) -> str:
    """Return which policy has cost least, if one differs from never refitting for sure."""
    best = result.best
    if best is None:
        return "No way of refitting was better for sure than never"
    score = LOSSES[result.score]
    apart = best.difference
    ends = figures.signed_ends(apart.low, apart.high)
    return (
        f"{best.title} has cost least: {score} {figures.metric(best.loss.value)}, "
        f"{figures.signed(apart.value)} {ends} against never"
    )


def facts(result: ReplayResult) -> str:
    """Return what was judged."""
    what = "pair" if result.score == "cost" else "calibrator"
    word = "period" if result.nights == 1 else "periods"
    return (
        f"{result.nights} {word} of {result.by} after the first, {figures.count(result.rows)} "
        f"rows, each judged by the {what} in place before it"
    )


def tables(result: ReplayResult) -> list[Table]:
    """Return the policies."""
    interval = level(result.conventions)
    score = LOSSES[result.score]

    def row(one: Policy) -> Row:
        yield Column("policy", left=True), one.title
        yield Column("replaced"), figures.count(one.replaced)
        loss = Cell(figures.metric(one.loss.value), figures.interval(one.loss))
        yield Column(f"{score} by row", interval), loss
        yield Column("less never", interval), _difference(one, result.score)
        yield Column("worst period", left=True), visible(one.worst.value)
        yield Column(score), figures.metric(one.worst.loss)

    note = "Differences are paired, row by row, and their intervals hold together."
    return [Table.of("Policies", map(row, result.policies), note)]


def _difference(one: Policy, score: str) -> Cell:
    if one.name == "never":
        return Cell("")
    apart = one.difference
    ends = figures.signed_ends(apart.low, apart.high)
    return Cell(figures.signed(apart.value), ends, sure_style(score, apart.low, apart.high))


def numbers(result: ReplayResult) -> Iterator[Numbered]:
    """Yield what a replay tells in numbers: the policies, then each in every period."""
    for one in result.policies:
        start = partial(Numbered, "replay", OVERALL, "policies", one.title)
        loss, apart = one.loss, one.difference
        yield start(result.score, loss.value, loss.low, loss.high)
        yield start(f"{result.score}_difference", apart.value, apart.low, apart.high)
        yield start("replaced", one.replaced)
    for period in result.periods:
        where = Where("group", column=result.by, value=period.value)
        told = period.reason or ""
        yield Numbered("replay", where, "periods", "", "n", period.n, reason=told)
        for acted in period.policies:
            start = partial(Numbered, "replay", where, "periods", acted.title)
            yield start(result.score, acted.loss, reason=acted.code or "")
            yield start("replaced", int(acted.replaced), reason=acted.code or "")
