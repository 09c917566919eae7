"""`fit --folds time:COL`: maps are judged on later rows by fits on earlier ones."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from calibcli.core.fitting.problems import Forward
from calibcli.errors import InputError
from calibcli.io.rows.keys import MISSING_GROUP
from calibcli.workflows.measure.series import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.gathered import Gathered


def forward(found: Gathered, by: str, folds: int) -> tuple[Gathered, Forward]:
    """Return what was gathered without its periods, and these as blocks in their order.

    Args:
        found: the rows, with the periods of `by` as groups.
        by: the column of times.
        folds: how many blocks are judged at most: the rows are cut into one more, of about as many.

    Raises:
        InputError: rows without a time, fewer than two blocks, a first one of one label.
    """
    found, periods = split(found, by)
    if any(one.value == MISSING_GROUP for one in periods):
        raise InputError(f"rows without a value of {by} have no place in time", "--folds 5")
    blocks = _blocks([one.population.pairs for one in periods], folds + 1)
    if len(blocks) < 2:
        raise InputError(
            f"all rows are of one period of {by}", "cut time finer: time:hour:COL, or --folds 5"
        )
    if not blocks[0].positives or not blocks[0].negatives:
        raise InputError(
            f"the first block of {by} holds one label only", "fewer blocks: --folds time:COL,2"
        )
    return found, Forward(blocks)


def _blocks(periods: Sequence[ScoreStats], wanted: int) -> list[ScoreStats]:
    """Join periods to blocks of about as many rows, in their order."""
    total, done = sum(one.n for one in periods), 0.0
    joined: dict[int, list[ScoreStats]] = {}
    for one in periods:
        middle = done + one.n / 2
        joined.setdefault(min(int(wanted * middle / max(total, 1)), wanted - 1), []).append(one)
        done += one.n
    return [reduce(lambda a, b: a.merge(b), parts) for parts in joined.values()]
