"""Cut-offs by group in promotions: checked group by group, and not lost where a dump lacks one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.results.base import Record, plain
from calibcli.core.results.reading import typed_as
from calibcli.core.results.threshold import CutOff
from calibcli.workflows.promote.groups.maps import kept_group
from calibcli.workflows.promote.groups.shift import group_checks
from calibcli.workflows.threshold.outcome import group_stats

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.promotion import GroupKept
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds
    from calibcli.workflows.threshold.threshold import Cuts


class _Shown(Record, frozen=True):
    """The cut-offs of an artifact, or of a result, as they are shown."""

    thresholds: tuple[CutOff, ...]


@dataclass(frozen=True, slots=True)
class CutsOfGroups:
    """What becomes of the cut-offs by group that are in use.

    Attributes:
        column: of the groups that have one; None where there are none.
        kept: the groups whose cut-off stays as it is, and why.
        lost: groups that the dump lacks, and whose cut-off is of another calibrator.
        old: the cut-offs of groups that are in use.
    """

    column: str | None
    kept: tuple[GroupKept, ...]
    lost: tuple[str, ...]
    old: tuple[CutOff, ...]

    @property
    def reason(self) -> str:
        """Why nothing is replaced where some are lost."""
        values = ", ".join(self.lost)
        return f"{values}: not in this dump, and with a cut-off after another calibrator"

    def carried(self, cuts: Cuts) -> Cuts:
        """Return cut-offs in which those groups have what they have in use."""
        values = {str(one.slice.value) for one in self.kept}
        if not values:
            return cuts
        old = [one for one in self.old if _of(one, values)]
        told = typed_as(cuts.result, _Shown).thresholds
        shown = [*(one for one in told if not _of(one, values)), *old]
        items = [*(one for one in cuts.cuts if not _of(one, values)), *_keyed(old, cuts.scale)]
        return replace(cuts, cuts=items, result=cuts.result | {"thresholds": plain(shown)})


def _keyed(old: list[CutOff], scale: RawScale | None) -> list[CutOff]:
    """Return cut-offs of raw scores as they decide; others as they are."""
    if scale is None:
        return old
    return [
        one
        if one.threshold is None
        else structs.replace(
            one,
            threshold=scale.probability(one.threshold),
            logit=float(scale.keyed(one.threshold)),
        )
        for one in old
    ]


def _of(one: CutOff, values: Collection[str]) -> bool:
    return one.slice.kind == "group" and str(one.slice.value) in values


def cuts_of_groups(
    champion: LoadedThresholds | None,
    column: str | None,
    cuts: Cuts,
    least: int,
    *,
    same_map: Callable[[str], bool],
) -> CutsOfGroups:
    """Return what becomes of the cut-offs of groups that are in use.

    A group that the dump lacks keeps its cut-off, and so does one with fewer than `least` rows of a
    label, as long as what comes before it is the same.

    Args:
        champion: the cut-offs in use.
        column: by which the new ones differ.
        cuts: the new ones.
        least: rows of each label.
        same_map: whether a value's probabilities are what they were when its cut-off was chosen.
    """
    nothing = CutsOfGroups(column, (), (), ())
    if champion is None or column is None or champion.group != column:
        return nothing
    stored = typed_as(champion.payload, _Shown).thresholds
    old = tuple(one for one in stored if one.slice.kind == "group")
    fresh: dict[str, float] = {}
    for one in cuts.cuts:
        if one.slice.kind == "group":
            value = str(one.slice.value)
            fresh[value] = min(fresh.get(value, float("inf")), _rarest(one))
    kept, lost = [], []
    known = {str(one.slice.value) for one in old if one.threshold is not None}
    for value in sorted(known):
        if value not in fresh and not same_map(value):
            lost.append(f"{column}={value}")
        elif value not in fresh:
            kept.append(kept_group(column, value, "missing"))
        elif fresh[value] < least and same_map(value):
            kept.append(kept_group(column, value, "few"))
    return CutsOfGroups(column, tuple(kept), tuple(lost), old)


def _rarest(one: CutOff) -> float:
    """Return the rows of the rarer label; of one class of several those of the class."""
    table = one.confusion
    if table is None:
        return 0.0
    ones = float(table.tp + table.fn)
    return ones if table.tn is None else min(ones, float(table.fp + table.tn))


def checks_of_cuts(
    found: Gathered, column: str | None, champion: LoadedThresholds | None, rule: Rule
) -> list[Check]:
    """Hold each group against the rows that its cut-off was chosen on; see `group_checks`."""
    if column is None or champion is None:
        return []
    return group_checks(found, column, champion.stored.group_stats or {}, rule)


def stats_by_group(
    found: Gathered, kept: CutsOfGroups, champion: LoadedThresholds | None
) -> dict[str, Any]:
    """Return what cut-offs carry of each group's rows; of kept ones, what they carried."""
    stats = group_stats(found, kept.column)
    before = {} if champion is None else champion.stored.group_stats or {}
    held = {str(one.slice.value) for one in kept.kept}
    stats |= {value: one for value, one in before.items() if value in held}
    return dict(sorted(stats.items()))
