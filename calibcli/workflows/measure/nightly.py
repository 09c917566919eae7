"""What a slice of one night tells against a promise: by its rows, or by the units they are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.comparison.evidence import ECE, RATES, ece_gains, rate_gains
from calibcli.core.comparison.evidence_by_unit import (
    Cut,
    after_unit_pairs,
    after_units,
    decided_units,
)
from calibcli.core.results.figures import Where
from calibcli.core.statistics.curves import reliability
from calibcli.errors import UsageError
from calibcli.workflows.measure.decided.applied import DecidedRows

if TYPE_CHECKING:
    from calibcli.core.comparison.evidence import Evidence, Promise
    from calibcli.core.decisions.counts import Cells
    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.measure import SliceResult
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.measure.decided.applied import Applied, Decisions


@dataclass(frozen=True, slots=True)
class Night:
    """The rows of a night, and how they are binned and cut.

    Attributes:
        found: the rows; after the calibrator where there is one.
        conventions: the bins.
        applied: the thresholds, whose cut-off is meant.
        decided: what they decide.
    """

    found: Gathered
    conventions: Conventions
    applied: Applied | None
    decided: Decisions | None = None

    def after(self, promise: Promise, past: Evidence, one: Slice, part: SliceResult) -> Evidence:
        """Return the evidence against a promise with what a slice tells.

        Args:
            promise: what every night is to keep.
            past: the evidence before this night.
            one: the slice.
            part: its result, which has the confusion tables.

        Raises:
            UsageError: rates without one cut-off.
            InputError: units that cannot be told apart at the cut-off.
        """
        by_unit = self.found.clustered or self.found.labels  # a row of several labels is a unit
        if promise.figure == ECE:
            stats = one.used.pairs
            home = reliability(stats, self.conventions.headline).index
            if by_unit:
                return after_unit_pairs(past, stats, home, promise.bound)
            gains, off = ece_gains(stats, home, past, promise.bound)
            return past.after(gains, off.tolist())
        masks = self._masks(one)
        if masks is not None:
            return after_units(past, decided_units(masks, promise), promise)
        cuts = self._cuts(promise, one, part)
        if by_unit:
            units = np.sum([cut.by_unit(promise) for cut in cuts], axis=0)
            return after_units(past, units, promise)
        kept, broken = np.sum([cut.decisions(promise) for cut in cuts], axis=0).tolist()
        return past.after(rate_gains(kept, broken, promise))

    def _masks(self, one: Slice) -> Cells | None:
        """Return the pixels of masks that are cleaned, by image; None where cut-offs alone decide.

        Each structure is decided by itself; of several structures all of them are counted.
        """
        decided, images = self.decided, self.found.medium == "images"
        if not isinstance(decided, DecidedRows) or not images or self.found.exclusive:
            return None
        if not _cleans(self.applied):
            return None
        if one is self.found.overall:
            return decided.counted.counts.cells()
        counts, values = decided.counted.groups[one.column]
        return counts.cells(list(values).index(one.value))

    def _cuts(self, promise: Promise, one: Slice, part: SliceResult) -> list[Cut]:
        """Return the scores of a slice that are cut, where they are cut."""
        boxes = self.found.medium == "boxes"
        if boxes and "tn" in str(RATES[promise.figure]):
            raise UsageError(
                f"{promise} needs true negatives, and a detector has none",
                "precision>=, recall>= or fnr<=",
            )
        each = boxes or (self.found.labels and self.found.medium == "rows")
        cuts = self._classes(one) if each else self._score(one, part)
        if not cuts:
            raise UsageError(
                f"{promise} is of one cut-off of a score, and there is none here",
                "--thresholds FILE, or one --threshold T, of binary scores, of labels or boxes",
            )
        return cuts

    def _score(self, one: Slice, part: SliceResult) -> list[Cut]:
        """Return the one score of rows, as the confusion table has cut it."""
        if not self.found.single:
            return []
        for side in (one.calibrated is not None, False):
            table = self._table(one, part, after=side)
            if table is not None:
                stats = one.used.pairs if side else one.population.pairs
                return [Cut(stats, len(stats.pos) - _cells(stats, table.tp + table.fp))]
        return self._groups() if one is self.found.overall else []

    def _groups(self) -> list[Cut]:
        """Return the score of each group at the cut-off of that group, where they have their own.

        Raises:
            UsageError: the groups are not asked for.
        """
        applied = self.applied
        column = None if applied is None else applied.chosen.group
        if applied is None or column is None or self.found.raw_scale is not None:
            return []
        own = [one for one in self.found.groups if one.column == column]
        if not own:
            raise UsageError(
                f"{applied.path} has a cut-off for each {column}, and the rows of each are to be "
                "counted",
                f"--group {column}",
            )
        cuts = []
        for one in own:
            stats = (one.used if applied.after else one.population).pairs
            at = applied.chosen_cutoff(one.where, applied.after)
            assert at is not None
            cuts.append(Cut(stats, int(np.searchsorted(stats.floor, at))))
        return cuts

    def _table(self, one: Slice, part: SliceResult, *, after: bool) -> Confusion | None:
        """Return the confusion table at the one cut-off on a side; None where there is none."""
        tables = (part.last if after else part).confusion or ()
        if self.applied is None:
            return tables[0] if len(tables) == 1 else None
        at = self.applied.chosen_cutoff(one.where, after)
        return next((one for one in tables if at is not None and one.threshold == at), None)

    def _classes(self, one: Slice) -> list[Cut]:
        """Return the scores of each class at its cut-off; of boxes with the objects not found."""
        after = one.calibrated is not None
        if self.applied is not None:
            after = after and self.applied.after
        population = one.used if after else one.population
        found = []
        for k, name in enumerate(self.found.classes):
            at = self._cutoff(name, one, after=after)
            if at is not None:
                found.append(_cut(population, k, at))
        return found

    def _cutoff(self, name: str, one: Slice, *, after: bool) -> float | None:
        if self.applied is None:
            cuts = self.conventions.thresholds
            return cuts[0] if len(cuts) == 1 else None
        for where in (Where("class", name=name), one.where):
            at = self.applied.chosen_cutoff(where, after)
            if at is not None:
                return None if at != at else at
        return None


def refuse_rows(night: Night) -> None:
    """Refuse rows of which no bet can be made.

    Raises:
        UsageError: weights, no labels, masks of structures that exclude each other and are cleaned.
    """
    found, applied = night.found, night.applied
    if not found.labelled:
        raise UsageError("--evidence needs labels, and these rows have none", "--label COL")
    if found.overall.population.pairs.weighted:
        raise UsageError("--evidence is of rows that count once", "leave out --weight")
    if found.medium == "images" and found.exclusive and _cleans(applied):
        raise UsageError(
            "--evidence counts pixels at a cut-off, and these thresholds clean masks of which one "
            "is decided a pixel",
            "leave out --thresholds: --promise 'ece<=0.05'",
        )


def _cleans(applied: Applied | None) -> bool:
    rule: Any = None if applied is None else applied.chosen.image_rule
    return bool(getattr(rule, "cleans", False))


def _cells(stats: ScoreStats, above: float) -> int:
    """Return how many of the highest cells hold so many rows."""
    counts = np.cumsum((stats.pos + stats.neg)[::-1])
    return int(np.searchsorted(counts, above, side="right")) if above else 0


def _cut(population: Population, k: int, at: float) -> Cut:
    extra = population.extra
    stats = population.classes[k]
    if extra is not None:
        own = extra.of_label(k)
        stats, at = own.counted(stats), max(at, own.lowest)
    return Cut(stats, int(np.searchsorted(stats.floor, at)))
