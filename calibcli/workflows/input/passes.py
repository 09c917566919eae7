"""Passes over whole rows, for decisions that weigh all classes of a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from calibcli.errors import UsageError
from calibcli.tasks.rows.scan import Accumulator, scan
from calibcli.workflows.input.gather import (
    input_params,
    layout_of,
    reading_warnings,
    with_group_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Dataset
    from calibcli.tasks.collect import Layout
    from calibcli.tasks.scan import Accumulator as Whole
    from calibcli.workflows.input.asked import Asked

Result = dict[str, Any]
A = TypeVar("A", bound=Accumulator)


@dataclass
class RowPass:
    """An open data set that can be scanned as often as needed.

    Attributes:
        asked: what is read, and after which calibrator.
        columns: the group columns of a batch.
        dataset: the open files.
        layout: how batches are checked.
        warnings: what is to be said of the rows; filled by the first scan.
        beside: what else the first scan fills, with whole batches.
    """

    asked: Asked
    columns: tuple[str, ...]
    dataset: Dataset
    layout: Layout
    warnings: list[Warning] = field(default_factory=list)
    rows: int = 0
    beside: list[Whole] = field(default_factory=list)

    @classmethod
    def open(cls, asked: Asked, option: str) -> RowPass:
        """Open score files; `option` is what needs them, for messages.

        Raises:
            UsageError: saved statistics, which have no rows.
        """
        dataset, _ = asked.open()
        if dataset is None:
            raise UsageError(f"{option} needs whole rows", "give the score files instead")
        return cls.over(dataset, asked)

    @classmethod
    def over(cls, dataset: Dataset, asked: Asked) -> RowPass:
        """Return passes over score files that have been opened for the calibrator."""
        reading = with_group_of(asked.spec, asked.mapping)
        layout = layout_of(dataset, asked.spec, asked.conventions)
        return cls(asked, reading.groups, dataset, layout)

    def scan(self, new: Callable[[], A]) -> A:
        """Read all rows once."""
        first = not self.rows
        beside = (*self.beside, *(() if self.asked.watch is None else (self.asked.watch,)))
        found, scanned = scan(
            self.dataset,
            self.layout,
            new,
            calibrator=self.asked.mapping,
            columns=self.columns,
            beside=beside if first else (),
            threads=self.asked.threads,
            progress=self.asked.progress,
        )
        if first:
            self.rows = scanned.rows
            self.warnings += reading_warnings(self.dataset, scanned.dropped, scanned.unseen)
            self.warnings += self.asked.warnings(self.dataset, "what is chosen here is")
        return found

    def params(self, **more: Any) -> Result:
        """Return the conventions of the result."""
        return {**input_params(self.asked.spec, self.dataset), **more}
