"""ScoreStats as plain JSON: floats by their shortest exact form, so a round trip is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.cells import HALF_KEY, ONE_KEY
from calibcli.core.stats import ScoreStats
from calibcli.core.tally import CellTable
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.cells import Keys


def stats_to_dict(stats: ScoreStats) -> dict[str, Any]:
    """Return cells as lists: `score` for those up to one half, `one_minus_score` above it."""
    payload: dict[str, Any] = {
        "exact": stats.exact,
        "logits": stats.logits,
        "weighted": stats.weighted,
        "edges": list(stats.edges),
        "losses": list(stats.losses),
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
        parts = payload.get("buckets")
        return ScoreStats(
            _table_from_dict(payload["cells"]),
            tuple(float(e) for e in payload["edges"]),
            bool(payload["logits"]),
            bool(payload["weighted"]),
            tuple(float(v) for v in payload["losses"]),  # type: ignore[arg-type]
            None if parts is None else _table_from_dict(parts),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the statistics are damaged: {type(error).__name__}",
            "write them again with 'calibcli measure --save-stats'",
        ) from error


def _table_to_dict(table: CellTable, *, with_slot: bool) -> dict[str, Any]:
    upper = table.key > HALF_KEY
    tails = np.where(upper, ONE_KEY - table.key, table.key).view(np.float64)
    columns: dict[str, Any] = {
        "bits": table.bits,
        "score": tails[~upper].tolist(),
        "one_minus_score": tails[upper].tolist(),
    }
    if with_slot:
        # Within a bucket the lower cells come first; the split of the two lists needs the order.
        columns["upper"] = upper.astype(int).tolist()
        columns["bucket"] = table.slot.tolist()
    columns |= {"pos": table.pos.tolist(), "neg": table.neg.tolist()}
    if table.bits is not None:
        columns["offset"] = table.offset.tolist()
    if table.pos_sq is not None and table.neg_sq is not None:
        columns |= {"pos_sq": table.pos_sq.tolist(), "neg_sq": table.neg_sq.tolist()}
    return columns


def _table_from_dict(columns: dict[str, Any]) -> CellTable:
    low = np.asarray(columns["score"], dtype=np.float64)
    high = np.asarray(columns["one_minus_score"], dtype=np.float64)
    upper = np.repeat([False, True], [len(low), len(high)])
    if "upper" in columns:
        upper = np.asarray(columns["upper"]).astype(bool)
    key: Keys = np.empty(len(upper), np.int64)
    key[~upper] = low.view(np.int64)
    key[upper] = ONE_KEY - high.view(np.int64)
    pos, neg = np.asarray(columns["pos"]), np.asarray(columns["neg"])
    pos, neg = (c if len(c) else c.astype(np.int64) for c in (pos, neg))
    offset = np.asarray(columns.get("offset", np.zeros_like(pos)), dtype=pos.dtype)
    slot = np.asarray(columns.get("bucket", np.zeros(len(key))), dtype=np.int32)
    squares = [np.asarray(columns[c]) if c in columns else None for c in ("pos_sq", "neg_sq")]
    if {len(slot), len(key), len(pos), len(neg), len(offset)} != {len(key)}:
        raise ValueError("columns of different length")
    return CellTable(slot, key, pos, neg, offset, *squares, bits=columns["bits"])
