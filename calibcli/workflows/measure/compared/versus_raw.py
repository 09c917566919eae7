"""`--versus` of raw scores: which of two models ranks the rows better, and what cut-offs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibcli.core.comparison.at_cuts import AT_CUTS, name_at, paired_at
from calibcli.core.metrics.binary import View
from calibcli.tasks.rows.versus_cuts import decided_at
from calibcli.workflows.measure.compared.verdicts import RANKING
from calibcli.workflows.measure.slices import found_of

if TYPE_CHECKING:
    from calibcli.core.metrics.intervals import Found
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.comparisons import Difference
    from calibcli.tasks.collect import Layout, Population
    from calibcli.tasks.rows.versus import Side
    from calibcli.workflows.input.conventions import Conventions


@dataclass(frozen=True, slots=True)
class Ranked:
    """How two models' raw scores are read: each on a scale of its own, cut in its own unit."""

    first: RawScale
    second: RawScale

    def cut(
        self, parts: list[Side], layout: Layout, conventions: Conventions, threads: int | None
    ) -> dict[str, Difference]:
        """Return the figures at each cut-off, paired; {} without cut-offs."""
        raw = conventions.raw_cuts
        if not raw:
            return {}
        cuts = [(float(self.first.keyed(at)), float(self.second.keyed(at))) for at in raw]
        return {
            name_at(name, at): paired_at(duel, figure, conventions.confidence)
            for at, duel in zip(raw, decided_at(parts, cuts, layout, threads), strict=True)
            for name, figure in AT_CUTS.items()
        }


def ranking_of(population: Population, conventions: Conventions) -> dict[str, Found]:
    """Return the ranking figures of one model."""
    return found_of(View(population.pairs, conventions.headline), conventions, RANKING)
