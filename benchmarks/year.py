"""A year of nights: `python -m benchmarks.year [years]` prints how often each rule rings, and when.

Simulated years of 365 nights, of 1,000 rows and 200 alerts each: while every night keeps its
promise each alarm is a false one; after a fault from night 100 on, the delay is counted in nights.
Beside the evidence of `measure --evidence` stand the test of a single night, alone and at a level
of 5 % / 365, and Page and Hinkley's test of the nightly figure, whose limit is set so that it rings
falsely in one of 20 years of the first world. Prints Markdown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.comparison.evidence import Evidence, Promise, ece_gains, rate_gains
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.inversion import exceeds_p
from calibcli.core.numeric.special import betainc
from calibcli.core.statistics.curves import Binning, reliability
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NIGHTS, FROM, ROWS, ALERTS, LEVEL = 365, 100, 1000, 200, 0.05
BINNING = Binning("width", 15, "right")
SCORE = (np.arange(45) + 0.5) / 45
SCORE = SCORE[(SCORE > 0.2) & (SCORE < 0.8)]
SIDE = np.where(np.minimum(SCORE * 15, 14).astype(int) < 7, 1.0, -1.0)
RULES = ("evidence", "each night at 5 %", "each night at 5 %/365", "Page-Hinkley")
ALLOWED = 0.005
"""What Page and Hinkley's test lets pass: the least change that matters."""


@dataclass(frozen=True, slots=True)
class Night:
    """What the rules look at: a p-value of the night alone, its figure, and its gains."""

    p: float
    figure: float
    after: Any


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise, and worlds by what they do on each night."""

    promise: Promise
    kept: dict[str, float]
    broken: dict[str, Callable[[int], float]]
    night: Callable[[np.random.Generator, float, Promise], Night]


def calibration(rng: np.random.Generator, gap: float, promise: Promise) -> Night:
    """A night whose ECE is `gap`: scores below a half are too low, those above too high."""
    total = rng.multinomial(ROWS, np.full(len(SCORE), 1 / len(SCORE)))
    pos = rng.binomial(total, SCORE + gap * SIDE)
    stats = ScoreStats.from_arrays(
        np.repeat(SCORE, 2),
        np.tile([1, 0], len(SCORE)),
        np.column_stack([pos, total - pos]).ravel(),
    )
    view = View(stats, BINNING)
    ece = ece_sum(view)
    p = exceeds_p(ece.gaps, ece, promise.bound)
    bins = view.bins
    figure = float((bins.weight * np.abs(bins.gap)).sum())
    home = reliability(stats, BINNING).index

    def after(past: Evidence) -> Evidence:
        gains, off = ece_gains(stats, home, past, promise.bound)
        return past.after(gains, off.tolist())

    return Night(p, figure, after)


def precision(rng: np.random.Generator, rate: float, promise: Promise) -> Night:
    """A night of alerts, of which a rate is right; its p-value is that of the binomial test."""
    kept = int(rng.binomial(ALERTS, rate))
    least = promise.bound
    p = 1.0 if kept == ALERTS else float(betainc(ALERTS - kept, kept + 1, 1.0 - least))

    def after(past: Evidence) -> Evidence:
        return past.after(rate_gains(kept, ALERTS - kept, promise))

    return Night(p, 1.0 - kept / ALERTS, after)


CLAIMS = (
    Claim(
        Promise.parse("ece<=0.05"),
        {"honest scores": 0.0, "an ECE of 0.05": 0.05},
        {
            "an ECE of 0.08": lambda _: 0.08,
            "an ECE of 0.15": lambda _: 0.15,
            "0.001 more each night": lambda night: min(0.001 * night, 0.2),
        },
        calibration,
    ),
    Claim(
        Promise.parse("precision>=0.9"),
        {"a precision of 0.95": 0.95, "a precision of 0.9": 0.9},
        {
            "a precision of 0.87": lambda _: 0.87,
            "a precision of 0.8": lambda _: 0.8,
            "0.001 less each night": lambda night: max(0.95 - 0.001 * night, 0.7),
        },
        precision,
    ),
)


def first_alarms(nights: Iterator[Night], claim: Claim, limit: float) -> dict[str, float]:
    """Return the night of the first alarm of each rule, infinite where it never rings."""
    found = dict.fromkeys(RULES, np.inf)
    past = Evidence.none(claim.promise, BINNING.bins)
    mean = rise = lowest = 0.0
    for number, night in enumerate(nights, start=1):
        past = night.after(past)
        mean += (night.figure - mean) / number
        rise += night.figure - mean - ALLOWED
        lowest = min(lowest, rise)
        rings = (past.p < LEVEL, night.p < LEVEL, night.p < LEVEL / NIGHTS, rise - lowest > limit)
        for rule, ring in zip(RULES, rings, strict=True):
            if ring:
                found[rule] = min(found[rule], number)
    return found


def rises(nights: Iterator[Night]) -> float:
    """Return the largest value of Page and Hinkley's statistic in a year."""
    mean = rise = lowest = largest = 0.0
    for number, night in enumerate(nights, start=1):
        mean += (night.figure - mean) / number
        rise += night.figure - mean - ALLOWED
        lowest = min(lowest, rise)
        largest = max(largest, rise - lowest)
    return largest


