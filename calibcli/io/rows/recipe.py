"""The input options, and the recipe they resolve to: what is read, and made into batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibcli.errors import UsageError
from calibcli.io.formats.frames import ReadPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.io.rows.labels.labelling import Labelling
    from calibcli.io.rows.place import Place

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
    raw: bool = False
    descending: bool = False
    raw_scale: RawScale | None = None
    task: str | None = None
    pixels: str | None = None  # what a pixel is, of images whose labels cannot tell
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    weight: str | None = None
    count: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    drop_invalid: bool = False
    input_format: str | None = None
    layout: str | None = None
    ignore_label: float | str | None = None
    scale: float | None = None
    images: str | None = None
    key: str | None = None
    predicted: str | None = None
    renormalise: bool = False
    votes: str | None = None
    ground_truth: str | None = None
    iou: float = 0.5
    max_detections: int = 100
    masks: bool = False
    nms_iou: float | Mapping[str | None, float] | None = None

    @property
    def one_vote(self) -> bool:
        """Whether labels are shares of one vote, which become weights."""
        try:
            return self.votes is not None and float(self.votes) == 1.0
        except ValueError:
            return False

    @property
    def weighted(self) -> bool:
        """Whether rows have weights: their own, or shares of a vote."""
        return self.weight is not None or self.one_vote

    @property
    def ignored_pixel(self) -> float | None:
        """The label of pixels to leave out.

        Raises:
            UsageError: it is no number.
        """
        if isinstance(self.ignore_label, str):
            raise UsageError(
                f"--ignore-label {self.ignore_label!r}: labels of pixels are numbers",
                "for example --ignore-label 255",
            )
        return self.ignore_label


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recipe:
    """How frames become batches.

    Attributes:
        scores: The score columns; one that holds K values a row where `rows`. They are those of
            the file beside where `scores_beside`.
        names: The names of the values of that column, where they have names.
        width: K, or 1.
        reduce: Whether two columns are reduced to one score (p1, or z1 - z0).
        scale: What scores are divided by, or None.
        raw_scale: How scores that are no probabilities become logits, or None.
        renormalise: Whether rows of rounded probabilities are made to sum to 1.
        labelling: The labels, or None where none are read.
        key: The columns by which rows of the labels file are found; () for by their order.
        votes: Of how many annotators labels count those that said 1: a column, or a number; None
            for plain labels.
        same: Columns that both files have, and that must agree where rows go by their order.
    """

    task: str
    classes: tuple[str, ...]
    scores: tuple[str, ...]
    rows: bool
    names: tuple[str, ...] | None
    width: int
    reduce: bool
    logits: bool
    scale: float | None
    renormalise: bool
    labelling: Labelling | None
    weight: Place | None
    count: Place | None
    groups: tuple[Place, ...]
    cluster: Place | None
    drop_invalid: bool
    key: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    scores_beside: bool = False
    votes: Place | float | None = None
    raw_scale: RawScale | None = None

    @property
    def label(self) -> tuple[Place, ...]:
        """The columns that labels are read from."""
        return () if self.labelling is None else self.labelling.places

    def plan(self, *, side: bool = False, keep: bool = False) -> ReadPlan:
        """Return what to read of the scores, or of the labels file."""
        read = (*self.label, *(place for place in self.groups if not place.every))
        keys = [place for place in read if place.side == side]
        votes = None if isinstance(self.votes, float) else self.votes
        counts = (self.weight, self.count, votes)
        numbers = [place for place in counts if place and place.side == side]
        clusters = [place for place in (self.cluster,) if place and place.side == side]
        return ReadPlan(
            numbers=(self.scores if side == self.scores_beside else ())
            + tuple(place.name for place in numbers),
            keys=tuple(place.name for place in keys),
            ids=tuple(place.name for place in clusters) + self.key + self.same,
            batch_rows=max(1, min(_BATCH_ROWS, _BATCH_NUMBERS // self.width)),
            keep=keep,
        )

    def label_plan(self) -> ReadPlan:
        """Return the plan that reads labels alone."""
        names = tuple(place.name for place in self.label if not place.side)
        return ReadPlan(keys=names, ids=self.key, batch_rows=self.plan().batch_rows)
