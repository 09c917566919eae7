"""Populations of rows: what a pass counts, and the statistics that come of it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.losses import SUMS, combine, slot_losses
from calibcli.core.statistics.row_sample import Limit, RowSample
from calibcli.core.statistics.side_by_side import of_slots
from calibcli.core.statistics.stats import BUCKETS, ScoreStats, confidence_pairs
from calibcli.io.task import LABELS, SINGLE, OfTask
from calibcli.tasks.pairs import CLASSES, FAMILIES, PAIRS, TOP, Pairs, WholeRows, width
from calibcli.tasks.units import Units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.core.results.figures import Confusion, Figure
    from calibcli.core.statistics.counting.class_rows import ClassRows

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layout(OfTask):
    """What a pass counts.

    Attributes:
        task: "binary", "multiclass" or "multilabel"; `classes` its class names.
        names: score columns, for messages.
        groups: group columns.
        edges: probabilities at which counts stay exact in a grid.
        clustered: whether rows come in clusters (then every family is also kept by bucket).
        intervals: whether sums over several pairs of a row need how these go together.
        by_bucket: whether they are then counted by bucket, which saved statistics hold, also where
            a sample of whole rows would do.
        medium: what is read: "rows", "images" or "boxes".
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
    by_bucket: bool = False
    drop_invalid: bool = False
    medium: str = "rows"

    @property
    def keeps_rows(self) -> bool:
        """Whether some rows are kept whole: of exclusive classes, without clusters."""
        return self.exclusive and self.intervals and self.medium == "rows" and not self.clustered

    def by_unit(self, *, grouped: bool) -> bool:
        """Whether pairs of a row that are of several classes or labels are counted by bucket too.

        Of groups those of classes are not: rows that are kept whole tell as much.
        """
        return self.intervals and (not self.keeps_rows or (self.by_bucket and not grouped))


class Extra(Protocol):
    """What a medium knows of a population beside its pairs. Mergeable."""

    lowest: float = 0.0
    """The least cut-off."""

    @abstractmethod
    def merge(self, other: Any) -> None:
        """Add a later partition."""

    @abstractmethod
    def numbered(self, known: tuple[int, ...] | None) -> Extra:
        """Return the same, whose units have the buckets of these hashes; None where shared."""

    @abstractmethod
    def of_group(self, column: int, value: str) -> Extra:
        """Return that of one value of a group column."""

    @abstractmethod
    def of_label(self, k: int) -> Extra:
        """Return that of one class."""

    def rebucketed(self, moved: Ints) -> Extra:
        """Return the same, with bucket b counted as bucket moved[b]."""
        return self

    def counted(self, pairs: ScoreStats) -> ScoreStats:
        """Return the pairs that cut-offs are counted on: with what has no score of its own."""
        return pairs

    def metrics(self, found: Mapping[str, Figure], confidence: float | None) -> dict[str, Figure]:
        """Return the figures of the pairs with the medium's own, in display order."""
        return dict(found)

    def table(self, counts: Confusion, threshold: float) -> Confusion:
        """Return a confusion table as it is for this medium."""
        return counts

    def parts(self) -> dict[str, Any]:
        """Return what a slice has beside figures and tables."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return what saved statistics keep of it."""
        return {}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population(OfTask):
    """The statistics of one population of rows: all of them, or those of one group.

    `pairs` for binary; `top` by predicted class and `classes` by class for several classes.
    `rows_apart` tells that `classes` keep buckets of independent rows, not of clusters. `units`
    are the hashes of the units in the order of their buckets, where each has its own. `rows` are
    some of them, whole, where `classes` keep no buckets; `losses` (K, 4) sums of the losses of the
    rows of each class, where they were summed row by row.
    """

    task: str
    pairs: ScoreStats
    top: tuple[ScoreStats, ...] = ()
    classes: tuple[ScoreStats, ...] = ()
    rows_apart: bool = False
    units: tuple[int, ...] | None = None
    extra: Extra | None = None
    rows: RowSample | None = None
    losses: NDArray[np.float64] | None = None

    def confidence_pairs(self) -> ScoreStats:
        """Return pairs (confidence, was the decision right)."""
        return confidence_pairs(self.pairs) if self.single else self.pairs


def of_pairs(
    pairs: ScoreStats, *, units: tuple[int, ...] | None = None, extra: Extra | None = None
) -> Population:
    """Return the population of rows that have one score and one label each."""
    return Population(SINGLE, pairs, units=units, extra=extra)


