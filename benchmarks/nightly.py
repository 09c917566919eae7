"""365 nightly refits, watched by nobody: `python -m benchmarks.nightly [seeds] [method]`.

Each world is a year of nights. A night's dump has 2,000 rows of a model whose probabilities are
wrong by a slope and a level of the logit; the calibrator was fitted on the night before the first.
Every night the calibrator in place is charged the exact expected log loss of that night, less the
least that is possible (the excess), and then the dump arrives.

    never     keeps the first calibrator
    always    replaces it with every night's fit that can be made at all
    promote   `fit --promote-over`, by the functions of the package, defaults throughout

Worlds: noise (nothing changes; the first calibrator from one night, or from ten nights' rows),
slow (slope and level drift evenly over the year), sudden (they jump on night 120), and each of
them with one dump in ten bad: labels joined to the wrong rows, labels turned round, labels
made from the scores, a fifth of the scores stuck at one value, half of the positive labels
not there yet, only ninety rows, or (which no check can tell from a change of the world) a tenth
of the labels joined to the wrong rows.

A promotion is wrong where the new calibrator has a higher expected loss than the replaced one in
the world as it is that night.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from calibcli.core.calibrators import calibrate
from calibcli.core.comparison.promotion import Rule
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError
from calibcli.tasks.collect import Population
from calibcli.tasks.families import compact_stats
from calibcli.workflows.fit.fitted import FitOptions, Fitted
from calibcli.workflows.fit.pairs import fit_binary, fitter
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.gathered import Gathered, Slice
from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
from calibcli.workflows.promote.challenge import Bout, contest
from calibcli.workflows.promote.shift import checks_of

NIGHTS, ROWS, JUMP = 365, 2000, 120
BAD = 0.1
Z = np.linspace(-7.2, 5.2, 501)
DENSITY = np.exp(-0.5 * ((Z + 1.0) / 1.55) ** 2)
DENSITY /= DENSITY.sum()


def truth(world, night):
    """Return the slope and the level of the true logit in that of the model."""
    if world == "slow":
        return 0.7 - 0.2 * night / NIGHTS, 0.2 + 0.8 * night / NIGHTS
    if world == "sudden" and night >= JUMP:
        return 0.5, 0.6
    return 0.7, 0.2


@cache
def truth_losses(world, night):
    p = expit(truth(world, night)[0] * Z + truth(world, night)[1])
    return p, float(DENSITY @ -(p * np.log(p) + (1 - p) * np.log1p(-p)))


def excess(calibrator, world, night):
    """Return the expected log loss of a calibrator beyond the least possible."""
    p, least = truth_losses(world, night)
    q = np.clip(calibrate(calibrator, Z, logits=True), 1e-15, 1 - 1e-15)
    return float(DENSITY @ -(p * np.log(q) + (1 - p) * np.log1p(-q))) - least


def dump(rng, world, night, rows=ROWS, *, bad=None):
    """Draw a night's scores and labels; `bad` says what is wrong with them."""
    z = rng.normal(-1.0, 1.55, rows)
    slope, level = truth(world, night)
    label = rng.random(rows) < expit(slope * z + level)
    if bad == "shuffled":
        rng.shuffle(label)
    elif bad == "slipped":
        some = slice(0, rows // 10)
        label[some] = rng.permutation(label[some])
    elif bad == "turned":
        label = ~label
    elif bad == "echo":
        label = z > 0
    elif bad == "stuck":
        z[: rows // 5] = -9.0
    elif bad == "late":
        label &= rng.random(rows) < 0.5
    elif bad == "short":
        z, label = z[:90], label[:90]
    return ScoreStats.from_arrays(np.round(expit(z), 3), label)


BADS = ("shuffled", "slipped", "turned", "echo", "stuck", "late", "short")


def gathered(stats):
    population = Population("binary", stats)
    params = {"score": ["score"], "positive": None}
    return Gathered("binary", (), False, Slice({"kind": "overall"}, population), (), [], params)


def loaded(calibrator, stats=None):
    """Return a calibrator as it is read from its file."""
    payload = {} if stats is None else {"stats": compact_stats(Population("binary", stats))}
    return LoadedCalibrator("binary", (), False, calibrator, payload)


@dataclass
class Year:
    """What a way of refitting has cost, and what it did."""

    champion: LoadedCalibrator
    changes: list[tuple[int, float]] = field(default_factory=list)
    bad_taken: int = 0
    losses: list[float] = field(default_factory=list)

    def charge(self, world, night):
        self.losses.append(excess(self.champion.calibrator, world, night))

    def change(self, champion, world, night, *, bad):
        after = excess(champion.calibrator, world, night)
        self.changes.append((night, after - self.losses[-1]))
        self.bad_taken += bad
        self.champion = champion


def fitted_to(stats, options):
    if options.method == "auto":
        return fit_binary(stats, options)
    one = fitter(options.method, options)(stats)
    return Fitted(options.method, one, (), Population("binary", stats), "", ())


def promoted(stats, fitted, champion, options, rule):
    """Return what would be put in place, or None: the decision of `fit --promote-over`."""
    found = gathered(stats)
    if not all(check.passed for check in checks_of(found, champion.payload, rule)):
        return None
    old = champion.calibrator
    met = contest(Bout(found, None, options, old, fitted, rule))
    return met.fitted.calibrator if met.best.better else None


CONVENTIONS = Conventions()


def year(world, seed, options, rules, *, first_rows=ROWS, share_bad=0.0):
    """Return what each way of refitting has cost in one year."""
    rng = np.random.default_rng([seed, first_rows])
    stats = dump(rng, world, 0, first_rows)
    start = loaded(fitted_to(stats, options).calibrator, stats)
    ways = {name: Year(start) for name in ("never", "always", *rules)}
    for night in range(1, NIGHTS + 1):
        for one in ways.values():
            one.charge(world, night)
        bad = str(rng.choice(BADS)) if rng.random() < share_bad else None
        stats = dump(rng, world, night, bad=bad)
        try:
            fitted = fitted_to(stats, options)
        except InputError:
            continue
        ways["always"].change(loaded(fitted.calibrator), world, night, bad=bad is not None)
        for name, rule in rules.items():
            new = promoted(stats, fitted, ways[name].champion, options, rule)
            if new is not None:
                ways[name].change(loaded(new, stats), world, night, bad=bad is not None)
    return ways


def followed(one, world):
    """Return how many nights after the jump the excess was below a tenth of the jump's."""
    if not world.startswith("sudden"):
        return None
    after = np.array(one.losses[JUMP - 1 :])
    below = np.flatnonzero(after < after[0] / 10)
    return int(below[0]) if len(below) else len(after)


WORLDS = (
    ("noise", "noise", ROWS, 0.0),
    ("noise, first fit on 20,000 rows", "noise", 10 * ROWS, 0.0),
    ("noise, bad dumps", "noise", ROWS, BAD),
    ("slow drift", "slow", ROWS, 0.0),
    ("slow drift, bad dumps", "slow", ROWS, BAD),
    ("sudden shift", "sudden", ROWS, 0.0),
    ("sudden shift, bad dumps", "sudden", ROWS, BAD),
)
HEADER = (
    "| world | way | excess log loss, a year's sum | promoted | of these wrong | largest harm "
    "| bad dumps taken | nights to follow |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main(seeds=3, method="platt"):
    options = FitOptions(method=method)
    rules = {"promote": Rule(), "promote, --steps 1": replace(Rule(), steps=(1.0,))}
    print(f"{seeds} years of each world, {ROWS:,} rows a night, --method {method}\n\n{HEADER}")
    for title, world, first, share in WORLDS:
        years = [
            year(world, seed, options, rules, first_rows=first, share_bad=share)
            for seed in range(seeds)
        ]
        for way in years[0]:
            ones = [one[way] for one in years]
            harm = [[change for _, change in one.changes if change > 0] for one in ones]
            most = max((max(h) for h in harm if h), default=0.0)
            days = [followed(one, world) for one in ones]
            told = "" if days[0] is None else f"{np.mean(days):.1f}"
            sums = [sum(one.losses) for one in ones]
            spread = np.std(sums, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
            print(
                f"| {title} | {way} | {np.mean(sums):.2f} ± {spread:.2f} "
                f"| {np.mean([len(one.changes) for one in ones]):.1f} "
                f"| {np.mean([len(h) for h in harm]):.1f} | {most:.4f} "
                f"| {np.mean([one.bad_taken for one in ones]):.1f} | {told} |",
                flush=True,
            )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 3, *given[1:2])
