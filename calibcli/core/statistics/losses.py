"""Sums of losses: (1 - p_true)^2, -log p_true, and how often p_true is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.cells import key_tails

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import CellTable
    from calibcli.core.statistics.cells import Keys

    Floats = NDArray[np.float64]

_SAFE = 1e-18
"""Probabilities from here on may be multiplied sixteen at a time: 1e-288 is a normal number."""
_BLOCKS = 16
_FEW = 1024


def row_losses(
    key: Keys, label: NDArray[np.bool_], weight: NDArray[Any] | None, *, logits: bool
) -> Floats:
    """Return the three sums (3,) over rows (n,), n > 0."""
    truth = _true_probability(key, label)
    least = truth.min()
    missed = 0.0
    if least < EPS:
        zero = truth == 0.0
        missed = float(zero.sum() if weight is None else weight[zero].sum())
    squared = 1.0 - truth
    squared *= squared
    if least < EPS:
        _clip(truth, logits=logits)
        least = truth.min()
    if weight is None:
        log_loss = _sum_of_logs(truth) if least > _SAFE else np.log(truth).sum()
        return np.array([squared.sum(), -log_loss, missed])
    squared *= weight
    loss = np.log(truth)
    loss *= weight
    return np.array([squared.sum(), -loss.sum(), missed])


def slot_losses(
    key: Keys,
    label: NDArray[np.bool_],
    slot: NDArray[np.integer[Any]],
    weight: NDArray[Any] | None,
    slots: int,
    *,
    logits: bool,
) -> Floats:
    """Return the three sums by slot (slots, 3) over rows (n,), n > 0."""
    truth = _true_probability(key, label)
    squared = 1.0 - truth
    squared *= squared
    least = truth.min()
    missed = (truth == 0.0).astype(np.float64) if least == 0.0 else None
    if least < EPS:
        _clip(truth, logits=logits)
    np.log(truth, out=truth)
    np.negative(truth, out=truth)
    found = np.zeros((slots, 3))
    for number, values in enumerate((squared, truth, missed)):
        if values is not None:
            weighed = values if weight is None else values * weight
            found[:, number] = np.bincount(slot, weights=weighed, minlength=slots)
    return found


def table_losses(table: CellTable, slots: int, *, logits: bool) -> Floats:
    """Return the three sums by slot (slots, 3) over the cells of distinct scores."""
    found = np.zeros((slots, 3))
    if len(table):
        for right, counts in ((True, table.pos), (False, table.neg)):
            label = np.full(len(table), right)
            found += slot_losses(table.key, label, table.slot, counts, slots, logits=logits)
    return found


def _true_probability(key: Keys, label: NDArray[np.bool_]) -> Floats:
    """Return the probability that each row gave to its label: 1 - tail, or the tail itself."""
    truth, upper = key_tails(key)
    np.subtract((upper == label).astype(np.float64), truth, out=truth)
    return np.abs(truth, out=truth)


def _clip(truth: Floats, *, logits: bool) -> None:
    """Raise what log would make infinite: all below EPS, or of logits only what is 0."""
    if logits:
        truth[truth == 0.0] = EPS
    else:
        np.maximum(truth, EPS, out=truth)


def _sum_of_logs(values: Floats) -> float:
    """Return the sum of the logarithms of values in (_SAFE, 1], from products of sixteen."""
    size = len(values) // _BLOCKS
    if size < _FEW:
        return float(np.log(values).sum())
    rest = np.log(values[size * _BLOCKS :]).sum()
    count = size * _BLOCKS
    while count > size:
        count //= 2
        values = values[:count] * values[count : 2 * count]
    return float(np.log(values).sum() + rest)
