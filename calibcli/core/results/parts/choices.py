"""Decisions that are no single cut-off: rows that are kept, sets of classes, costs of classes."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.figures import OVERALL, Figure, Where


class Kept(Record, frozen=True):
    """Rows of one slice that are sure enough, and the errors among them."""

    slice: Where
    n: Number
    kept: Number
    referred: Number
    errors: Number
    coverage: float | None
    accuracy: Figure
    accuracy_of_all: float | None


class KeptCurve(Record, frozen=True):
    """The risk-coverage curve that abstention moves along."""

    confidence: list[float]
    coverage: list[float]
    risk: list[float]


class Abstain(Record, frozen=True, kw_only=True):
    """Keep rows of at least this confidence, refer the others."""

    constraint: str
    threshold: float
    guarantee: float | None
    n: Number
    kept: Number
    referred: Number
    errors: Number
    coverage: float | None
    accuracy: Figure
    accuracy_of_all: float | None
    unit: str | None = None
    units: int | None = None
    mean_accuracy: float | None = None
    area: float | None = None
    excess_area: float | None = None
    curve: KeptCurve | None = None
    groups: tuple[Kept, ...] | None = None

    @property
    def slice(self) -> Where:
        """All rows."""
        return OVERALL


class SetSlice(Record, frozen=True, kw_only=True):
    """The quantile of the sets of one slice; None: every class is in the set."""

    slice: Where
    n: int
    units: int | None = None
    quantile: float | None
    coverage: Figure


class SetSizes(Record, frozen=True):
    """How large sets are on these rows: mean, and the shares that are empty or of one class."""

    n: int
    mean: float
    empty: float
    single: float
    covered: float


class Sets(Record, frozen=True, kw_only=True):
    """Sets of classes that hold the true one with a probability."""

    method: Literal["lac", "aps", "raps", "aps-randomised", "raps-randomised"]
    coverage: float
    classes: int
    by: Literal["none", "class", "group"]
    quantiles: dict[str, float | None]
    rows: dict[str, int]
    penalty: float
    free_rank: int
    inclusive: bool | None = None
    held: dict[str, int] | None = None
    units: dict[str, int] | None = None
    exact: bool | None = None
    unit: str | None = None
    slices: tuple[SetSlice, ...] = always(())
    size: SetSizes | None = None


class Constant(Record, frozen=True):
    """The decision that is the cheapest if it is taken for every row."""

    decision: int
    cost: float


class CostMatrix(Record, frozen=True, kw_only=True):
    """Deciding the class of least expected cost; `counts` are truth by decision."""

    costs: list[list[float]]
    decisions: tuple[str, ...]
    refers: bool
    prior_ratio: list[float] | None
    n: Number | None = None
    expected: Figure | None = None
    claimed: float | None = None
    most_probable: float | None = None
    best_constant: Constant | None = None
    counts: list[list[Number]] | None = None
