"""Scores as one command reads them: the options, and the calibrator that goes before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypedDict

from calibcli.workflows.input.gather import Reading, open_input
from calibcli.workflows.input.loaded.loading import load_calibrator
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.warnings import calibrator_warnings

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Dataset
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Opened, Progress
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator


class Options(TypedDict, total=False):
    """What every choice is asked with, beside the input and the conventions.

    Attributes:
        calibrator: path of a calibrator to apply first.
        threads: how many threads read.
        progress: called with the number of rows (pixels, boxes) read so far.
    """

    calibrator: str | None
    threads: int | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Asked(Reading):
    """Scores as one command reads them, sketched to know those of a calibrator's fit.

    Attributes:
        loaded: the calibrator that goes before, if any; `path` where it is.
    """

    loaded: LoadedCalibrator | None = None
    path: str | None = None

    @classmethod
    def of(cls, spec: InputSpec, conventions: Conventions, options: Options) -> Self:
        """Read the calibrator.

        Raises:
            InputError: no such artifact, or one that this version cannot read.
        """
        path = options.get("calibrator")
        loaded = None if path is None else load_calibrator(path)
        threads, progress = options.get("threads"), options.get("progress")
        reading = Reading(spec, conventions, threads=threads, progress=progress)
        return cls.after(loaded, reading, path)

    @classmethod
    def after(
        cls, loaded: LoadedCalibrator | None, reading: Reading, path: str | None = None
    ) -> Self:
        """Return what is read after a calibrator that has been read itself."""
        watch, spec, conventions = watch_of(loaded), reading.spec, reading.conventions
        return cls(spec, conventions, watch, reading.threads, reading.progress, loaded, path)

    @property
    def mapping(self) -> Calibrator | None:
        """The map of the calibrator."""
        return None if self.loaded is None else self.loaded.calibrator

    def open(self) -> Opened:
        """Open the files, with the group column that the calibrator reads."""
        return open_input(self.spec, self.mapping)

    def gather(self, *, opened: Opened | None = None) -> Gathered:
        """Read everything once; cut-offs of one score need no counts by bucket.

        Raises:
            InputError: input that cannot be used.
            UsageError: options that do not fit the input.
        """
        plain = replace(self, conventions=replace(self.conventions, confidence=None))
        return plain.read(opened, self.mapping)

    def warnings(self, found: Gathered | Dataset, what: str) -> list[Warning]:
        """Return what is to be said of the calibrator and these rows: `what` may be in-sample.

        Raises:
            InputError: it was fitted on something else.
        """
        if self.loaded is None:
            return []
        shared = found_overlap(self.loaded, self.watch)
        return calibrator_warnings(self.loaded, found, self.spec, shared, what=what)
