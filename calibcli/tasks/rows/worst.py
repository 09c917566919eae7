"""The rows that are most confidently wrong: labels to look at, or cases that a model misreads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.results.parts.worst import WorstRow
from calibcli.tasks.mapping import mapping_of
from calibcli.tasks.rows.scan import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.dataset import Batch
    from calibcli.tasks.population import Layout

_Place = tuple[float, int, int, int]
"""How wrong it is, negative; source, row and class: sorts the worst first, ties in row order."""


class WorstRows:
    """An accumulator of the most confidently wrong rows; of labels, of rows and labels.

    A row is wrong where its most probable class is not its label; of a binary score or of a label,
    where the probability of what was false is above one half.

    Args:
        size: how many are kept.
        layout: what a row is.
        calibrator: whose probabilities count, rather than the scores.
        columns: the batches' group columns.
        key: columns of the batches' tables by which rows are known.
    """

    def __init__(
        self,
        size: int,
        layout: Layout,
        calibrator: Calibrator | None = None,
        columns: tuple[str, ...] = (),
        key: tuple[str, ...] = (),
    ) -> None:
        self.size, self.layout, self.key = size, layout, key
        self.calibrator, self.columns = calibrator, columns
        self.wrong = 0
        self._held: list[tuple[_Place, WorstRow]] = []
        self._map = None
        if calibrator is not None:
            self._map = mapping_of(calibrator, columns, logits=layout.logits, unseen={})

    def fresh(self) -> WorstRows:
        """Return one that holds nothing, for a partition."""
        return WorstRows(self.size, self.layout, self.calibrator, self.columns, self.key)

    def add(self, batch: Batch) -> None:
        """Take in a batch with labels."""
        assert batch.labels is not None
        p = self._probabilities(batch)
        labels = batch.labels
        if self.layout.exclusive:
            predicted = p.argmax(axis=1)
            wrong = np.where(predicted == labels, -1.0, p.max(axis=1))
            place = np.flatnonzero(wrong >= 0.0)
            self._take(batch, p, wrong[place], place, predicted[place])
            return
        known = labels >= 0
        wrong = np.where(labels > 0, 1.0 - p, p)
        found = np.flatnonzero((wrong > 0.5) & known)
        width = 1 if p.ndim == 1 else p.shape[1]
        self._take(batch, p, wrong.reshape(-1)[found], found // width, found % width)

    def finish(self) -> None:
        """Take note that a partition has ended."""

    def merge(self, other: WorstRows) -> None:
        """Take in what a later partition has found."""
        self.wrong += other.wrong
        self._held += other._held
        self._cut()

    @property
    def rows(self) -> tuple[WorstRow, ...]:
        """The worst rows, the worst first."""
        return tuple(row for _, row in self._held)

    def _probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """Return probabilities (n,) or (n, K)."""
        if self._map is not None:
            return self._map(batch)
        layout = self.layout
        p = probabilities(batch.scores, logits=layout.logits, exclusive=layout.exclusive)
        return p[:, 1] if batch.scores.ndim == 1 else p

    def _take(
        self,
        batch: Batch,
        p: NDArray[np.float64],
        wrong: NDArray[np.float64],
        place: NDArray[Any],
        cls: NDArray[Any],
    ) -> None:
        """Keep the worst of some rows (m,) of a batch, which are wrong about a class (m,)."""
        self.wrong += len(place)
        if len(self._held) == self.size and len(wrong):
            better = wrong >= -self._held[-1][0][0]
            wrong, place, cls = wrong[better], place[better], cls[better]
        for i in np.argsort(-wrong, kind="stable")[: self.size].tolist():
            row, k = int(place[i]), int(cls[i])
            known = -float(wrong[i]), batch.source_index, batch.row(row), k
            self._held.append((known, self._told(batch, p, row, k, float(wrong[i]))))
        self._cut()

    def _told(
        self, batch: Batch, p: NDArray[np.float64], row: int, k: int, wrong: float
    ) -> WorstRow:
        assert batch.labels is not None
        score = batch.scores[row] if batch.scores.ndim == 1 else batch.scores[row, k]
        probability = p[row] if p.ndim == 1 else p[row, k]
        label = batch.labels[row] if batch.labels.ndim == 1 else batch.labels[row, k]
        predicted, true = self._names(k, int(label))
        key = [str(batch.table[name][row].as_py()) for name in self.key if batch.table is not None]
        return WorstRow(
            path=batch.source,
            row=batch.row(row) + 1,
            key=",".join(key) if key else None,
            score=float(score),
            probability=None if self._map is None else float(probability),
            predicted=predicted,
            label=true,
            wrong=wrong,
        )

    def _names(self, k: int, label: int) -> tuple[int | str, int | str]:
        """Return what was predicted, a class or 0/1, and what was true."""
        if not self.layout.classes:
            return 1 - label, label
        name = self.layout.classes[k]
        if self.layout.exclusive:
            return name, self.layout.classes[label]
        said = f"not {name}", name
        return said[1 - label], said[label]

    def _cut(self) -> None:
        self._held = sorted(self._held, key=lambda item: item[0])[: self.size]
