"""`measure --evidence`: what all nights tell against the promises, this one with them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.core.comparison.evidence import (
    ECE,
    RATES,
    Evidence,
    Promise,
    counts_of,
    ece_gains,
    rate_gains,
)
from calibcli.core.results.base import plain
from calibcli.core.results.figures import OVERALL
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.parts.evidence import Broken, EvidenceFile, Gathered, Kept
from calibcli.core.results.reading import typed_as
from calibcli.core.statistics.curves import reliability
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import read_artifact, write_artifact
from calibcli.io.failures import show
from calibcli.io.output.lock import FileLock
from calibcli.tasks.families import digest_of
from calibcli.tasks.features import kind_of, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.figures import Confusion
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered as Rows
    from calibcli.workflows.measure.decided.applied import Applied

Result = dict[str, Any]
_WAIT = 600.0


@contextmanager
def held_year(path: str, promises: tuple[Promise, ...], conventions: Conventions) -> Iterator[Year]:
    """Hold the evidence in a file from its reading to its writing: two nights take turns.

    Raises:
        InputError: the file is no evidence, or is of other promises.
    """
    binning = conventions.headline
    with FileLock(path, _WAIT):
        year = Year(path, promises, binning.describe())
        year.read(len(binning.edges) - 1)
        yield year


@dataclass(slots=True)
class Year:
    """The evidence in a file.

    Attributes:
        path: of the file.
        promises: what every night is to keep.
        known: digests of the nights that have counted; `past` the evidence against each promise.
    """

    path: str
    promises: tuple[Promise, ...]
    bins: str
    known: tuple[str, ...] = ()
    past: dict[Promise, Evidence] = field(default_factory=dict)
    counted: bool = False

    def read(self, bins: int) -> None:
        """Read the evidence so far, if there is any.

        Raises:
            InputError: the file is no evidence, or is of other promises.
        """
        self.past = {one: Evidence.none(one, bins) for one in self.promises}
        if not Path(self.path).exists():
            return
        kept = typed_as(read_artifact(self.path, "evidence"), EvidenceFile)
        own, there = [str(one) for one in self.promises], [one.promise for one in kept.promises]
        if own != there or self.bins != kept.bins:
            raise InputError(
                f"{show(self.path)} is evidence on {', '.join(there)} in {kept.bins}, "
                f"not on {', '.join(own)} in {self.bins}",
                "ask for the same every night, or begin another file",
            )
        self.known = kept.nights
        for promise, one in zip(self.promises, kept.promises, strict=True):
            size = self.past[promise]
            if (len(one.logs), len(one.sides)) != (len(size.logs), len(size.sides)):
                raise InputError(f"{show(self.path)} is not whole", "begin another file")
            self.past[promise] = Evidence(one.logs, len(self.known), one.highest, one.sides)

    def count(
        self, found: Rows, conventions: Conventions, result: Result, applied: Applied | None
    ) -> Result:
        """Count the rows of a night, unless they have counted before, and return what is known.

        Args:
            found: the rows; after the calibrator where there is one.
            conventions: the bins.
            result: of `measure`, whose confusion table has the counts of rates.
            applied: the thresholds, whose cut-off is meant.

        Raises:
            UsageError: rows that are not independent, or have no labels; rates without a cut-off.
        """
        _refuse(found)
        whole = found.overall
        if found.raw_scale is not None and whole.calibrated is None:
            self._refuse_ece()
        night = digest_of(whole.population)
        if night not in self.known:
            table = _table(found, result, applied)
            for promise in self.promises:
                past = self.past[promise]
                self.past[promise] = _after(promise, past, whole.used, conventions, table)
            self.known, self.counted = (*self.known, night), True
        told = Gathered(
            path=self.path,
            nights=len(self.known),
            counted=self.counted,
            promises=tuple(
                Broken(
                    promise=str(one),
                    figure=one.figure,
                    value=float(np.exp(min(self.past[one].log_e, 700.0))),
                    p=self.past[one].p,
                )
                for one in self.promises
            ),
        )
        return dict(plain(told))

    def _refuse_ece(self) -> None:
        if any(one.figure == ECE for one in self.promises):
            raise UsageError(
                "the ECE needs probabilities, and raw scores are none",
                "--promise of a rate at the cut-off, such as 'precision>=0.9'",
            )

    def write(self) -> None:
        """Keep what is known, where this night has added to it."""
        if not self.counted:
            return
        kept = EvidenceFile(
            bins=self.bins,
            promises=tuple(
                Kept(
                    promise=str(one),
                    logs=self.past[one].logs,
                    highest=self.past[one].highest,
                    sides=self.past[one].sides,
                )
                for one in self.promises
            ),
            nights=self.known,
        )
        write_artifact(self.path, "evidence", {"calibcli": __version__, **plain(kept)})


def promised(
    texts: Sequence[str], conventions: Conventions, applied: Applied | None
) -> tuple[Promise, ...]:
    """Return the promises: those given, or the tolerance and what the thresholds are bound to.

    Raises:
        UsageError: a promise that is none; bins that are others every night.
    """
    if conventions.headline.kind == "mass":
        raise UsageError(
            "--evidence counts in bins that are the same every night", "leave out --binning mass"
        )
    if not texts:
        bounds = () if applied is None else applied.chosen.payload["constraints"]
        rates = [one for one in bounds if one.partition("=")[0].rstrip("<>") in RATES]
        texts = [f"{ECE}<={conventions.tolerance:g}", *rates]
    found = tuple(Promise.parse(text) for text in texts)
    figures = [one.figure for one in found]
    if len(set(figures)) < len(figures):
        raise UsageError("two promises are about one figure", "keep the sharper one")
    return found


def _after(
    promise: Promise,
    past: Evidence,
    population: Population,
    conventions: Conventions,
    table: Confusion | None,
) -> Evidence:
    if promise.figure == ECE:
        stats = population.pairs
        home = reliability(stats, conventions.headline).index
        gains, off = ece_gains(stats, home, past, promise.bound)
        return past.after(gains, off.tolist())
    if table is None:
        raise UsageError(
            f"{promise} is of one cut-off of a score, and there is none here",
            "--thresholds FILE, or one --threshold T, of binary scores",
        )
    return past.after(rate_gains(*counts_of(table, promise), promise))


def _table(found: Rows, result: Result, applied: Applied | None) -> Confusion | None:
    """Return the counts at the one cut-off on the side in use; None where there is none."""
    if not found.single:
        return None
    part = typed_as(result["overall"], SliceResult)
    after = part.calibrated is not None
    if applied is None:
        tables = part.last.confusion or ()
        return tables[0] if len(tables) == 1 else None
    for side in (after, False):
        at = applied.chosen_cutoff(OVERALL, side)
        tables = (part.last if side else part).confusion or ()
        chosen = [one for one in tables if at is not None and one.threshold == at]
        if chosen:
            return chosen[0]
    return None


def _refuse(found: Rows) -> None:
    """Refuse rows of which a bet cannot be made one by one.

    Raises:
        UsageError: clusters, weights, no labels.
    """
    refuse("--evidence", kind_of(found.task, found.medium))
    if not found.labelled:
        raise UsageError("--evidence needs labels, and these rows have none", "--label COL")
    if found.clustered:
        raise UsageError(
            "--evidence is of independent rows, and these come in clusters",
            "give one row of each cluster",
        )
    if found.overall.population.pairs.weighted:
        raise UsageError("--evidence is of rows that count once", "leave out --weight")
