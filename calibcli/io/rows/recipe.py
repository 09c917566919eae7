"""The input options, and the recipe they resolve to: what is read, and made into batches."""

from __future__ import annotations

from dataclasses import dataclass

from calibcli.io.formats.frames import ReadPlan
from calibcli.io.rows.labels import BinaryCoder, ClassCoder

_BATCH_ROWS = 131_072
_BATCH_NUMBERS = 2**20


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The input options of the command line, the same for every command."""

    paths: tuple[str, ...]
    score: str | None = None
    scores: tuple[str, ...] | None = None
    label: str | None = None
    labels: str | None = None
    logits: bool = False
    task: str | None = None
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    weight: str | None = None
    count: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    drop_invalid: bool = False
    input_format: str | None = None
    layout: str | None = None
    ignore_label: float | None = None
    scale: float | None = None
    images: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Place:
    """A column, of the scores or of the labels file; `unit` is what its times are cut to."""

    name: str
    side: bool = False
    unit: str | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recipe:
    """How frames become batches.

    Attributes:
        scores: The score columns; one that holds K values a row where `rows`.
        width: K, or 1.
        reduce: Whether two columns are reduced to one score (p1, or z1 - z0).
        label: The label column, K of them for a multi-label table, or none.
        one_hot: Whether a multi-class label is a row of K with a single 1.
    """

    task: str
    classes: tuple[str, ...]
    scores: tuple[str, ...]
    rows: bool
    width: int
    reduce: bool
    logits: bool
    label: tuple[Place, ...]
    one_hot: bool
    coder: BinaryCoder | ClassCoder
    weight: Place | None
    count: Place | None
    groups: tuple[Place, ...]
    cluster: Place | None
    drop_invalid: bool

    def plan(self, *, side: bool = False, keep: bool = False) -> ReadPlan:
        """Return what to read of the scores, or of the labels file."""
        keys = [place for place in (*self.label, *self.groups) if place.side == side]
        numbers = [place for place in (self.weight, self.count) if place and place.side == side]
        clusters = [place for place in (self.cluster,) if place and place.side == side]
        return ReadPlan(
            numbers=(() if side else self.scores) + tuple(place.name for place in numbers),
            keys=tuple(place.name for place in keys),
            ids=tuple(place.name for place in clusters),
            batch_rows=max(1, min(_BATCH_ROWS, _BATCH_NUMBERS // self.width)),
            keep=keep,
        )

    def label_plan(self) -> ReadPlan:
        """Return the plan that reads labels alone."""
        names = tuple(place.name for place in self.label if not place.side)
        return ReadPlan(keys=names, batch_rows=self.plan().batch_rows)
