"""ScoreStats as plain JSON: floats by their shortest exact form, so a round trip is exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import ValidationError, structs, to_builtins

from calibcli.core.results.base import Number, Record
from calibcli.core.results.reading import typed_as
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.counting.dense import COARSEST_BITS, FINEST_BITS
from calibcli.core.statistics.keys import ONE_KEY, key_logits, key_tails, logit_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys


class Cells(Record, frozen=True, kw_only=True):
    """Cells as lists, one entry a cell.

    Scores are `score` up to one half and `one_minus_score` above it; which of both comes next in a
    bucket is told by `upper`. Distinct logits are their `logit`, infinite ones as null and then in
    `infinite`. `bits` are those of a grid, in which `offset` is how far its rows lie off a cell.
    """

    bits: int | None
    logit: list[float | None] | None = None
    infinite: list[int] | None = None
    score: list[float] | None = None
    one_minus_score: list[float] | None = None
    upper: list[int] | None = None
    bucket: list[int] | None = None
    pos: list[Number]
    neg: list[Number]
    offset: list[Number] | None = None
    pos_sq: list[Number] | None = None
    neg_sq: list[Number] | None = None


class Counted(Record, frozen=True, kw_only=True):
    """`ScoreStats`, of all rows and by bucket."""

    exact: bool
    logits: bool
    weighted: bool
    edges: list[float]
    losses: list[float]
    cells: Cells
    buckets: Cells | None = None


def stats_to_dict(stats: ScoreStats) -> dict[str, Any]:
    """Return statistics as plain lists and numbers, see `Counted`."""
    whole = Counted(
        exact=stats.exact,
        logits=stats.logits,
        weighted=stats.weighted,
        edges=list(map(float, stats.edges)),
        losses=list(map(float, stats.loss_sums)),
        cells=_cells(stats.table, with_slot=False),
        buckets=None if stats.parts is None else _cells(stats.parts, with_slot=True),
    )
    found: dict[str, Any] = to_builtins(whole)
    return found


def stats_from_dict(payload: dict[str, Any]) -> ScoreStats:
    """Restore what `stats_to_dict` wrote.

    Raises:
        InputError: when the payload is not such a dict, or its columns do not fit together.
    """
    try:
        own = typed_as(payload, Counted)
        edges, weighted = tuple(own.edges), own.weighted
        squared, log_loss, infinite, *worst = own.losses
        table = _table(own.cells, edges, weighted=weighted)
        by_bucket = None if own.buckets is None else _table(own.buckets, edges, weighted=weighted)
    except (ValidationError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"the statistics are damaged: {type(error).__name__}: {error}",
            "write them again with 'calibcli measure --save-stats'",
        ) from error
    losses = squared, log_loss, infinite, worst[0] if worst else 0.0
    return ScoreStats(table, edges, own.logits, weighted, losses, by_bucket)


def _cells(table: CellTable, *, with_slot: bool) -> Cells:
    found = Cells(
        bits=table.bits,
        bucket=table.slot.tolist() if with_slot else None,
        pos=table.pos.tolist(),
        neg=table.neg.tolist(),
        offset=None if table.bits is None else table.offset.tolist(),
        pos_sq=None if table.pos_sq is None else table.pos_sq.tolist(),
        neg_sq=None if table.neg_sq is None else table.neg_sq.tolist(),
    )
    if table.logits:
        logit = key_logits(table.key).tolist()
        return structs.replace(
            found,
            logit=[None if math.isinf(z) else z for z in logit],
            infinite=[int(math.copysign(1, z)) for z in logit if math.isinf(z)],
        )
    tails, upper = key_tails(table.key)
    return structs.replace(
        found,
        score=tails[~upper].tolist(),
        one_minus_score=tails[upper].tolist(),
        # Lower cells come first in a bucket; the split of the two lists needs the order.
        upper=upper.astype(int).tolist() if with_slot else None,
    )


def _table(cells: Cells, edges: tuple[float, ...], *, weighted: bool) -> CellTable:
    key = _score_keys(cells) if cells.logit is None else _logit_keys(cells)
    nothing: list[Any] = [0] * len(key)
    kind = np.float64 if weighted else np.int64
    table = CellTable(
        np.asarray(nothing if cells.bucket is None else cells.bucket, dtype=np.int32),
        key,
        _numbers(cells.pos, kind),
        _numbers(cells.neg, kind),
        _numbers(nothing if cells.offset is None else cells.offset, kind),
        _numbers(cells.pos_sq or [], np.float64) if weighted else None,
        _numbers(cells.neg_sq or [], np.float64) if weighted else None,
        cells.bits,
        cells.logit is not None,
    )
    _check(table, edges)
    return table


def _logit_keys(cells: Cells) -> Keys:
    signs = list(cells.infinite or ())
    logit = [signs.pop(0) * math.inf if z is None else z for z in cells.logit or ()]
    return logit_keys(np.array(logit, dtype=np.float64))


def _score_keys(cells: Cells) -> Keys:
    low = np.asarray(cells.score, dtype=np.float64) + 0.0
    high = np.asarray(cells.one_minus_score, dtype=np.float64) + 0.0
    if not (((low >= 0) & (low <= 0.5)).all() and ((high >= 0) & (high < 0.5)).all()):
        raise ValueError("a score is not in its half of [0, 1]")
    upper = np.repeat([False, True], [len(low), len(high)])
    if cells.upper is not None:
        upper = np.asarray(cells.upper).astype(bool)
    key: Keys = np.empty(len(upper), np.int64)
    key[~upper] = low.view(np.int64)
    key[upper] = ONE_KEY - high.view(np.int64)
    return key


def _numbers(values: list[Any], kind: type[np.float64 | np.int64]) -> NDArray[Any]:
    found = np.asarray(values)
    if found.size and found.dtype.kind not in ("i" if kind is np.int64 else "if"):
        raise ValueError("a count is not a number of the right kind")
    if found.size and (not np.isfinite(found).all() or found.min() < 0):
        raise ValueError("a count is negative or not finite")
    return found.astype(kind)


def _check(table: CellTable, edges: tuple[float, ...]) -> None:
    """Raise ValueError unless the columns are those of a table in order."""
    columns = (table.slot, table.pos, table.neg, table.offset, table.pos_sq, table.neg_sq)
    if any(c is not None and len(c) != len(table.key) for c in columns):
        raise ValueError("columns of different length")
    same, later = np.diff(table.slot), table.key[1:] > table.key[:-1]
    if not ((same > 0) | ((same == 0) & later)).all():
        raise ValueError("cells are not in order")
    if len(table) and not 0 <= table.slot[0] <= table.slot[-1] < BUCKETS:
        raise ValueError("a bucket that does not exist")
    if any(not 0.0 <= edge <= 1.0 for edge in edges):
        raise ValueError("an edge outside [0, 1]")
    if table.bits is not None:
        if table.bits not in range(COARSEST_BITS, FINEST_BITS + 1):
            raise ValueError("a grid that does not exist")
        cells = grid(FINEST_BITS, edges)  # of many classes some cells are finer than the others
        if (cells.starts[cells.cells(table.key)] != table.key).any():
            raise ValueError("a cell that is not of the grid")
