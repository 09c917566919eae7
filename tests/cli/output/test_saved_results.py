"""`calibcli measure old.json new.json`: two saved results side by side."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest


@pytest.fixture
def saved(good, write, tmp_path):
    def make(name, power, *options):
        rng = np.random.default_rng(1)
        p = rng.uniform(size=3000)
        y = rng.uniform(size=3000) < p**power
        camera = np.where(np.arange(3000) % 2, "front", "rear")
        scores = write(f"{name}.csv", {"score": p, "label": y.astype(int), "camera": camera})
        path = tmp_path / f"{name}.json"
        good("measure", scores, "--group", "camera", "--format", "json", "-o", path, *options)
        return path

    return make


def test_figures_stand_beside_each_other(good, saved):
    old, new = saved("old", 2.0), saved("new", 1.0)
    ran = good("measure", old, new)
    assert "mce" in ran.out
    first, second = (json.loads(path.read_text()) for path in (old, new))
    result = good("measure", old, new, "--format", "json").json
    assert result["schema"] == "calibcli/comparison"
    for name, pair in result["overall"]["metrics"].items():
        one, other = (found["overall"]["metrics"][name] for found in (first, second))
        assert (pair["first"], pair["second"]) == (one, other)
        assert pair["difference"] == pytest.approx(other["value"] - one["value"])
        if one["low"] is not None and other["low"] is not None:
            overlap = max(one["low"], other["low"]) <= min(one["high"], other["high"])
            assert pair["apart"] is not overlap
    assert result["overall"]["metrics"]["ece"]["apart"] is True
    assert [part["slice"]["value"] for part in result["groups"]] == ["front", "rear"]
    rows = list(csv.DictReader(io.StringIO(good("measure", old, new, "--format", "csv").out)))
    ece = next(row for row in rows if row["slice"] == "camera front" and row["metric"] == "ece")
    assert float(ece["second"]) == second["groups"][0]["metrics"]["ece"]["value"]
    assert "| ece of camera front |" in good("measure", old, new, "--format", "md").out


def test_the_same_result_twice_differs_in_nothing(good, saved):
    path = saved("old", 2.0)
    result = good("measure", path, path, "--format", "json").json
    pairs = result["overall"]["metrics"].values()
    assert all(pair["difference"] in (0, None) and pair["apart"] in (False, None) for pair in pairs)
    assert result["warnings"] == []
    assert "All intervals overlap" in good("measure", path, path).out


def test_other_conventions_are_warned_of(calibcli, saved):
    result = calibcli("measure", saved("a", 1), saved("b", 1, "--bins", "10"), "--format", "json")
    assert result.json["warning_codes"] == ["other-conventions"]
    assert "bins is [15] and [10]" in result.err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--bins", "3"), 2, "--bins is for scores"),
        (("--fail-if", "ece>0"), 2, "--fail-if is for scores"),
        (("--format", "junit"), 2, "junit does not show two saved results"),
    ],
)
def test_what_says_nothing_of_saved_results_is_refused(calibcli, saved, more, code, said):
    path = saved("a", 1)
    ran = calibcli("measure", path, path, *more)
    assert ran.code == code
    assert said in ran.err
    assert ("<error" in ran.out) is ("junit" in more)


def test_a_saved_result_is_compared_with_one_other_only(calibcli, saved, write, tmp_path):
    path = saved("a", 1)
    assert "name two" in calibcli("measure", path).err
    assert calibcli("measure", path, path, path).code == 2
    broken = tmp_path / "broken.json"
    broken.write_text(path.read_text()[:4000])
    ran = calibcli("measure", path, broken)
    assert ran.code == 3
    assert "broken.json is not a result of measure" in ran.err


def test_neither_result_is_written_over(calibcli, saved):
    old, new = saved("old", 2.0), saved("new", 1.0)
    before = old.read_bytes()
    for output in (old, new):
        ran = calibcli("measure", old, new, "-o", output)
        assert ran.code == 3
        assert f"{output} is an input of this run" in ran.err
    assert old.read_bytes() == before


def test_a_file_that_is_missing_or_of_another_kind_is_named(calibcli, saved, scores, tmp_path):
    path, stats = saved("a", 1), tmp_path / "stats.json"
    assert calibcli("measure", scores, "--save-stats", stats).code == 0
    for other, said in ((tmp_path / "no.json", "no such file"), (stats, "not a result of measure")):
        ran = calibcli("measure", path, other)
        assert ran.code == 3
        assert other.name in ran.err
        assert said in ran.err
