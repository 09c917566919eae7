"""`measure --evidence`: what all nights tell against the promises, this one with them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.core.comparison.evidence import ECE, RATES, Evidence, Family, Promise
from calibcli.core.results.base import plain
from calibcli.core.results.figures import Where
from calibcli.core.results.parts.evidence import (
    Broken,
    EvidenceFile,
    Gathered,
    GatheredGroup,
    Kept,
    KeptGroup,
)
from calibcli.core.results.reading import typed
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import read_as, write_artifact
from calibcli.io.failures import show
from calibcli.io.output.lock import FileLock
from calibcli.tasks.families import digest_of
from calibcli.workflows.measure.nightly import Night, refuse_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered as Rows
    from calibcli.workflows.measure.decided.applied import Applied, Decisions

Result = dict[str, Any]
Place = tuple[str, str]
_WAIT = 600.0


@contextmanager
def held_year(path: str, promises: tuple[Promise, ...], conventions: Conventions) -> Iterator[Year]:
    """Hold the evidence in a file from its reading to its writing: two nights take turns.

    Raises:
        InputError: the file is no evidence, or is of other promises.
    """
    binning = conventions.headline
    with FileLock(path, _WAIT):
        year = Year(path, promises, binning.describe(), len(binning.edges) - 1)
        year.read()
        yield year


@dataclass(slots=True)
class OfGroup:
    """The evidence on a group, which came with the first ones (`late` 0), or as the n-th later."""

    late: int
    past: dict[Promise, Evidence]


@dataclass(slots=True)
class Year:
    """The evidence in a file.

    Attributes:
        path: of the file.
        promises: what every night is to keep.
        bins: those of the ECE, in words; `size` how many.
        known: digests of the nights that have counted; `past` the evidence against each promise,
            `groups` that on each column and value.
    """

    path: str
    promises: tuple[Promise, ...]
    bins: str
    size: int
    known: tuple[str, ...] = ()
    past: dict[Promise, Evidence] = field(default_factory=dict)
    groups: dict[Place, OfGroup] = field(default_factory=dict)
    counted: bool = False

    def read(self) -> None:
        """Read the evidence so far, if there is any.

        Raises:
            InputError: the file is no evidence, or is of other promises.
        """
        self.past = self._nothing()
        if not Path(self.path).exists():
            return
        _, kept = read_as(self.path, "evidence", EvidenceFile)
        own, there = [str(one) for one in self.promises], [one.promise for one in kept.promises]
        if own != there or self.bins != kept.bins:
            raise InputError(
                f"{show(self.path)} is evidence on {', '.join(there)} in {kept.bins}, "
                f"not on {', '.join(own)} in {self.bins}",
                "ask for the same every night, or begin another file",
            )
        self.known = kept.nights
        self.past = self._restored(kept.promises, len(self.known))
        for one in kept.groups:
            past = self._restored(one.promises, one.nights)
            self.groups[one.column, one.value] = OfGroup(one.late, past)
        late = sorted(one.late for one in kept.groups if one.late)
        first = len(kept.groups) - len(late)
        numbered = late == list(range(1, len(late) + 1)) and (first > 0 or not late)
        once = (len(set(self.known)), len(self.groups)) == (len(self.known), len(kept.groups))
        if not (numbered and once):
            raise self._not_whole()

    def _nothing(self) -> dict[Promise, Evidence]:
        return {one: Evidence.none(one, self.size) for one in self.promises}

    def _restored(self, kept: Sequence[Kept], nights: int) -> dict[Promise, Evidence]:
        found = self._nothing()
        if [one.promise for one in kept] != [str(one) for one in self.promises]:
            raise self._not_whole()
        for promise, one in zip(self.promises, kept, strict=True):
            size = found[promise]
            fits = (len(one.logs), len(one.sides)) == (len(size.logs), len(size.sides))
            sided = len(one.largest) in (0, 3 if promise.figure == ECE else 1)
            counted = 0 < nights <= len(self.known) and one.highest >= 0.0
            if not (fits and sided and counted):
                raise self._not_whole()
            found[promise] = Evidence(one.logs, nights, one.highest, one.sides, one.largest)
        return found

    def _not_whole(self) -> InputError:
        return InputError(f"{show(self.path)} is not whole", "begin another file")

    def count(
        self,
        found: Rows,
        conventions: Conventions,
        result: Result,
        applied: Applied | None,
        decided: Decisions | None = None,
    ) -> Result:
        """Count the rows of a night, unless they have counted before, and return what is known.

        Args:
            found: the rows; after the calibrator where there is one.
            conventions: the bins.
            result: of `measure`, whose confusion tables have the counts of rates.
            applied: the thresholds, whose cut-off is meant.
            decided: what they decide.

        Raises:
            UsageError: rows of which no bet can be made; rates without a cut-off.
            InputError: units that cannot be told apart at the cut-off.
        """
        night = Night(found, conventions, applied, decided)
        refuse_rows(night)
        whole = found.overall
        if found.raw_scale is not None and whole.calibrated is None:
            self._refuse_ece()
        digest = digest_of(whole.population)
        if digest not in self.known:
            self._add(night, result)
            self.known, self.counted = (*self.known, digest), True
        return dict(plain(self._told()))

    def _add(self, night: Night, result: Result) -> None:
        """Count a night, and the groups that it has."""
        found = night.found
        whole = typed(result)
        begun = bool(self.groups)
        late = max((one.late for one in self.groups.values()), default=0)
        for one, part in zip(
            (found.overall, *found.groups), (whole.overall, *whole.groups), strict=True
        ):
            past = self.past
            if one is not found.overall:
                place = one.column, one.value
                if place not in self.groups:
                    late += begun
                    self.groups[place] = OfGroup(late, self._nothing())
                past = self.groups[place].past
            for promise in self.promises:
                past[promise] = night.after(promise, past[promise], one, part)

    def _told(self) -> Gathered:
        family = Family(sum(one.late == 0 for one in self.groups.values()))
        return Gathered(
            path=self.path,
            nights=len(self.known),
            counted=self.counted,
            promises=tuple(_broken(one, self.past[one], self.past[one].p) for one in self.promises),
            groups=tuple(
                GatheredGroup(
                    slice=Where("group", column=column, value=value),
                    nights=group.past[self.promises[0]].nights,
                    promises=tuple(
                        _broken(one, group.past[one], family.p(group.past[one].p, group.late))
                        for one in self.promises
                    ),
                )
                for (column, value), group in self.groups.items()
            )
            or None,
        )

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
            promises=self._kept(self.past),
            nights=self.known,
            groups=tuple(
                KeptGroup(
                    column=column,
                    value=value,
                    late=group.late,
                    nights=group.past[self.promises[0]].nights,
                    promises=self._kept(group.past),
                )
                for (column, value), group in self.groups.items()
            ),
        )
        write_artifact(self.path, "evidence", {"calibcli": __version__, **plain(kept)})

    def _kept(self, past: dict[Promise, Evidence]) -> tuple[Kept, ...]:
        return tuple(
            Kept(
                promise=str(one),
                logs=it.logs,
                highest=it.highest,
                sides=it.sides,
                largest=it.largest,
            )
            for one, it in past.items()
        )


def _broken(promise: Promise, past: Evidence, p: float) -> Broken:
    value = float(np.exp(min(past.log_e, 700.0)))
    return Broken(promise=str(promise), figure=promise.figure, value=value, p=p)


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
        bounds = () if applied is None else applied.chosen.stored.constraints
        rates = [one for one in bounds if one.partition("=")[0].rstrip("<>") in RATES]
        texts = [f"{ECE}<={conventions.tolerance:g}", *rates]
    found = tuple(Promise.parse(text) for text in texts)
    figures = [one.figure for one in found]
    if len(set(figures)) < len(figures):
        raise UsageError("two promises are about one figure", "keep the sharper one")
    return found
