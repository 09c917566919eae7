"""What decisions are worth: all of them together, of each class, and in each group and period."""

from __future__ import annotations

from calibcli.core.results.base import UNSET, Number, Record, UnsetType
from calibcli.core.results.figures import Confusion, Figure, Where


class DecisionCounts(Record, frozen=True):
    """Counts of the decisions of a binary score."""

    tp: Number
    fp: Number
    fn: Number
    tn: Number | UnsetType | None = UNSET


class DecidedClass(Record, frozen=True, kw_only=True):
    """The decisions of a class, with `true` rows of it where sets are decided."""

    name: str
    tp: Number | None = None
    fp: Number | None = None
    fn: Number | None = None
    tn: Number | UnsetType | None = UNSET
    true: Number | None = None
    precision: Figure | None = None
    recall: Figure | None = None
    f1: Figure | None = None
    coverage: Figure | None = None

    @classmethod
    def of(cls, name: str, table: Confusion) -> DecidedClass:
        """Return the decisions of a class from their confusion table."""
        return cls(
            name=name,
            tp=table.tp,
            fp=table.fp,
            fn=table.fn,
            tn=UNSET if table.tn is None else table.tn,
            precision=table.precision,
            recall=table.recall,
            f1=table.f1,
        )


class DecisionMatrix(Record, frozen=True):
    """Counts by truth (rows) and decision (columns)."""

    truth: tuple[str, ...]
    decisions: tuple[str, ...]
    counts: list[list[Number]]


class PlainDecision(Record, frozen=True):
    """The figures of another way to decide the same rows."""

    rule: str
    metrics: dict[str, Figure]


class DecidedAgain(Record, frozen=True, kw_only=True):
    """The figures of decisions of rows that the choice has not seen."""

    folds: int | None = None
    metrics: dict[str, Figure]


class Decided(Record, frozen=True, kw_only=True):
    """The figures of decisions, as `apply` would write them.

    Attributes:
        slice: of a group: which.
        n: how many rows are decided.
        metrics: figures of all decisions together.
        classes: those of each class; `confusion` of a binary score.
        cross_fitted: on rows that the choice has not seen.
        plain: of deciding the most probable class.
        groups: in each group.
    """

    slice: Where | None = None
    n: Number | None = None
    metrics: dict[str, Figure]
    confusion: DecisionCounts | None = None
    classes: tuple[DecidedClass, ...] = ()
    confusion_matrix: DecisionMatrix | None = None
    plain: PlainDecision | None = None
    cross_fitted: DecidedAgain | None = None
    groups: tuple[Decided, ...] | None = None

    @property
    def referring(self) -> DecisionCounts | None:
        """The counts of one score where some rows get no decision: these are no alerts."""
        undecided = self.metrics.get("undecided")
        return self.confusion if undecided is not None and undecided.value else None

    def beside(self, title: str) -> list[tuple[str, dict[str, Figure]]]:
        """Return these figures under a title, those held out, and those of the plain decision."""
        parts = [(title, self.metrics)]
        if self.cross_fitted is not None:
            parts.append(("cross-fitted", self.cross_fitted.metrics))
        if self.plain is not None:
            parts.append((self.plain.rule, self.plain.metrics))
        return parts


class Confused(Record, frozen=True):
    """Rows of the class `truth` that are decided `decided`: how many, and their share of it."""

    truth: str
    decided: str
    count: Number
    share: float


class Confusions(Record, frozen=True, kw_only=True):
    """Which class is taken for which where each row gets its most probable class.

    Attributes:
        rule: how rows are decided.
        n: rows (pixels), or their weight.
        pairs: how many pairs of classes are confused at all.
        worst: the pairs that are confused most often, the first first.
        matrix: counts of every pair; None of more than 100 classes.
    """

    rule: str
    n: Number
    pairs: int
    worst: tuple[Confused, ...]
    matrix: DecisionMatrix | None = None
