"""Two data sets of the same rows read side by side, whatever their files and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.comparison.paired import CORP, SMOOTH, PairedSums, influences
from calibcli.core.metrics.binary import View
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError
from calibcli.tasks.pairs import TOP, pairs_of, row_buckets
from calibcli.tasks.scan import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.core.comparison.paired import Influences
    from calibcli.core.statistics.curves import Binning
    from calibcli.io.rows.dataset import Batch, Dataset
    from calibcli.tasks.population import Layout, Population

    Change = Callable[[Batch, Batch], tuple[Batch, Batch]]

OF_PAIRS = ("ece", *SMOOTH, *CORP)
OF_CONFIDENCE = (
    "prevalence",
    "mean_score",
    "ece",
    "calibration_slope",
    "calibration_intercept",
    "oe_ratio",
    "aurc",
)
OF_CLASSES = ("brier", *CORP, "nll", "auc", "average_precision", "ece")


@dataclass(frozen=True, slots=True)
class Side:
    """Batches of the rows of both models; `second` tells whose scores they carry.

    Read like a partition, as often as needed. `change` is what becomes of each pair of batches.
    """

    first: Sequence[Any]
    other: Sequence[Any]
    layout: Layout
    names: tuple[str, str]
    second: bool = False
    change: Change | None = None

    def both(self) -> Iterator[tuple[Batch, Batch]]:
        """Yield batches of the same rows: with the first model's scores, with the second's.

        Raises:
            InputError: the two do not have the same number of rows, classes, or labels.
        """
        rows = _Rows(self.other, self.names)
        for batch, at, end in _numbered(self.first):
            found = rows.take(batch, at, end)
            if self.layout.drop_invalid:
                found = _usable(*found, self.layout)
            yield found if self.change is None else self.change(*found)
        rows.finish()

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of one of the two models."""
        for pair in self.both():
            yield pair[self.second]

    def noted(self) -> list[Any]:
        """Return what reading the partitions has found."""
        return [part.noted() for part in (*self.first, *self.other)]

    def note(self, found: list[Any]) -> None:
        """Take in what reading these partitions elsewhere has found."""
        for part, own in zip((*self.first, *self.other), found, strict=True):
            part.note(own)


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows of one of two models, as a scan reads them."""

    partitions: Sequence[Side]


def _numbered(partitions: Sequence[Any]) -> Iterator[tuple[Batch, NDArray[np.int64], int]]:
    """Yield batches with the place of each row in the whole data set, and where they end."""
    begin = 0
    for partition in partitions:
        for batch in partition.batches():
            height = len(batch) + batch.dropped
            offsets = np.arange(height) if batch.kept is None else batch.kept
            yield batch, begin + offsets, begin + height
            begin += height


class _Rows:
    """The second model's rows, taken in order; holds a batch or two."""

    def __init__(self, partitions: Sequence[Any], names: tuple[str, str]) -> None:
        self.source = _numbered(partitions)
        self.names = names
        self.held: list[tuple[Batch, NDArray[np.int64]]] = []
        self.end = self.asked = 0

    def take(self, batch: Batch, at: NDArray[np.int64], end: int) -> tuple[Batch, Batch]:
        """Return the batch, and it with the second model's scores, of the rows that both have."""
        self.asked = end
        while self.end < end:
            following = next(self.source, None)
            if following is None:
                raise self._differs()
            self.held.append(following[:2])
            self.end = following[2]
        places = np.concatenate([place for _, place in self.held])
        index = np.minimum(np.searchsorted(places, at), max(len(places) - 1, 0))
        there = places[index] == at if len(places) else np.zeros(len(at), bool)
        own = batch if there.all() else batch.take(there)
        scores = np.concatenate([one.scores for one, _ in self.held])[index[there]]
        if scores.shape[1:] != batch.scores.shape[1:]:
            raise InputError(
                f"{self.names[1]} has scores of another shape than {self.names[0]}",
                "compare models of the same classes",
            )
        self._check_labels(own, index[there])
        source = self.held[-1][0].source
        self.held = self.held[-1:] if end < self.end else []
        return own, own.rescored(scores, source=source)

    def _check_labels(self, own: Batch, index: NDArray[np.intp]) -> None:
        labels = [b.labels for b, _ in self.held]
        if own.labels is None or any(one is None for one in labels):
            return
        theirs = np.concatenate([one for one in labels if one is not None])[index]
        if theirs.shape != own.labels.shape or not (theirs != own.labels).any():
            return
        differ = theirs != own.labels
        row = int((differ.any(axis=1) if differ.ndim == 2 else differ).argmax())
        raise InputError(
            f"{self.names[1]}, row {own.row(row) + 1:,}: another label than in {self.names[0]}",
            "--versus compares two models on the same rows in the same order",
        )

    def finish(self) -> None:
        """Check that no rows are left over.

        Raises:
            InputError: there are.
        """
        if self.end > self.asked or next(self.source, None) is not None:
            raise self._differs()

    def _differs(self) -> InputError:
        return InputError(
            f"{self.names[1]} does not hold as many rows as {self.names[0]}",
            "--versus compares two models on the same rows in the same order",
        )


