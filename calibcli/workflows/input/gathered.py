"""What a command knows of its input: populations under their names in the JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from calibcli.core.results.figures import Where
from calibcli.io.task import SINGLE, OfTask
from calibcli.tasks.population import Population, of_pairs

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Dataset
    from calibcli.tasks.watching import Watch

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slice:
    """The population of some of the rows, before and after calibration."""

    where: Where
    population: Population
    calibrated: Population | None = None

    @property
    def used(self) -> Population:
        """What is cut and judged: after the calibrator where there is one."""
        return self.population if self.calibrated is None else self.calibrated

    @property
    def column(self) -> str:
        """The column of a group, or of a period."""
        return str(self.where.column)

    @property
    def value(self) -> str:
        """The value of the column whose rows these are: of a group, or of a period."""
        return str(self.where.value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gathered(OfTask):
    """Everything a command knows about its input."""

    task: str
    classes: tuple[str, ...]
    logits: bool
    overall: Slice
    groups: tuple[Slice, ...]
    inputs: list[Result]
    params: Result
    dropped: int = 0
    dataset: Dataset | None = None
    warnings: list[Warning] = field(default_factory=list)
    labelled: bool = True
    watch: Watch | None = None

    @property
    def raw_scale(self) -> RawScale | None:
        """How raw scores were turned into logits; None where scores are no raw ones."""
        return None if self.dataset is None else self.dataset.raw_scale

    @property
    def name(self) -> str:
        """What a user calls the task."""
        return self.task if self.dataset is None else self.dataset.name

    @property
    def medium(self) -> str:
        """What the files hold: "rows", "images" or "boxes"."""
        return "rows" if self.dataset is None else self.dataset.medium

    def as_pairs(self) -> Gathered:
        """Return boxes of all classes as one population of pairs, and so those of each group.

        What has one score a row, whatever it is of, is fitted and compared alike.
        """
        if self.dataset is None or self.dataset.medium != "boxes":
            return self

        def pooled(one: Slice) -> Slice:
            before, after = one.population, one.calibrated
            return replace(
                one,
                population=of_pairs(before.pairs, units=before.units),
                calibrated=None if after is None else of_pairs(after.pairs),
            )

        return replace(
            self,
            task=SINGLE,
            classes=(),
            overall=pooled(self.overall),
            groups=tuple(map(pooled, self.groups)),
        )

    @property
    def fitted_task(self) -> str:
        """The task of a calibrator of these rows: boxes have one of their own."""
        return self.name if self.medium == "boxes" else self.task

    @property
    def fitted_classes(self) -> tuple[str, ...]:
        """The classes that a calibrator of these rows names, also where all are fitted alike."""
        boxes = self.dataset is not None and self.medium == "boxes"
        return self.dataset.classes if boxes and self.dataset is not None else self.classes

    @property
    def clustered(self) -> bool:
        """Whether several rows can be of one unit: a cluster, or an image."""
        if self.dataset is not None:
            return self.dataset.unit.clustered
        return bool(self.params.get("cluster"))

    @property
    def class_slices(self) -> list[Slice]:
        """One slice for each class of a multi-class or multi-label input, against the rest."""
        after = self.overall.calibrated
        found = []
        for k, name in enumerate(self.classes):
            own = one_class(self.overall.population, k)
            changed = None if after is None else one_class(after, k)
            found.append(Slice(Where("class", name), own, changed))
        return found


def one_class(population: Population, k: int) -> Population:
    """Return class k against the rest. Rows are independent again: one pair a row."""
    stats = population.classes[k]
    if population.rows_apart:
        return of_pairs(stats if stats.parts is None else replace(stats, parts=None))
    extra = None if population.extra is None else population.extra.of_label(k)
    return of_pairs(stats, units=population.units, extra=extra)
