"""The table of promised against kept: its command runs, and rows are counted as `measure` does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.promises import WORLDS, answer, judged, promised


@pytest.mark.parametrize("world", ["a score", "four classes, as decided", "three groups"])
def test_decisions_are_counted_as_measure_counts_them(world, tmp_path):
    make, rows, _, promises = WORLDS[world]
    population = make(np.random.default_rng(1), tmp_path / "population", 3000)
    files, cuts = make(np.random.default_rng(2), tmp_path / "draw", rows), tmp_path / "cuts.json"
    options = next(iter(promises.values()))[0]
    answer("threshold", *files, *options, "-o", cuts)
    mine = judged(world, tmp_path, population, cuts)["decision"]
    groups = ("--group", "site") if world == "three groups" else ()
    shown = answer("measure", *population, *groups, "--thresholds", cuts, "--no-ci")["decision"]
    for name, one in mine["metrics"].items():
        assert shown["metrics"][name]["value"] == pytest.approx(one["value"], abs=1e-12)
    for own, theirs in zip(mine.get("classes", ()), shown.get("classes", ()), strict=True):
        for name, one in own.items():
            assert theirs[name]["value"] == pytest.approx(one["value"], abs=1e-12)


def test_a_row_of_the_table(tmp_path):
    first, second = promised(2, "a score", tmp_path)
    assert first.startswith("| a score | precision>=0.7, guarantee | 0.9 | ")
    assert second.split(" | ")[4] == "2"