def of_labels(pooled: ScoreStats, classes: tuple[ScoreStats, ...]) -> Population:
    """Return the population of rows of several labels: all their pairs, and those of each."""
    return Population(LABELS, pooled, (), classes)


class _Family:
    """One kind of pairs: a tally, and the same by bucket where intervals or folds need it."""

    def __init__(
        self,
        layout: Layout,
        slots: int,
        *,
        classes: int = 0,
        parts: bool,
        own: bool,
        start_exact: bool,
    ) -> None:
        self.options: dict[str, Any] = {
            "edges": layout.edges,
            "weighted": layout.weighted,
            "logits": layout.logits,
            # Of several classes the softmax is counted, which is a probability.
            "by_logit": layout.logits and not layout.exclusive,
        }
        self.tally = Tally(
            slots, **self.options, start_exact=start_exact, ranked=True, classes=classes
        )
        self.own = np.zeros((slots, SUMS)) if own else None
        self.parts: Tally | None = None
        if parts:
            self.parts = Tally(slots * BUCKETS, **self.options, start_exact=start_exact)

    def add_rows(self, rows: ClassRows, first: int) -> None:
        """Count whole rows, the slots of whose classes begin at `first`."""
        self.tally.add_rows(rows, first)
        if self.own is not None:  # the losses of rows by their own class
            self._make_room(first + rows.classes)
            key, label, mass = rows.of_labels()
            if len(key):
                truth, clip = np.ones(len(key), bool), not self.options["logits"]
                found = slot_losses(key, truth, label + first, mass, len(self.own), clip=clip)
                combine(self.own, found)

    def merge_own(self, other: _Family, slot_map: Ints | None) -> None:
        """Add those of another partition."""
        if self.own is not None and other.own is not None and len(other.own):
            home = np.arange(len(other.own)) if slot_map is None else slot_map[: len(other.own)]
            self._make_room(int(home.max()) + 1)
            found = np.zeros_like(self.own)
            found[home] = other.own
            combine(self.own, found)

    def _make_room(self, slots: int) -> None:
        if self.own is not None and slots > len(self.own):
            self.own = np.concatenate([self.own, np.zeros((slots - len(self.own), SUMS))])

    def rebucket(self, moved: Ints) -> None:
        """Move the counts of each bucket to another one."""
        if self.parts is not None:
            parts, self.parts = self.parts, Tally(self.parts.slots, **self.options)
            slot = np.arange(parts.slots)
            self.parts.merge(parts, slot - slot % BUCKETS + moved[slot % BUCKETS])