def limit_of(claim: Claim, years: int, seed: int = 99) -> float:
    """Return the limit that one of 20 years of the first world is above."""
    value = next(iter(claim.kept.values()))
    rng = np.random.default_rng(seed)
    found = [
        rises(claim.night(rng, value, claim.promise) for _ in range(NIGHTS)) for _ in range(years)
    ]
    return float(np.quantile(found, 0.95))


def false_alarms(claim: Claim, value: float, years: int, limit: float, seed: int = 1) -> Floats:
    """Return the share of years with an alarm of each rule, while every night keeps the promise."""
    rng = np.random.default_rng(seed)
    rings = np.zeros(len(RULES))
    for _ in range(years):
        nights = (claim.night(rng, value, claim.promise) for _ in range(NIGHTS))
        found = first_alarms(nights, claim, limit)
        rings += [np.isfinite(found[rule]) for rule in RULES]
    return rings / years


def delays(
    claim: Claim, fault: Callable[[int], float], years: int, limit: float, seed: int = 2
) -> list[Floats]:
    """Return for each rule the delays of the years without a false alarm before the fault."""
    rng = np.random.default_rng(seed)
    good = next(iter(claim.kept.values()))
    waits: list[list[float]] = [[] for _ in RULES]
    for _ in range(years):
        values = [good] * (FROM - 1) + [fault(night) for night in range(NIGHTS - FROM + 1)]
        nights = (claim.night(rng, value, claim.promise) for value in values)
        found = first_alarms(nights, claim, limit)
        for own, rule in zip(waits, RULES, strict=True):
            if found[rule] >= FROM:
                own.append(found[rule] - FROM + 1)
    return [np.array(own) for own in waits]


def table(years: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| promise | world | {' | '.join(RULES)} |"
    yield f"| --- | --- |{' ---: |' * len(RULES)}"
    for claim in CLAIMS:
        limit = limit_of(claim, years)
        for name, value in claim.kept.items():
            shares = false_alarms(claim, value, years, limit)
            cells = " | ".join(f"{100 * share:.0f} %" for share in shares)
            yield f"| `{claim.promise}` | {name}: years with an alarm | {cells} |"
        for name, fault in claim.broken.items():
            waits = delays(claim, fault, years, limit)
            told = [f"{np.median(w):.0f}" if np.isfinite(np.median(w)) else "never" for w in waits]
            yield f"| | {name}: nights until found | {' | '.join(told)} |"


def main() -> None:
    """Print the table."""
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for line in table(years):
        print(line, flush=True)


if __name__ == "__main__":
    main()
