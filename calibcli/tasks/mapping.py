"""Calibrators as maps of batches: one for all rows, by group, of several models, by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import InputError
from calibcli.tasks.pairs import row_buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.dataset import Batch

    Mapping = Callable[[Batch], NDArray[np.float64]]
    """The usable rows of a batch to probabilities, or to logits, (n,) or (n, K)."""
    Unseen = dict[tuple[int, int], int]
    """Rows of a batch, by source and first row, whose group a calibrator by group does not know."""


def mapping_of(
    calibrator: Calibrator | tuple[Calibrator, ...],
    columns: tuple[str, ...],
    *,
    logits: bool,
    unseen: Unseen,
    to_logits: bool = False,
) -> Mapping:
    """Return what maps the usable rows of a batch to probabilities.

    Args:
        calibrator: one, or one for each fold: the one at index f calibrates the rows whose bucket
            modulo the folds is f.
        columns: the batches' group columns.
        logits: whether the scores are logits.
        unseen: is told how many rows of each batch belong to no group that was fitted on.
        to_logits: return logits instead, of calibrators that `map_logits`.

    Raises:
        InputError: a calibrator by group, whose column is not among `columns`.
    """
    if not isinstance(calibrator, tuple):
        return _one_mapping(calibrator, columns, logits, unseen, to_logits)
    folds = [_one_mapping(one, columns, logits, {}, to_logits) for one in calibrator]

    def cross_fitted(batch: Batch) -> NDArray[np.float64]:
        after = np.empty(batch.scores.shape, np.float64)
        fold_of = row_buckets(batch) % len(folds)
        for fold in np.unique(fold_of).tolist():
            mine = np.flatnonzero(fold_of == fold)
            after[mine] = folds[fold](batch if len(mine) == len(batch) else batch.take(mine))
        return after

    return cross_fitted


def map_logits(calibrator: Calibrator | tuple[Calibrator, ...]) -> bool:
    """Return whether logits can be mapped to logits: by all of the calibrators."""
    several = calibrator if isinstance(calibrator, tuple) else (calibrator,)
    return all(one.has_logits for one in several)


def _one_mapping(
    calibrator: Calibrator,
    columns: tuple[str, ...],
    logits: bool,
    unseen: Unseen,
    to_logits: bool,
) -> Mapping:
    from calibcli.core.calibrators import calibrate, calibrated_logits

    if to_logits:
        return lambda batch: calibrated_logits(calibrator, batch.scores)
    if calibrator.method == "pool":
        return _pool_mapping(calibrator, logits=logits)
    if calibrator.method != "grouped":
        return lambda batch: calibrate(calibrator, batch.scores, logits=logits)
    from calibcli.core.calibrators.composed.grouped import Grouped

    assert isinstance(calibrator, Grouped)
    if calibrator.column not in columns:
        raise InputError(
            f"the calibrator has a map for each value of {calibrator.column!r}, which is not read",
            "give the score files, with this column",
        )
    place = columns.index(calibrator.column)

    def by_group(batch: Batch) -> NDArray[np.float64]:
        group = batch.groups[place]
        missed = calibrator.unseen(group.codes, group.values)
        if missed:
            unseen[batch.source_index, batch.first_row] = missed
        return calibrator.calibrate(batch.scores, group.codes, group.values, logits=logits)

    return by_group


def _pool_mapping(calibrator: Calibrator, *, logits: bool) -> Mapping:
    from calibcli.core.calibrators.composed.model_pool import ModelPool

    assert isinstance(calibrator, ModelPool)

    def pooled(batch: Batch) -> NDArray[np.float64]:
        if batch.models is None:
            raise InputError(
                "the calibrator pools several models, and one is read",
                f"the models are {', '.join(calibrator.models)}",
            )
        return calibrator.combine(batch.models, logits=logits)

    return pooled
