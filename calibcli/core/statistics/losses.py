"""Sums of losses, row by row: one rule for every input, before and after a calibrator.

The log loss of a row is -log of the probability that its label was given. Probabilities are clipped
at `EPS`, whatever their dtype; logits are not clipped. A score that was certain and wrong has an
infinite loss: such rows are counted, and each costs what the worst finite error of these rows
costs, and no less than the clip, so that a worse error never costs less.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.keys import key_logits, key_tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import CellTable
    from calibcli.core.statistics.keys import Keys

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

CLIPPED = -math.log(EPS)
"""The log loss at the clip: what an infinite one counts at least."""
SUMS = 4
"""Sum of squares, sum of finite log losses, rows of infinite log loss, and the worst finite log
loss, 0 where that is below the clip."""
_SAFE = 1e-18
"""Probabilities from here on may be multiplied sixteen at a time: 1e-288 is a normal number."""
_BLOCKS = 16
_FEW = 1024


def combine(into: Floats, other: Floats) -> None:
    """Add sums of other rows (..., 4) in place."""
    into[..., :3] += other[..., :3]
    np.maximum(into[..., 3], other[..., 3], out=into[..., 3])


def log_loss_sum(sums: Floats) -> float:
    """Return the sum of log losses that sums (4,) stand for."""
    return float(sums[1] + sums[2] * max(sums[3], CLIPPED))


def own_log_loss(sums: Floats, worst: Sequence[float]) -> float:
    """Return the sum of the log losses of rows by their own class.

    Args:
        sums: (K, 4) of the rows of each class.
        worst: the worst finite log loss of all pairs of each class, which an infinite one costs.
    """
    costs = np.maximum(np.asarray(worst), CLIPPED)
    return float(sums[:, 1].sum() + sums[:, 2] @ costs)


def row_losses(
    place: Keys,
    label: Bools,
    weight: NDArray[Any] | None,
    logit: Floats | None = None,
    *,
    clip: bool = True,
    score: NDArray[Any] | None = None,
) -> Floats:
    """Return the sums (4,) over rows (n,), n > 0; see `slot_losses`.

    `score` are the probabilities of the places, which are then not worked out again.
    """
    miss, truth, rest, infinite = _parts(place, label, logit, clip, score)
    found = np.zeros(SUMS)
    found[0] = np.einsum("i,i", miss, miss) if weight is None else miss * miss @ weight
    least = float(truth.min())
    if weight is not None:
        found[1] = -float(np.log(truth) @ weight)
    elif least > _SAFE:
        found[1] = -_sum_of_logs(truth)
    else:
        found[1] = -float(np.log(truth).sum())
    if rest is not None:
        found[1] += float(rest.sum() if weight is None else rest @ weight)
        worst = float(rest.max())
        found[3] = worst if worst > CLIPPED else 0.0
    if infinite is not None:
        found[2] = float(infinite.sum() if weight is None else weight[infinite].sum())
    return found


def slot_losses(
    place: Keys,
    label: Bools,
    slot: NDArray[np.integer[Any]],
    weight: NDArray[Any] | None,
    slots: int,
    logit: Floats | None = None,
    *,
    clip: bool = True,
) -> Floats:
    """Return the sums by slot (slots, 4) over rows (n,), n > 0.

    Args:
        place: where each score lies (see `keys`).
        label: what was true.
        slot: what is kept apart.
        weight: counts of identical rows, or importance weights.
        slots: how many slots there are.
        logit: the scores, where they are logits: their log loss is not clipped.
        clip: whether probabilities are clipped; not where they were made of logits.
    """
    miss, truth, rest, infinite = _parts(place, label, logit, clip)
    loss = np.negative(np.log(truth, out=truth), out=truth)
    found = np.zeros((slots, SUMS))
    if rest is not None:
        loss += rest
        far = np.flatnonzero(rest > CLIPPED)
        np.maximum.at(found[:, 3], slot[far], rest[far])
    missed = None if infinite is None else infinite.astype(np.float64)
    for number, values in enumerate((miss * miss, loss, missed)):
        if values is not None:
            weighed = values if weight is None else values * weight
            found[:, number] = np.bincount(slot, weights=weighed, minlength=slots)
    return found


def table_losses(table: CellTable, slots: int, *, clip: bool) -> Floats:
    """Return the sums by slot (slots, 4) over the cells of distinct scores."""
    found = np.zeros((slots, SUMS))
    if len(table):
        logit = key_logits(table.key) if table.logits else None
        place = table.places
        for right, counts in ((True, table.pos), (False, table.neg)):
            used = np.flatnonzero(counts)
            if used.size:
                label = np.full(len(used), right)
                own = None if logit is None else logit[used]
                slot, rows = table.slot[used], counts[used]
                losses = slot_losses(place[used], label, slot, rows, slots, own, clip=clip)
                combine(found, losses)
    return found


def _parts(
    place: Keys,
    label: Bools,
    logit: Floats | None,
    clip: bool,
    score: NDArray[Any] | None = None,
) -> tuple[Floats, Floats, Floats | None, Bools | None]:
    """Return (1 - p_true, t, r, which rows are infinite): the log loss is r - log t.

    Of logits, with q = expit(-|z|): -log p_true = -log(1 - q), and |z| more where the label is the
    less likely one. The log loss of infinite rows is 0 here.
    """
    infinite: Bools | None = None
    if logit is None:
        if score is None:
            tail, upper = key_tails(place)
            truth = np.subtract(upper == label, tail, out=tail)  # 1 - tail, or the tail itself
        else:
            truth = np.subtract(score, ~label, dtype=np.float64)
        np.abs(truth, out=truth)
        miss = 1.0 - truth
        least = float(truth.min())
        if least == 0.0:
            infinite = truth == 0.0
            truth[infinite] = 1.0
        if clip and least < EPS:
            np.maximum(truth, EPS, out=truth)
        return miss, truth, None, infinite
    tail, upper = key_tails(place)
    wrong = upper != label
    miss = np.abs(wrong - tail)
    rest = np.abs(logit)
    infinite = np.isinf(rest)
    if infinite.any():
        rest[infinite] = 0.0
        infinite &= wrong
    else:
        infinite = None
    rest *= wrong
    return miss, np.subtract(1.0, tail, out=tail), rest, infinite


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
