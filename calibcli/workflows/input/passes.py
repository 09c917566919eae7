"""Passes over whole rows, for decisions that weigh all classes of a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from calibcli.errors import UsageError
from calibcli.tasks.rows.scan import Accumulator, scan
from calibcli.workflows.input.gather import (
    input_params,
    layout_of,
    open_input,
    reading_warnings,
    with_group_of,
)
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.warnings import calibrator_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.results.warning import Warning
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.tasks.collect import Layout
    from calibcli.tasks.scan import Accumulator as Whole
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.loaded import LoadedCalibrator

Result = dict[str, Any]
A = TypeVar("A", bound=Accumulator)


@dataclass
class RowPass:
    """An open data set that can be scanned as often as needed.

    Attributes:
        spec: what is read.
        dataset: the open files.
        layout: how batches are checked.
        loaded: the calibrator that goes before, if any.
        threads: how many threads read.
        progress: called with the number of rows read so far in a scan.
        watch: sketches the rows, to know those of the calibrator's fit.
        warnings: what is to be said of the rows; filled by the first scan.
        beside: what else the first scan fills, with whole batches.
    """

    spec: InputSpec
    columns: tuple[str, ...]
    dataset: Dataset
    layout: Layout
    loaded: LoadedCalibrator | None
    threads: int | None
    progress: Progress | None
    watch: Watch | None = None
    warnings: list[Warning] = field(default_factory=list)
    rows: int = 0
    beside: list[Whole] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        spec: InputSpec,
        conventions: Conventions,
        calibrator: str | None,
        threads: int | None,
        progress: Progress | None,
        option: str,
    ) -> RowPass:
        """Open score files; `option` is what needs them, for messages.

        Raises:
            UsageError: saved statistics, which have no rows.
        """
        loaded = None if calibrator is None else load_calibrator(calibrator)
        watch = watch_of(loaded)
        dataset, _ = open_input(spec, None if loaded is None else loaded.calibrator)
        if dataset is None:
            raise UsageError(f"{option} needs whole rows", "give the score files instead")
        return cls.over(dataset, spec, conventions, loaded, threads, progress, watch)

    @classmethod
    def over(
        cls,
        dataset: Dataset,
        spec: InputSpec,
        conventions: Conventions,
        loaded: LoadedCalibrator | None,
        threads: int | None,
        progress: Progress | None,
        watch: Watch | None = None,
    ) -> RowPass:
        """Return passes over score files that `open_input` has opened for the calibrator."""
        reading = with_group_of(spec, None if loaded is None else loaded.calibrator)
        layout = layout_of(dataset, spec, conventions)
        return cls(spec, reading.groups, dataset, layout, loaded, threads, progress, watch)

    def scan(self, new: Callable[[], A]) -> A:
        """Read all rows once."""
        first = not self.rows
        beside = (*self.beside, *(() if self.watch is None else (self.watch,)))
        found, scanned = scan(
            self.dataset,
            self.layout,
            new,
            calibrator=None if self.loaded is None else self.loaded.calibrator,
            columns=self.columns,
            beside=beside if first else (),
            threads=self.threads,
            progress=self.progress,
        )
        if first:
            self.rows = scanned.rows
            self.warnings += reading_warnings(self.dataset, scanned.dropped, scanned.unseen)
            if self.loaded is not None:
                shared = found_overlap(self.loaded, self.watch)
                self.warnings += calibrator_warnings(
                    self.loaded, self.dataset, self.spec, shared, what="what is chosen here is"
                )
        return found

    def params(self, **more: Any) -> Result:
        """Return the conventions of the result."""
        return {**input_params(self.spec, self.dataset), **more}
