"""Passes over the rows of several models' scores, and over each model or average alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.classes.rows import clipped_log
from calibcli.core.calibrators.composed.model_pool import averaged, logits_of
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.scan import mass_of, rows_of
from calibcli.workflows.input.row_passes import CACHED_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.calibrators import RowBatch, RowSource
    from calibcli.core.calibrators.composed.pooling import Pool
    from calibcli.io.rows.dataset import Dataset
    from calibcli.tasks.population import Layout


@dataclass(frozen=True, slots=True)
class ModelRows:
    """Usable rows of a batch: scores (n, M) or (n, M, K), labels, weights, buckets."""

    scores: NDArray[np.float64]
    label: NDArray[Any]
    weight: NDArray[Any] | None
    bucket: NDArray[np.int64]

    def of(self, source: int | Pool, *, logits: bool) -> tuple[NDArray[np.float64], bool]:
        """Return the scores of a model (its place) or of an average, and whether they are logits.

        Of shape (n,), or (n, K).
        """
        if isinstance(source, int):
            return self.scores[:, source], logits
        return averaged(self.scores, source, logits=logits), logits_of(source)


@dataclass
class ModelPasses:
    """Passes over a data set of several models; small data is kept after the first.

    Importance weights are as `worth` tells, the rows that a unit of weight is worth.
    """

    dataset: Dataset
    layout: Layout
    worth: float = 1.0
    _kept: list[ModelRows] = field(default_factory=list)
    _complete: bool = False

    def __iter__(self) -> Iterator[ModelRows]:
        if self._complete:
            yield from self._kept
            return
        kept: list[ModelRows] = []
        size, keeping = 0, True
        for rows in self._read():
            size += rows.scores.nbytes
            if keeping and size > CACHED_BYTES:
                keeping, kept = False, []
            if keeping:
                kept.append(rows)
            yield rows
        if keeping:
            self._kept, self._complete = kept, True

    def source(self, which: int | Pool) -> RowSource:
        """Return passes over (logits or log-probabilities (n, K), label, weight, bucket)."""

        def passes() -> Iterator[RowBatch]:
            for rows in self:
                scores, logits = rows.of(which, logits=self.layout.logits)
                z = scores if logits else clipped_log(scores)
                weight = None if rows.weight is None else rows.weight.astype(np.float64)
                yield z, rows.label, weight, rows.bucket.astype(np.uint8)

        return passes

    def _read(self) -> Iterator[ModelRows]:
        kind = np.int64 if self.layout.task == "multiclass" else np.bool_
        for batch in rows_of(self.dataset, self.layout):
            assert batch.labels is not None
            assert batch.models is not None
            yield ModelRows(
                batch.models.astype(np.float64),
                batch.labels.astype(kind),
                mass_of(batch, self.layout),
                row_buckets(batch),
            )
