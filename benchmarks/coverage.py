"""How often a 95% interval holds the truth.

    python -m benchmarks.coverage [DRAWS [WORLDS [SEED]]]

Prints, as Markdown, the share of draws whose interval holds the truth, by world and figure, over
the draws in which the figure is defined, and how often honest scores are called miscalibrated.
Below .93 is in bold. `worlds` is a part of their titles; they are in `benchmarks.worlds` and
`benchmarks.worlds_of_classes`.
"""

from __future__ import annotations

import math
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from benchmarks.worlds import WORLDS, World
from benchmarks.worlds_of_classes import WORLDS_OF_CLASSES, WorldOfClasses
from calibcli.core.metrics.binary import TESTS, View
from calibcli.core.metrics.intervals import measure
from calibcli.core.metrics.multiclass import MULTICLASS_METRICS
from calibcli.core.metrics.registry import METRICS
from calibcli.core.statistics.curves import Binning
from calibcli.workflows.measure.slices import confusion

AT_CUT_OFF = ("precision", "recall", "f1")
PAIRS = (*(name for name in METRICS if name not in ("n", *TESTS)), *AT_CUT_OFF)
CLASSES = tuple(name for name in MULTICLASS_METRICS if name not in ("n", *TESTS))
ERRORS = ("ece", "ece_debiased", "mce", "ace", "classwise_ece", "top_label_ece", "smooth_ece",
          "ks", "kuiper", "brier_miscalibration")  # fmt: skip
"""Figures that are 0 of honest scores."""
BINNING = Binning()
LEAST = 0.93
CUT_OFF = 0.5


def figures(stats, seed):
    """Return (value, low, high, reason) of each figure of one sample of pairs."""
    view = View(stats, BINNING)
    found = measure(view, seed=seed, names=PAIRS[: -len(AT_CUT_OFF)])
    table = confusion(view, CUT_OFF, 0.95)
    for name in AT_CUT_OFF:
        one = getattr(table, name)
        found[name] = one.value, one.low, one.high, one.reason
    return view, found


def truth(stats):
    """Return the figures of a population, which has no noise to take off."""
    view = View(stats, BINNING)
    table = confusion(view, CUT_OFF, None)
    known = {name: METRICS[name](view) for name in PAIRS if name in METRICS}
    known["ece_debiased"] = math.sqrt(view.bins.weight @ view.bins.gap**2)
    return known | {name: getattr(table, name).value for name in AT_CUT_OFF}, np.abs(view.bins.gap)


def of_world(draws, seed, world):
    """Return {figure: (draws whose interval holds the truth, draws with one, alarms)}."""
    rng = np.random.default_rng([zlib.crc32(world.title.encode()), seed])
    counts = {}

    def count(name, found, right):
        value, low, high, _ = found
        if value is None or low is None or right is None:
            return
        tally = counts.setdefault(name, [0, 0, 0])
        tally[0] += low - 1e-6 <= right <= high + 1e-6
        tally[1] += 1
        tally[2] += low > 0.0 and name in ERRORS

    if isinstance(world, WorldOfClasses):
        known = world.truth()
        for draw in range(draws):
            for name, found in world.measured(rng, draw).items():
                if name in known:
                    count(name, found, known[name])
        return counts
    known, gaps = truth(world.population)
    for draw in range(draws):
        view, found = figures(world.draw(rng), draw)
        # Largest and mean gap are of the bins that hold rows, here those of the sample.
        used = gaps[view.bins.used]
        own = known | {"mce": used.max(), "ace": used.mean()}
        for name in PAIRS:
            count(name, found[name], own[name])
    return counts


def cell(counts, name, *, alarms=False):
    """Return a share, in bold where it is too small (or, of alarms, too large), or a dash."""
    held, defined, alarm = counts.get(name, (0, 0, 0))
    if not defined:
        return "-"
    share = alarm / defined if alarms else held / defined
    text = "1" if share == 1.0 else f"{share:.3f}".removeprefix("0")
    bad = share > 1.0 - LEAST if alarms else share < LEAST
    return f"**{text}**" if bad else text


def table(results, titles, names, *, alarms=False):
    """Return the lines of a Markdown table, a world a row."""
    lines = ["| world | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for title in titles:
        cells = (cell(results[title], name, alarms=alarms) for name in names)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    known: dict[str, World | WorldOfClasses] = {**WORLDS, **WORLDS_OF_CLASSES}
    every = {title: world for title, world in known.items() if part in title}
    with ProcessPoolExecutor() as pool:
        found = pool.map(partial(of_world, draws, seed), every.values())
        results = {}
        for title, counts in zip(every, found, strict=True):
            print(title, counts, file=sys.stderr)
            results[title] = counts
    print(f"Share of {draws} draws whose 95% interval holds the truth\n")
    for worlds, names in ((WORLDS, PAIRS), (WORLDS_OF_CLASSES, CLASSES)):
        titles = [title for title in worlds if title in every]
        if titles:
            print("\n".join(table(results, titles, names)), end="\n\n")
    print("Share of draws of honest scores whose interval lies above 0\n")
    honest = [title for title, world in every.items() if world.honest]
    print("\n".join(table(results, honest, ERRORS, alarms=True)))


if __name__ == "__main__":
    main()
