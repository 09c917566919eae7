"""One pass over a data set: its pairs counted, for all rows and for the values of each group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.stats import BUCKETS, ScoreStats
from calibcli.core.statistics.tally import Tally
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError
from calibcli.tasks.pairs import (
    CLASSES,
    FAMILIES,
    PAIRS,
    TOP,
    Pairs,
    no_labels,
    pairs_of,
    row_buckets,
    width,
)
from calibcli.tasks.validity import missing_rows, refuse_gaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.rows.dataset import Batch, Dataset, Partition

    Mapping = Callable[[Batch, NDArray[Any], "Rows", NDArray[np.int64]], NDArray[np.float64]]
    """(batch, its usable scores, which rows these are, their buckets) to probabilities."""
    Rows = NDArray[np.bool_] | None
    Unseen = dict[tuple[int, int], int]
    """Rows of a batch, by source and first row, whose group a calibrator by group does not know."""

MOST_GROUPS = 10_000
MOST_WEIGHT = 1e100
"""Total weight up to which its squares are numbers."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layout:
    """What a pass counts.

    Attributes:
        task: "binary", "multiclass" or "multilabel"; `classes` its class names.
        names: score columns, for messages.
        groups: group columns.
        edges: probabilities at which counts stay exact in a grid.
        clustered: whether rows come in clusters (then every family is also kept by bucket).
        intervals: whether sums over several pairs of a row need its bucket.
    """

    task: str
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    logits: bool = False
    weighted: bool = False
    clustered: bool = False
    intervals: bool = True
    drop_invalid: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population:
    """The statistics of one population of rows: all of them, or those of one group.

    `pairs` for binary; `top` by predicted class and `classes` by class for several classes.
    `rows_apart` tells that `classes` keep buckets of independent rows, not of clusters.
    """

    task: str
    pairs: ScoreStats
    top: tuple[ScoreStats, ...] = ()
    classes: tuple[ScoreStats, ...] = ()
    rows_apart: bool = False


class _Family:
    """One kind of pairs: a tally, and the same by bucket where intervals or folds need it."""

    def __init__(self, layout: Layout, slots: int, *, parts: bool, start_exact: bool) -> None:
        options: dict[str, Any] = {
            "edges": layout.edges,
            "weighted": layout.weighted,
            "logits": layout.logits,
            # Of several classes the softmax is counted, which is a probability.
            "by_logit": layout.logits and layout.task != "multiclass",
            "start_exact": start_exact,
        }
        self.tally = Tally(slots, **options)
        self.parts = Tally(slots * BUCKETS, **options) if parts else None


class Scope:
    """Families of pairs for one population, or for each value of one group column."""

    def __init__(self, layout: Layout, *, grouped: bool, hopeless: set[str]) -> None:
        self.layout = layout
        self.values: dict[str, int] | None = {} if grouped else None
        self.families: dict[str, _Family] = {}
        for name in FAMILIES[layout.task]:
            slots = 0 if grouped else width(layout.task, name, len(layout.classes))
            several = name == CLASSES and layout.intervals and not grouped
            self.families[name] = _Family(
                layout,
                slots,
                parts=layout.clustered or several,
                start_exact=f"{name}{grouped}" not in hopeless,
            )

    def add(
        self,
        pairs: list[Pairs],
        weight: NDArray[Any] | None,
        bucket: NDArray[np.int64] | None,
        member: NDArray[np.int64] | None = None,
    ) -> None:
        """Count pairs; `member` (rows,) is the group of each row."""
        for found in pairs:
            family = self.families[found.family]
            slot: NDArray[Any] | None = found.slot
            if member is not None:
                size = width(self.layout.task, found.family, len(self.layout.classes))
                base = np.repeat(member, found.repeat) * size
                slot = base if slot is None else base + slot
            mass = None if weight is None else np.repeat(weight, found.repeat)
            family.tally.add(found.key, found.label, slot, mass)
            if family.parts is not None:
                assert bucket is not None
                own = np.repeat(bucket, found.repeat)
                part = own if slot is None else slot * BUCKETS + own
                family.parts.add(found.key, found.label, part, mass)

    def members(self, codes: NDArray[np.integer[Any]], values: list[str]) -> NDArray[np.int64]:
        """Return the member of each row from a batch's codes; new values get new members."""
        assert self.values is not None
        used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
        here = np.zeros(len(values), np.int64)
        for code in used.tolist():
            here[code] = self.values.setdefault(values[code], len(self.values))
        member: NDArray[np.int64] = here[codes]
        return member

    def merge(self, other: Scope) -> None:
        """Add another partition's counts."""
        for name, family in self.families.items():
            theirs = other.families[name]
            slots = self._slot_map(other, name)
            family.tally.merge(theirs.tally, slots)
            if family.parts is not None and theirs.parts is not None:
                spread = None
                if slots is not None:
                    spread = (slots[:, None] * BUCKETS + np.arange(BUCKETS)).reshape(-1)
                family.parts.merge(theirs.parts, spread)

    def _slot_map(self, other: Scope, name: str) -> NDArray[np.int64] | None:
        if self.values is None or other.values is None:
            return None
        size = width(self.layout.task, name, len(self.layout.classes))
        members = [self.values.setdefault(value, len(self.values)) for value in other.values]
        base = np.array(members, np.int64)[:, None] * size
        return (base + np.arange(size)).reshape(-1)

    def population(self, member: int = 0) -> Population:
        """Return the statistics of one member."""
        task, size = self.layout.task, len(self.layout.classes)
        if task == "binary":
            return Population(task, self._stats(PAIRS, member, 1))
        classes = tuple(self._stats(CLASSES, member * size + k, 1) for k in range(size))
        apart = not self.layout.clustered
        if task == "multilabel":
            pooled = self._stats(CLASSES, member * size, size)
            return Population(task, pooled, (), classes, apart)
        top = tuple(self._stats(TOP, member * size + k, 1) for k in range(size))
        return Population(task, self._stats(TOP, member * size, size), top, classes, apart)

    def _stats(self, name: str, slot: int, slots: int) -> ScoreStats:
        family = self.families[name]
        return ScoreStats.from_tally(family.tally, slot, family.parts, slots=slots)


