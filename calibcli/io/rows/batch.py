"""A batch: the arrays that a task reads, made of one frame by the recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.mixing import mixed
from calibcli.io.content import Content, low_hashes, rounded, row_hashes
from calibcli.io.formats.buffers import require
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.keys import Categories, categories
from calibcli.io.rows.place import Place
from calibcli.io.rows.scores import scores_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.dataset import Rows
    from calibcli.io.rows.beside.view import View
    from calibcli.io.rows.labels.labelling import Labelling
    from calibcli.io.rows.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowBatch:
    """Consecutive rows of one source, as arrays.

    Attributes:
        scores: float16, float32 or float64, as the file has them; (n,) or (n, K). NaN where a
            score is missing: whether that is an error is not decided here.
        labels: int8 (n,) of 0 and 1 for binary, int64 (n,) class indices for multi-class, int8
            (n, K) for multi-label; None if they were not asked for.
        weight: float64 (n,), or None.
        count: int64 (n,), or None.
        groups: One column of categories for each `--group`.
        unit: uint64 (n,) hash of the cluster id, the same for the same id in every file.
        first_row: 0-based row of the source at which the batch begins.
        source: The file as it may be shown.
        source_index: Its place in the list of files.
        dropped: How many rows were left out because their label was missing (`--drop-invalid`).
        kept: int64 (n,) offsets from `first_row` of the rows, when some were left out; else None.
        table: All columns as a pyarrow.RecordBatch, when they are kept.
        rounding: By how much each score of a row may have been rounded (quantised pixels).
        models: (n, M) or (n, M, K) scores of several models, whose average the scores are.
        checked: Whether every score is known to be one.
        ignored: How many of the rows left out were to be ignored.
    """

    scores: NDArray[Any]
    labels: NDArray[Any] | None
    weight: NDArray[np.float64] | None
    count: NDArray[np.int64] | None
    groups: tuple[Categories, ...]
    unit: NDArray[np.uint64] | None
    first_row: int
    source: str
    source_index: int
    dropped: int = 0
    kept: NDArray[np.int64] | None = None
    table: Any = None
    rounding: float = 0.0
    models: NDArray[Any] | None = None
    checked: bool = False
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.labels is not None

    @property
    def units(self) -> NDArray[np.uint64] | None:
        """The units that it is about."""
        return self.unit

    def row(self, i: int) -> int:
        """Return the 0-based row in the source of row `i` of this batch."""
        return self.first_row + (i if self.kept is None else int(self.kept[i]))

    def content(self, digits: int | None = None, limit: int | None = None) -> Content:
        """Return what the rows are known by: their scores, of several models those of the first."""
        scores = self.scores if self.models is None else self.models[:, 0]
        scores, own = rounded(scores, digits)
        if limit is not None and scores.ndim == 1 and self.count is None:
            return Content(low_hashes(scores, limit), None, own, rows=len(scores))
        return Content(row_hashes(scores), self.count, own)

    def take(self, rows: Rows) -> RowBatch:
        """Return some rows, a mask (n,) or their places, which keep their places in the source."""

        def some(values: Any) -> Any:
            return None if values is None else values[rows]

        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        return replace(
            self,
            scores=self.scores[rows],
            labels=some(self.labels),
            weight=some(self.weight),
            count=some(self.count),
            groups=tuple(Categories(group.codes[rows], group.values) for group in self.groups),
            unit=some(self.unit),
            kept=places if self.kept is None else self.kept[rows],
            table=None if self.table is None else self.table.take(places),
            models=some(self.models),
        )

    def rescored(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any] | None = None,
        source: str | None = None,
    ) -> RowBatch:
        """Return the same rows under other scores, and other labels or another file if given."""
        return replace(
            self,
            scores=scores,
            labels=self.labels if labels is None else labels,
            source=source or self.source,
            models=None,
            checked=False,
        )


def assemble(
    view: View, recipe: Recipe, source_index: int, labels: NDArray[Any] | None, before: int = 0
) -> RowBatch:
    """Make the batch of a frame whose labels have been coded; `before` is rows of earlier files.

    Raises:
        InputError: A score, a weight, a count or a cluster id that cannot be used.
    """
    groups = []
    for place in recipe.groups:
        if place.every:
            from calibcli.io.rows.periods import chunks

            first = before + view.frame.first_row
            groups.append(chunks(first, view.frame.rows, place.every))
            continue
        with view.blame(place):
            found = categories(view.raw(place))
            if place.unit is not None:
                from calibcli.io.rows.periods import cut

                found = cut(found, place.unit)
            lost = view.unmatched if place.side else None
            groups.append(found if lost is None else found.without(lost))
    weight, count = _weight(view, recipe), _count(view, recipe)
    if weight is not None and count is not None:
        weight = weight * count  # so many rows, each of this weight
    batch = RowBatch(
        scores=scores_of(view, recipe),
        labels=labels,
        weight=weight,
        count=count,
        groups=tuple(groups),
        unit=_cluster(view, recipe),
        first_row=view.frame.first_row,
        source=view.path,
        source_index=source_index,
        table=view.frame.table,
        rounding=0.0 if recipe.scale is None else 0.5 / recipe.scale,
    )
    if recipe.labelling is None or labels is None:
        return batch
    none, ignored = recipe.labelling.left_out(labels)
    if recipe.votes is not None:
        batch = _voted(batch, view, recipe, recipe.labelling)
    elif none is not None:
        batch = batch.take(~none)
    if none is None:
        return batch
    return replace(batch, dropped=int(none.sum()), ignored=ignored)


def _voted(batch: RowBatch, view: View, recipe: Recipe, labelling: Labelling) -> RowBatch:
    """Return k rows of label 1 and n - k of label 0 for each row: its k of n votes.

    Votes about one row are of one unit. Shares, which are of one vote, are weights.
    """
    votes, ones = recipe.votes, labelling.votes(view)
    if isinstance(votes, Place):
        with view.blame(votes):
            every = numbers(view.raw(votes)).astype(np.float64)
    else:
        every = np.full(len(batch), votes)
    rows = np.flatnonzero(~np.isnan(ones))
    shares = votes == 1.0
    with view.blame(labelling.places[0]), np.errstate(invalid="ignore"):
        inside = (ones >= 0) & (ones <= every)
        whole = shares | ((ones == np.floor(ones)) & (every == np.floor(every)))
        what = "a share between 0 and 1" if shares else "a whole number of votes up to all of them"
        require((inside & whole) | np.isnan(ones), f"not {what}")
    sides = np.stack([ones[rows], every[rows] - ones[rows]], axis=1).reshape(-1)
    found = batch.take(np.repeat(rows, 2))
    labels = np.tile(np.array([1, 0], np.int8), len(rows))
    unit = found.unit
    if unit is None:
        places = rows + batch.first_row + (batch.source_index << 40)
        unit = np.repeat(mixed(places.astype(np.uint64)), 2)
    if shares or found.weight is not None:
        given = found.weight if found.weight is not None else found.count
        weight = sides if given is None else sides * given
        found = replace(found, weight=weight, count=None)
    else:
        counts: NDArray[np.int64] = sides.astype(np.int64)
        found = replace(found, count=counts if found.count is None else counts * found.count)
    return replace(found, labels=labels, unit=unit).take(sides > 0)


def _weight(view: View, recipe: Recipe) -> NDArray[np.float64] | None:
    if recipe.weight is None:
        return None
    with view.blame(recipe.weight):
        values = numbers(view.raw(recipe.weight)).astype(np.float64)
        require(np.isfinite(values) & (values >= 0), "not a weight (a number of 0 or more)")
    return values


def _count(view: View, recipe: Recipe) -> NDArray[np.int64] | None:
    if recipe.count is None:
        return None
    with view.blame(recipe.count):
        values = numbers(view.raw(recipe.count))
        with np.errstate(invalid="ignore"):
            whole = (values >= 0) & (values < 2**53) & (values == np.floor(values))
        require(whole, "not a count (a whole number of 0 or more)")
        counts: NDArray[np.int64] = values.astype(np.int64)
    return counts


def _cluster(view: View, recipe: Recipe) -> NDArray[np.uint64] | None:
    place = recipe.cluster
    if place is None:
        return None
    raw = view.raw(place)
    if place.side and isinstance(raw, np.ndarray) and raw.dtype == np.uint64:
        return raw  # hashed when the labels file was read
    from calibcli.io.rows.hashing import ids

    with view.blame(place):
        hashes, missing = ids(raw)
        require(~missing, "no cluster id")
    return hashes
