"""The rows of two models as one class, one group, or the first model's calibrator sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.io.task import SINGLE
from calibcli.tasks.mapping import mapping_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.rows.dataset import Batch
    from calibcli.tasks.collect import Layout
    from calibcli.tasks.rows.versus import Change


def of_group(place: int, value: str) -> Change:
    """Return what leaves the rows of one value of a group column."""

    def change(first: Batch, second: Batch) -> tuple[Batch, Batch]:
        group = first.groups[place]
        code = group.values.index(value) if value in group.values else -1
        mine = group.codes == code
        return first.take(mine), second.take(mine)

    return change


def of_class(k: int, layout: Layout) -> tuple[Change, Layout]:
    """Return what makes rows pairs of one class or label, and their layout."""
    exclusive = layout.exclusive
    logits = layout.logits and not exclusive

    def pairs(batch: Batch) -> Batch:
        assert batch.labels is not None
        if not exclusive:
            return batch.rescored(batch.scores[:, k], labels=batch.labels[:, k])
        p = probabilities(batch.scores, logits=layout.logits)
        return batch.rescored(p[:, k], labels=batch.labels == k)

    def change(first: Batch, second: Batch) -> tuple[Batch, Batch]:
        return pairs(first), pairs(second)

    return change, replace(layout, task=SINGLE, classes=(), names=(), logits=logits)


def calibrated_first(
    calibrator: Calibrator, columns: tuple[str, ...], layout: Layout
) -> tuple[Change, Layout]:
    """Return what calibrates the first model's scores and leaves the second's, as probabilities."""
    mapping = mapping_of(calibrator, columns, logits=layout.logits, unseen={})

    def change(first: Batch, second: Batch) -> tuple[Batch, Batch]:
        after = mapping(first)
        single = layout.labels
        before = probabilities(second.scores, logits=layout.logits, apart=single)
        return first.rescored(after), second.rescored(before)

    return change, replace(layout, logits=False)


def probabilities(
    scores: NDArray[Any], *, logits: bool, apart: bool = False
) -> NDArray[np.float64]:
    """Return probabilities of scores (n,) or (n, K); `apart`: each column is one of its own."""
    if not logits:
        return np.clip(scores.astype(np.float64), 0.0, 1.0)
    return expit(scores) if scores.ndim == 1 or apart else softmax(scores)