@dataclass(eq=False, repr=False)
class Counted:
    """What a pass found. Mergeable."""

    layout: Layout
    overall: Scope
    groups: tuple[Scope, ...]
    dropped: int = 0
    first_bad: tuple[str, int] | None = None
    clipped: int = 0
    rows: int = 0
    weight: float = 0.0
    unseen: int = 0
    labelled: bool = True
    calibrated: Counted | None = field(default=None)

    @property
    def buckets(self) -> bool:
        """Whether pairs are also kept by bucket."""
        scopes = (self.overall, *self.groups)
        return any(f.parts is not None for scope in scopes for f in scope.families.values())

    def merge(self, other: Counted) -> None:
        """Add a later partition."""
        self.overall.merge(other.overall)
        for mine, theirs in zip(self.groups, other.groups, strict=True):
            mine.merge(theirs)
        self.dropped += other.dropped
        self.unseen += other.unseen
        self.rows += other.rows
        self.weight += other.weight
        self.first_bad = self.first_bad or other.first_bad
        self.labelled = self.labelled and other.labelled
        if self.calibrated is not None and other.calibrated is not None:
            self.calibrated.merge(other.calibrated)


def empty(layout: Layout, hopeless: set[str]) -> Counted:
    """Return counts of nothing; `hopeless` names families that start in the grid."""
    groups = tuple(Scope(layout, grouped=True, hopeless=hopeless) for _ in layout.groups)
    return Counted(layout, Scope(layout, grouped=False, hopeless=hopeless), groups)


def usable(batch: Batch, layout: Layout) -> tuple[NDArray[np.bool_] | None, int]:
    """Return the rows with a usable score (None for all) and how many have none.

    Raises:
        InputError: scores that are not what they are said to be.
    """
    missing = missing_rows(batch, layout.task, layout.names, logits=layout.logits)
    if missing is None or not missing.any():
        return None, 0
    return ~missing, int(missing.sum())


def _only(values: Any, rows: NDArray[np.bool_] | None) -> Any:
    return values if values is None or rows is None else values[rows]


def _count_batch(
    found: Counted,
    batch: Batch,
    mapping: Mapping | None,
) -> None:
    layout = found.layout
    rows, bad = usable(batch, layout)
    if bad and found.first_bad is None and rows is not None:
        found.first_bad = (batch.source, batch.row(int((~rows).argmax())))
    found.dropped += bad + batch.dropped - batch.ignored
    weight = batch.weight if layout.weighted else batch.count
    if weight is not None and (weight == 0).any():
        rows = weight > 0 if rows is None else rows & (weight > 0)
    scores, labels = _only(batch.scores, rows), _only(batch.labels, rows)
    if labels is None:
        found.labelled = False
        labels = no_labels(layout.task, scores)
    weight = _only(weight, rows)
    bucket = row_buckets(batch, rows) if mapping is not None or found.buckets else None
    found.rows += len(scores)
    found.weight += 0.0 if weight is None else float(weight.sum())
    targets = [(found, pairs_of(layout.task, scores, labels, logits=layout.logits))]
    if mapping is not None and found.calibrated is not None and bucket is not None:
        after = mapping(batch, scores, rows, bucket)
        targets.append((found.calibrated, pairs_of(layout.task, after, labels, logits=False)))
    for target, pairs in targets:
        target.overall.add(pairs, weight, bucket)
        # A calibrator may read one more group column than is shown.
        for scope, group in zip(target.groups, batch.groups, strict=False):
            member = scope.members(_only(group.codes, rows), group.values)
            scope.add(pairs, weight, bucket, member)
            if scope.values is not None and len(scope.values) > MOST_GROUPS:
                raise InputError(
                    f"a --group column has more than {MOST_GROUPS:,} values",
                    "group by a column of few values; rows that belong together are a --cluster",
                )