def _usable(first: Batch, second: Batch, layout: Layout) -> tuple[Batch, Batch]:
    """Return the rows for which both models have a score."""
    found = [
        rows for rows, _ in (usable(first, layout), usable(second, layout)) if rows is not None
    ]
    if not found:
        return first, second
    keep = np.logical_and.reduce(found)
    return first.take(keep), second.take(keep)


def sides(first: Dataset, second: Dataset, layout: Layout, names: tuple[str, str]) -> list[Side]:
    """Return parts that can be read apart: one for each partition where both are cut alike."""
    a, b = first.partitions, second.partitions
    alike = len(a) == len(b) and all(
        (p.rows, p.first_row, p.source_index) == (q.rows, q.first_row, q.source_index)
        and p.rows is not None
        for p, q in zip(a, b, strict=True)
    )
    if not alike:
        return [Side(a, b, layout, names)]
    return [Side([p], [q], layout, names) for p, q in zip(a, b, strict=True)]


# -- influences ------------------------------------------------------------------------------------


def names_of(task: str) -> tuple[str, ...]:
    """Return the metrics whose difference has an interval, in the order of `Model.at`."""
    if task != "multiclass":
        return OF_PAIRS
    classes = ("classwise_ece" if name == "ece" else name for name in OF_CLASSES)
    return ("accuracy", *OF_CONFIDENCE[1:], *classes)


class Model:
    """One model's influences, looked up by row.

    `names` are the metrics of one score, where not all of `names_of` are meant.
    """

    def __init__(
        self, population: Population, binning: Binning, names: tuple[str, ...] | None = None
    ) -> None:
        self.task = population.task
        self.names = names or names_of(self.task)
        several = self.task == "multiclass"
        pairs = View(population.pairs, binning, confidence=several)
        self.pairs = influences(pairs, OF_CONFIDENCE if several else self.names)
        self.classes: list[Influences] = []
        self.shares = np.zeros((0, len(OF_CLASSES)))
        if several:
            views = [View(stats, binning) for stats in population.classes]
            self.classes = [influences(view, OF_CLASSES) for view in views]
            self.shares = self._shares()
            self._own_losses(views)

    def _shares(self) -> NDArray[np.float64]:
        """Return what each class's influence counts (K, m): 1 in sums, 1 / K in means."""
        shares = np.ones((len(self.classes), len(OF_CLASSES)))
        for name in ("auc", "average_precision", "ece"):
            j = OF_CLASSES.index(name)
            defined = np.array(
                [bool(np.isfinite(one.positive[:, j]).all()) for one in self.classes]
            )
            shares[:, j] = defined / max(int(defined.sum()), 1)
        return shares

    def _own_losses(self, views: list[View]) -> None:
        """A row's log loss is that of its own class, so negatives of a class have no influence."""
        j, n = OF_CLASSES.index("nll"), views[0].stats.n
        losses = [view.stats.cell_losses()[0] for view in views]
        mean = sum(float(v.stats.pos @ loss) for v, loss in zip(views, losses, strict=True)) / n
        for own, loss in zip(self.classes, losses, strict=True):
            own.positive[:, j] = (loss - mean) / n
            own.negative[:, j] = 0.0

    def at(
        self, scores: NDArray[Any], labels: NDArray[Any], *, logits: bool
    ) -> NDArray[np.float64]:
        """Return the influence of each row on each of `names` (n, m)."""
        columns = []
        for found in pairs_of(self.task, scores, labels, logits=logits):
            pairs = found.flat
            if self.task != "multiclass" or pairs.family == TOP:
                influence = self.pairs.at(pairs.key, pairs.label)
                columns.append(pairs.summed(influence, len(scores)))
                continue
            key = pairs.key.reshape(-1, pairs.repeat)
            label = pairs.label.reshape(-1, pairs.repeat)
            total = np.zeros((len(key), len(OF_CLASSES)))
            for k, own in enumerate(self.classes):
                part = own.at(key[:, k], label[:, k])
                total += np.where(self.shares[k] > 0, part * self.shares[k], 0.0)
            columns.append(total)
        return np.concatenate(columns, axis=1)


def paired_sums(
    parts: list[Side], models: tuple[Model, Model], layout: Layout, threads: int | None
) -> PairedSums:
    """Read the rows once more and sum the differences of their influences."""
    first, second = models

    def one(side: Side) -> PairedSums:
        found = PairedSums(len(first.names))
        for batch, other in side.both():
            mass = batch.weight if layout.weighted else batch.count
            rows = None if mass is None or (mass > 0).all() else mass > 0
            a, b = (batch, other) if rows is None else (batch.take(rows), other.take(rows))
            assert a.labels is not None
            assert b.labels is not None
            difference = second.at(b.scores, b.labels, logits=layout.logits)
            difference -= first.at(a.scores, a.labels, logits=layout.logits)
            mass = a.weight if layout.weighted else a.count
            mass = None if mass is None else mass.astype(np.float64)
            weights = {"weight" if layout.weighted else "counts": mass}
            found.add(difference, row_buckets(a), **weights)
        return found

    total = PairedSums(len(first.names))
    for found in map_ordered(one, parts, threads):
        total.merge(found)
    return total
