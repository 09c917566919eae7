"""`--versus` of raw scores: which of two models ranks the rows better, and what cut-offs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from calibcli.core.comparison.at_cuts import AT_CUTS, name_at, paired_at
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.tasks.rows.versus_cuts import decided_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.metrics.intervals import Found
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.comparisons import Difference
    from calibcli.tasks.collect import Layout, Population
    from calibcli.tasks.rows.versus import Side
    from calibcli.workflows.input.conventions import Conventions

RANKING: Final = ("auc", "average_precision")
"""What the order of scores tells whatever their unit is."""
_WORDS = {"auc": "AUC", "average_precision": "average precision"}


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
    view = View(population.pairs, conventions.headline)
    return intervals.measure(
        view, confidence=conventions.confidence, seed=conventions.seed, names=RANKING
    )


def ranking_verdict(metrics: Mapping[str, Difference], name: str) -> str:
    """Return which model ranks the rows better."""
    who = {True: f"the second model ({name})", False: "the first model"}
    sure = {
        figure: one.low > 0.0
        for figure, one in metrics.items()
        if figure in RANKING
        and one.low is not None
        and one.high is not None
        and not one.low <= 0.0 <= one.high
    }
    if not sure:
        if all(metrics[figure].low is None for figure in RANKING):
            return "without intervals nobody can say which ranks the rows better"
        return "these rows do not tell which ranks them better"
    if len(set(sure.values())) > 1:
        told = ", ".join(f"{_WORDS[one]} prefers {who[side]}" for one, side in sure.items())
        return f"the ranking figures disagree: {told}"
    by = " and ".join(_WORDS[one] for one in sure)
    rest = [_WORDS[one] for one in RANKING if one not in sure]
    more = f"; the {rest[0]} does not tell them apart" if rest else ""
    return f"{who[next(iter(sure.values()))]} ranks the rows better, by {by}{more}"