class Scope:
    """Families of pairs for one population, or for each value of one group column.

    `values` are those of the group column, and their members; those of `like` where it is given.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        grouped: bool,
        hopeless: set[str],
        limit: Limit | None = None,
        units: Units | None = None,
        like: Scope | None = None,
    ) -> None:
        self.layout = layout
        self.units = units
        self.values: dict[str, int] | None = None
        if grouped:
            self.values = {} if like is None else like.values
        self.families: dict[str, _Family] = {}
        self.rows: RowSample | None = None
        if layout.keeps_rows and not grouped:
            self.rows = RowSample(len(layout.classes), weighted=layout.weighted, limit=limit)
        for name in FAMILIES[layout.task]:
            slots = 0 if grouped else self.width(name)
            several = name == CLASSES and layout.by_unit(grouped=grouped)
            whole = name == CLASSES and layout.exclusive and layout.medium == "rows"
            self.families[name] = _Family(
                layout,
                slots,
                classes=len(layout.classes) if whole else 0,
                parts=layout.clustered or several,
                own=whole,
                start_exact=f"{name}{grouped}" not in hopeless,
            )

    def width(self, name: str) -> int:
        """Return how many slots a family has for one member."""
        return width(self.layout.task, name, len(self.layout.classes))

    def add(
        self,
        pairs: Sequence[Pairs | WholeRows],
        weight: NDArray[Any] | None,
        bucket: Ints | None,
        member: Ints | None = None,
    ) -> None:
        """Count pairs; `member` (rows,) is the group of each row."""
        for found in pairs:
            family = self.families[found.family]
            if isinstance(found, WholeRows):
                self._add_rows(family, replace(found.rows, mass=weight), member)
                if family.parts is None:
                    continue
            own = found.flat
            slot: NDArray[Any] | None = own.slot
            if member is not None:
                base = own.spread(member) * self.width(own.family)
                slot = base if slot is None else base + slot
            mass = None if weight is None else own.spread(weight)
            if own is found:
                family.tally.add(own.key, own.label, slot, mass, own.score)
            if family.parts is not None:
                assert bucket is not None
                home = own.spread(bucket)
                part = home if slot is None else slot * BUCKETS + home
                family.parts.add(own.key, own.label, part, mass)

    def _add_rows(self, family: _Family, rows: ClassRows, member: Ints | None) -> None:
        """Count whole rows, those of each member by themselves."""
        if member is None:
            family.add_rows(rows, 0)
            return
        for one in np.unique(member).tolist():
            family.add_rows(rows.take(member == one), one * rows.classes)

    def add_units(
        self, name: str, counts: Tally | CellTable, slots: Ints, buckets: Ints, member: int = 0
    ) -> None:
        """Add counts whose slots are each of one unit and one member.

        Args:
            name: the family.
            counts: of rows by slot.
            slots: the family's slot for one member, by slot of `counts`.
            buckets: that of the unit, by slot of `counts`.
            member: of the group column.
        """
        family, base = self.families[name], member * self.width(name) + slots
        for tally, at in ((family.tally, base), (family.parts, base * BUCKETS + buckets)):
            if tally is None:
                continue
            if isinstance(counts, Tally):
                tally.merge(counts, at)
            else:
                tally.add_table(counts.in_slots(at))

    def members(self, codes: NDArray[np.integer[Any]], values: list[str]) -> Ints:
        """Return the member of each row from a batch's codes; new values get new members."""
        used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
        here = np.zeros(len(values), np.int64)
        for code in used.tolist():
            here[code] = self.member(values[code])
        member: Ints = here[codes]
        return member

    def member(self, value: str) -> int:
        """Return the member of a value; a new one gets a new member."""
        assert self.values is not None
        return self.values.setdefault(value, len(self.values))

    def rebucket(self, moved: Ints | None) -> None:
        """Move the counts of each bucket to another one; None moves nothing."""
        if moved is not None:
            for family in self.families.values():
                family.rebucket(moved)

    def merge(self, other: Scope) -> None:
        """Add another partition's counts."""
        if self.rows is not None and other.rows is not None:
            self.rows.merge(other.rows)
        for name, family in self.families.items():
            theirs = other.families[name]
            slots = self._slot_map(other, name)
            family.tally.merge(theirs.tally, slots)
            family.merge_own(theirs, slots)
            if family.parts is not None and theirs.parts is not None:
                spread = None
                if slots is not None:
                    spread = (slots[:, None] * BUCKETS + np.arange(BUCKETS)).reshape(-1)
                family.parts.merge(theirs.parts, spread)

    def _slot_map(self, other: Scope, name: str) -> Ints | None:
        if self.values is None or other.values is None:
            return None
        members = [self.member(value) for value in other.values]
        base = np.array(members, np.int64)[:, None] * self.width(name)
        return (base + np.arange(self.width(name))).reshape(-1)

    def population(
        self, member: int = 0, extra: Extra | None = None, rows: RowSample | None = None
    ) -> Population:
        """Return the statistics of one member; `rows` are some of its own, whole."""
        task, size = self.layout.task, len(self.layout.classes)
        units = None if self.units is None else self.units.ordered()
        extra = None if extra is None else extra.numbered(units)
        if task == "binary":
            pairs = self._stats(PAIRS, member, 1)
            return Population(task, pairs, units=units, extra=extra)
        classes = self._side_by_side(CLASSES, member)
        apart = not self.layout.clustered
        if task != "multiclass":
            pooled = self._stats(CLASSES, member * size, size)
            return Population(task, pooled, (), classes, apart, units, extra)
        top = self._side_by_side(TOP, member)
        pooled = self._stats(TOP, member * size, size)
        own, first = self.families[CLASSES].own, member * size
        losses = own[first : first + size] if own is not None and len(own) >= first + size else None
        return Population(
            task, pooled, top, classes, apart, units, extra, rows or self.rows, losses
        )

    def _stats(self, name: str, slot: int, slots: int) -> ScoreStats:
        family = self.families[name]
        return self._ranked(ScoreStats.from_tally(family.tally, slot, family.parts, slots=slots))

    def _side_by_side(self, name: str, member: int) -> tuple[ScoreStats, ...]:
        """Return the statistics of each class of a member."""
        family, size = self.families[name], len(self.layout.classes)
        own = of_slots(family.tally, member * size, (member + 1) * size, family.parts)
        return tuple(map(self._ranked, own))

    def _ranked(self, stats: ScoreStats) -> ScoreStats:
        rank = None if self.units is None else self.units.rank()
        return stats if rank is None else stats.rebucketed(rank)