def count(
    dataset: Dataset,
    layout: Layout,
    *,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    columns: tuple[str, ...] = (),
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counted:
    """Read the data set once and count its pairs, before and after a calibrator if given.

    A tuple of calibrators is cross-fitted: the one at index f calibrates the rows whose
    bucket % folds is f. `columns` names the batches' group columns, where a calibrator reads one.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """
    if dataset.medium == "images":
        from calibcli.tasks.segmentation.pixels import count_pixels

        stack: Any = dataset
        return count_pixels(
            stack, layout, calibrator=calibrator, threads=threads, progress=progress
        )
    hopeless: set[str] = set()
    after = _calibrated_layout(layout)

    def one(partition: Partition) -> Counted:
        found = empty(layout, hopeless)
        unseen: Unseen = {}
        mapping = None
        if calibrator is not None:
            mapping = mapping_of(calibrator, columns, logits=layout.logits, unseen=unseen)
            found.calibrated = empty(after, hopeless)
        for batch in partition.batches():
            _count_batch(found, batch, mapping)
        found.unseen = sum(unseen.values())
        for scope in (found.overall, *found.groups):
            for name, family in scope.families.items():
                if not family.tally.exact:
                    hopeless.add(f"{name}{scope.values is not None}")
        return found

    total: Counted | None = None
    for found in map_ordered(one, dataset.partitions, threads):
        if total is None:
            total = found
        else:
            total.merge(found)
        if progress is not None:
            progress(total.rows)
    assert total is not None
    refuse_gaps(total.dropped, total.first_bad, total.rows, drop=layout.drop_invalid)
    if not total.weight <= MOST_WEIGHT:
        raise InputError("the weights sum to more than 1e100", "divide them all by the largest")
    return total


def _calibrated_layout(layout: Layout) -> Layout:
    from dataclasses import replace

    return replace(layout, logits=False)


def mapping_of(
    calibrator: Calibrator | tuple[Calibrator, ...],
    columns: tuple[str, ...],
    *,
    logits: bool,
    unseen: Unseen,
) -> Mapping:
    """Return what maps the usable rows of a batch to probabilities.

    Args:
        calibrator: one, or one for each fold.
        columns: the batches' group columns.
        logits: whether the scores are logits.
        unseen: is told how many rows of each batch belong to no group that was fitted on.

    Raises:
        InputError: a calibrator by group, whose column is not among `columns`.
    """
    if not isinstance(calibrator, tuple):
        return _one_mapping(calibrator, columns, logits=logits, unseen=unseen)
    folds = [_one_mapping(one, columns, logits=logits, unseen={}) for one in calibrator]

    def cross_fitted(
        batch: Batch, scores: NDArray[Any], rows: Rows, bucket: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        after = np.empty(scores.shape, np.float64)
        fold_of = bucket % len(folds)
        for fold, one in enumerate(folds):
            mine = fold_of == fold
            own = np.zeros(len(batch), np.bool_)
            own[np.flatnonzero(mine) if rows is None else np.flatnonzero(rows)[mine]] = True
            after[mine] = one(batch, scores[mine], own, bucket[mine])
        return after

    return cross_fitted


def _one_mapping(
    calibrator: Calibrator, columns: tuple[str, ...], *, logits: bool, unseen: Unseen
) -> Mapping:
    from calibcli.core.calibrators import calibrate

    if calibrator.method == "pool":
        return _pool_mapping(calibrator, logits=logits)
    if calibrator.method != "grouped":
        return lambda _, scores, __, ___: calibrate(calibrator, scores, logits=logits)
    from calibcli.core.calibrators.composed.grouped import Grouped

    assert isinstance(calibrator, Grouped)
    if calibrator.column not in columns:
        raise InputError(
            f"the calibrator has a map for each value of {calibrator.column!r}, which is not read",
            "give the score files, with this column",
        )
    place = columns.index(calibrator.column)

    def by_group(
        batch: Batch, scores: NDArray[Any], rows: Rows, _: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        group = batch.groups[place]
        codes = _only(group.codes, rows)
        missed = calibrator.unseen(codes, group.values)
        if missed:
            unseen[batch.source_index, batch.first_row] = missed
        return calibrator.calibrate(scores, codes, group.values, logits=logits)

    return by_group


def _pool_mapping(calibrator: Calibrator, *, logits: bool) -> Mapping:
    from calibcli.core.calibrators.composed.model_pool import ModelPool

    assert isinstance(calibrator, ModelPool)

    def pooled(
        batch: Batch, _: NDArray[Any], rows: Rows, __: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        if batch.models is None:
            raise InputError(
                "the calibrator pools several models, and one is read",
                f"the models are {', '.join(calibrator.models)}",
            )
        return calibrator.combine(_only(batch.models, rows), logits=logits)

    return pooled
