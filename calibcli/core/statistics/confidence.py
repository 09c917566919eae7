"""Pairs of a binary score as pairs of its decision: how sure it is, and whether it is right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.keys import key_probabilities, probability_keys
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from calibcli.core.statistics.cell_table import CellTable, Counts


def confidence_pairs(stats: ScoreStats) -> ScoreStats:
    """Return pairs (confidence, was the decision right) of a binary score, clusters kept.

    A row is decided positive from 0.5 up, with confidence max(p, 1 - p).
    """
    parts = None if stats.parts is None else _turned(stats.parts, stats.edges)
    table = _turned(stats.table, stats.edges)
    return ScoreStats(table, weighted=stats.weighted, parts=parts)


def _turned(table: CellTable, edges: tuple[float, ...]) -> CellTable:
    """Return cells of probabilities as cells of confidence and of right and wrong.

    A cell of a grid turns over below one half: its highest probability is its lowest confidence,
    and belongs to the nearest cell border from 0.5 up, so that one cut-off parts both sides alike.
    """
    p = key_probabilities(table.places)
    positive = p >= 0.5
    confidence = np.where(positive, p, 1.0 - p)
    if table.bits is not None:
        borders = key_probabilities(grid(table.bits, edges).starts)
        upper = borders[borders >= 0.5]
        above = np.append(borders, 1.0)[np.searchsorted(borders, p, side="right")]
        lowest = 1.0 - np.nextafter(above, 0.0)
        border = np.searchsorted(upper, lowest, side="right") - 1
        confidence = np.where(positive, p, upper[np.maximum(border, 0)])

    def swapped(yes: Counts | None, no: Counts | None) -> Any:
        return None if yes is None or no is None else np.where(positive, yes, no)

    return replace(
        table,
        pos=swapped(table.pos, table.neg),
        neg=swapped(table.neg, table.pos),
        pos_sq=swapped(table.pos_sq, table.neg_sq),
        neg_sq=swapped(table.neg_sq, table.pos_sq),
    ).moved(probability_keys(confidence))
