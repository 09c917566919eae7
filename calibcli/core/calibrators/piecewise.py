"""A map of one score as pieces over the raw score: what is exported as SQL and as Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Constant:
    """The value itself."""

    value: float


@dataclass(frozen=True, slots=True)
class Linear:
    """base + slope * (p - origin) of the probability p."""

    base: float
    slope: float
    origin: float


@dataclass(frozen=True, slots=True)
class Logistic:
    """expit(base + slope * (z - origin)) of the logit z."""

    base: float
    slope: float
    origin: float


@dataclass(frozen=True, slots=True)
class BetaCurve:
    """expit(a log p - b log(1 - p) + c); `upper` on logits of 0 and above."""

    a: float
    b: float
    c: float
    upper: bool


Piece = Constant | Linear | Logistic | BetaCurve


@dataclass(frozen=True, slots=True)
class Pieces:
    """A map of the raw score.

    Attributes:
        logits: whether the score is a logit; else a probability.
        starts: the first score of each piece but the first, increasing.
        pieces: one more than `starts`.
        odds: what the odds of each `Linear` piece are still to be multiplied by.
    """

    logits: bool
    starts: tuple[float, ...]
    pieces: tuple[Piece, ...]
    odds: float = 1.0

    def shifted(self, odds: float) -> Pieces:
        """Return the same map with its odds multiplied: another prevalence."""

        def one(piece: Piece) -> Piece:
            if isinstance(piece, Constant):
                return Constant(odds * piece.value / (1.0 + (odds - 1.0) * piece.value))
            if isinstance(piece, Logistic):
                return replace(piece, base=piece.base + math.log(odds))
            if isinstance(piece, BetaCurve):
                return replace(piece, c=piece.c + math.log(odds))
            return piece

        return Pieces(self.logits, self.starts, tuple(map(one, self.pieces)), self.odds * odds)
