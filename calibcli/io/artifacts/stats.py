"""ScoreStats as plain JSON: floats by their shortest exact form, so a round trip is exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

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


def stats_to_dict(stats: ScoreStats) -> dict[str, Any]:
    """Return cells as lists: `score` for those up to one half, `one_minus_score` above it.

    Distinct logits are their `logit`, infinite ones as null.
    """
    payload: dict[str, Any] = {
        "exact": stats.exact,
        "logits": stats.logits,
        "weighted": stats.weighted,
        "edges": list(stats.edges),
        "losses": list(stats.loss_sums),
        "cells": _table_to_dict(stats.table, with_slot=False),
    }
    if stats.parts is not None:
        payload["buckets"] = _table_to_dict(stats.parts, with_slot=True)
    return payload


def stats_from_dict(payload: dict[str, Any]) -> ScoreStats:
    """Restore what `stats_to_dict` wrote.

    Raises:
        InputError: when the payload is not such a dict, or its columns do not fit together.
    """
    try:
        edges = tuple(float(e) for e in payload["edges"])
        squared, log_loss, infinite, *worst = (float(v) for v in payload["losses"])
        logits, weighted = bool(payload["logits"]), bool(payload["weighted"])
        table = _table_from_dict(payload["cells"], edges, weighted=weighted)
        parts = payload.get("buckets")
        by_bucket = None if parts is None else _table_from_dict(parts, edges, weighted=weighted)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"the statistics are damaged: {type(error).__name__}: {error}",
            "write them again with 'calibcli measure --save-stats'",
        ) from error
    losses = squared, log_loss, infinite, worst[0] if worst else 0.0
    return ScoreStats(table, edges, logits, weighted, losses, by_bucket)


def _table_to_dict(table: CellTable, *, with_slot: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {"bits": table.bits}
    if table.logits:
        logit = key_logits(table.key).tolist()
        columns["logit"] = [None if math.isinf(z) else z for z in logit]
        columns["infinite"] = [int(math.copysign(1, z)) for z in logit if math.isinf(z)]
    else:
        tails, upper = key_tails(table.key)
        columns["score"] = tails[~upper].tolist()
        columns["one_minus_score"] = tails[upper].tolist()
        if with_slot:
            # Lower cells come first in a bucket; the split of the two lists needs the order.
            columns["upper"] = upper.astype(int).tolist()
    if with_slot:
        columns["bucket"] = table.slot.tolist()
    columns |= {"pos": table.pos.tolist(), "neg": table.neg.tolist()}
    if table.bits is not None:
        columns["offset"] = table.offset.tolist()
    if table.pos_sq is not None and table.neg_sq is not None:
        columns |= {"pos_sq": table.pos_sq.tolist(), "neg_sq": table.neg_sq.tolist()}
    return columns


def _table_from_dict(
    columns: dict[str, Any], edges: tuple[float, ...], *, weighted: bool
) -> CellTable:
    key = _logit_keys(columns) if "logit" in columns else _score_keys(columns)
    nothing = [0] * len(key)
    kind = np.float64 if weighted else np.int64
    table = CellTable(
        np.asarray(columns.get("bucket", nothing), dtype=np.int32),
        key,
        _numbers(columns["pos"], kind),
        _numbers(columns["neg"], kind),
        _numbers(columns.get("offset", nothing), kind),
        _numbers(columns["pos_sq"], np.float64) if weighted else None,
        _numbers(columns["neg_sq"], np.float64) if weighted else None,
        columns["bits"],
        "logit" in columns,
    )
    _check(table, edges)
    return table


def _logit_keys(columns: dict[str, Any]) -> Keys:
    signs = list(columns["infinite"])
    logit = [signs.pop(0) * math.inf if z is None else z for z in columns["logit"]]
    return logit_keys(np.array(logit, dtype=np.float64))


def _score_keys(columns: dict[str, Any]) -> Keys:
    low = np.asarray(columns["score"], dtype=np.float64) + 0.0
    high = np.asarray(columns["one_minus_score"], dtype=np.float64) + 0.0
    if not (((low >= 0) & (low <= 0.5)).all() and ((high >= 0) & (high < 0.5)).all()):
        raise ValueError("a score is not in its half of [0, 1]")
    upper = np.repeat([False, True], [len(low), len(high)])
    if "upper" in columns:
        upper = np.asarray(columns["upper"]).astype(bool)
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
