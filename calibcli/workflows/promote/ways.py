"""Policies of a replay, what they have in place, and what each has cost so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators import Identity
from calibcli.core.fitting.held_out import HeldOut
from calibcli.core.fitting.online import OnlinePlatt
from calibcli.core.results.figures import Figure
from calibcli.core.results.parts.replay import Night, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.fitting.held_out import Losses
    from calibcli.core.results.parts.replay import PolicyName
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(slots=True, eq=False)
class Way:
    """A policy and the calibrator that it has in place.

    Attributes:
        place: among the losses; that of `never`, which the others are held against, is 0.
        calibrator: in place.
        known: what an artifact of it would carry of the rows it was fitted on.
        parts: how often there was something between the old and the new calibrator, and `wholes`
            how often there was nothing.
        worst: the period of the largest loss so far.
        line: of `online`.
    """

    place: int
    name: PolicyName
    step: float | None = None
    calibrator: Calibrator = field(default_factory=Identity)
    known: dict[str, Any] | None = None
    replaced: int = 0
    parts: int = 0
    wholes: int = 0
    worst: Night | None = None
    line: OnlinePlatt = field(default_factory=OnlinePlatt)

    @property
    def acts(self) -> bool:
        """Whether it is not `always` under another name."""
        return self.name != "step" or self.parts > 0 or self.wholes == 0


class Ledger:
    """What policies have cost: by row, and less the first of them, paired."""

    def __init__(self, ways: Sequence[Way], confidence: float) -> None:
        self.ways, self.confidence = ways, confidence
        self.apart, self.alone = HeldOut(len(ways)), HeldOut(1 + len(ways))

    def judge(self, stats: ScoreStats, value: str, losses: Sequence[Losses]) -> list[float | None]:
        """Add the rows of a period; return the mean loss of each policy in it.

        Args:
            stats: the rows.
            value: the name of the period.
            losses: of each policy in each cell.
        """
        nothing = np.zeros(len(losses[0][0]))
        tonight = self.alone.fresh()
        tonight.add_cells(stats, [(nothing, nothing), *losses])
        self.alone.merge(tonight)
        self.apart.add_cells(stats, losses)
        means = [float(loss) for loss in tonight.differences[1:]]
        for one, loss in zip(self.ways, means, strict=True):
            if one.worst is None or loss > one.worst.loss:
                one.worst = Night(value, loss)
        return list(means)

    def outcome(self, one: Way) -> Policy:
        """Return what a policy has cost."""
        confidence = self.confidence
        together = 1.0 - (1.0 - confidence) / (len(self.ways) - 1)
        loss = self.alone.interval(1 + one.place, confidence)
        apart = self.apart.interval(one.place, together) if one.place else (0.0, 0.0)
        assert one.worst is not None
        return Policy(
            name=one.name,
            step=one.step,
            replaced=one.replaced,
            loss=Figure(float(self.alone.differences[1 + one.place]), *loss),
            difference=Figure(float(self.apart.differences[one.place]), *apart),
            worst=one.worst,
        )
