"""Which of two models is better, in words: by figures whose intervals do not hold 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.comparisons import Difference


@dataclass(frozen=True, slots=True)
class _Contest:
    """What decides, and how that is said.

    Attributes:
        words: of each figure that decides.
        asked: of them those without whose intervals nothing can be said.
        sign: 1.0 where large figures are better, else -1.0.
        figures: what they are called together.
        better: what the better model does; `untold` what nobody can say otherwise.
    """

    words: Mapping[str, str]
    asked: tuple[str, ...]
    sign: float
    figures: str
    better: str
    untold: str

    def verdict(self, metrics: Mapping[str, Difference], name: str) -> str:
        """Return which of two models is better; `name` is that of the second."""
        who = {1: f"the second model ({name})", -1: "the first model"}
        sides = {figure: self._side(metrics[figure]) for figure in self.words}
        sure = {figure: side for figure, side in sides.items() if side}
        if not sure:
            if all(metrics[one].low is None for one in self.asked):
                return f"without intervals nobody can say which {self.better}"
            return f"these rows do not tell which {self.untold}"
        if len(set(sure.values())) > 1:
            told = ", ".join(f"{self.words[one]} prefers {who[side]}" for one, side in sure.items())
            return f"the {self.figures} disagree: {told}"
        by = " and ".join(self.words[one] for one in sure)
        rest = [word for one, word in self.words.items() if one not in sure]
        more = f"; the {rest[0]} does not tell them apart" if rest else ""
        return f"{who[next(iter(sure.values()))]} {self.better}, by {by}{more}"

    def _side(self, item: Difference) -> int:
        """Return 1 where the second is surely better, -1 where the first is, else 0."""
        if item.low is None or item.high is None or item.low <= 0.0 <= item.high:
            return 0
        return 1 if self.sign * item.low > 0.0 else -1


_PROBABILITIES: Final = _Contest(
    {"nll": "log loss", "brier": "Brier score"},
    ("nll",),
    -1.0,
    "proper scores",
    "has the better probabilities",
    "has the better probabilities",
)
_ORDER: Final = _Contest(
    {"auc": "AUC", "average_precision": "average precision"},
    ("auc", "average_precision"),
    1.0,
    "ranking figures",
    "ranks the rows better",
    "ranks them better",
)
RANKING: Final = _ORDER.asked
"""What the order of scores tells whatever their unit is."""
verdict = _PROBABILITIES.verdict
ranking_verdict = _ORDER.verdict
