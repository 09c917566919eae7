"""`fit --replay COL --thresholds THR`: what pairs would have cost, against the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.unattended.test_replay import JUMP, STILL, by_name, nights
from tests.nights import SURE
from tests.schemas import fits_schema

LIMITS = ("--max-shift", "psi=1,odds=9,auc=0.5")


@pytest.fixture
def priced(good, write, tmp_path):
    """Cut-offs that say what errors cost."""
    path = tmp_path / "thr.json"
    good("threshold", write("first.csv", nights(STILL[:1])), "--cost", "fp=1,fn=4", "-o", path)
    return path


@pytest.fixture
def replay(good, priced):
    def run(path, *more):
        how = (*SURE, *LIMITS, "--replay", "at", "--thresholds", priced, "--format", "json")
        return good("fit", path, *how, *more).json

    return run


@pytest.mark.parametrize(
    ("slopes", "cluster"),
    [
        (JUMP[1:4], ()),
        pytest.param(JUMP[:4], (), marks=pytest.mark.slow),
        pytest.param(JUMP[:4], ("--cluster", "unit"), marks=pytest.mark.slow),
    ],
)
def test_pairs_do_what_the_commands_do_night_by_night(
    replay, calibcli, good, write, tmp_path, slopes, cluster, priced
):
    rows = nights(slopes)
    rows["unit"] = np.arange(len(rows["label"])) // 3
    found = replay(write("dump.csv", rows), *cluster)
    fits_schema(found, "replay")
    assert (found["score"], found["params"]["cost"]) == ("cost", "fp=1.0,fn=4.0")
    assert [one["name"] for one in found["policies"]] == ["never", "always", "promote"]
    cal, cuts = tmp_path / "cal.json", tmp_path / "cuts.json"
    codes, costs = [], {"never": [], "always": [], "promote": []}
    places = {
        name: (tmp_path / f"{name}-cal.json", tmp_path / f"{name}-cuts.json") for name in costs
    }
    places["promote"] = cal, cuts
    for place, day in enumerate(np.unique(rows["at"])):
        night = write(f"{day}.csv", {k: c[rows["at"] == day] for k, c in rows.items()})
        for name, pair in places.items():
            if place:
                out = tmp_path / "out.csv"
                good("apply", pair[0], night, "--thresholds", pair[1], "-o", out)
                told = np.genfromtxt(out, delimiter=",", names=True, dtype=None, encoding=None)
                y, alert = told["label"], told["decision"]
                costs[name].append(np.where(alert == 1, 1.0 - y, 4.0 * y).mean())
            if not place or name == "always":
                good("fit", night, *SURE, "--no-ci", "-o", pair[0])
                more = ("--cost", "fp=1,fn=4", "--no-ci", "-o", pair[1])
                assert calibcli("threshold", night, "--calibrator", pair[0], *more).code == 0
        if place:
            more = ("--thresholds", cuts, *LIMITS, *cluster, "--format", "json")
            codes.append(
                json.loads(calibcli("fit", night, *SURE, "--promote-over", cal, *more).out)["code"]
            )
    did = {
        name: [
            next(p for p in one["policies"] if p["name"] == name) for one in found["periods"][1:]
        ]
        for name in costs
    }
    assert [one["code"] for one in did["promote"]] == codes
    assert codes.count("promoted") == 1
    for name in ("never", "always"):
        assert [one["loss"] for one in did[name]] == pytest.approx(costs[name])
    # Folds are dealt by the order of rows, so the cut-offs of a promotion differ a little.
    assert [one["loss"] for one in did["promote"]] == pytest.approx(costs["promote"], abs=0.03)


@pytest.mark.parametrize("slopes", [JUMP[1:5], pytest.param(JUMP, marks=pytest.mark.slow)])
def test_after_a_jump_promoting_costs_less(replay, write, slopes):
    told = by_name(replay(write("dump.csv", nights(slopes))))
    assert told["promote", None]["difference"]["high"] < 0
    assert told["promote", None]["replaced"] >= 1


def test_a_night_of_one_label_leaves_the_pairs(replay, write):
    rows = nights(STILL[:3])
    rows["label"][rows["at"] == "2025-03-02"] = 0
    second = replay(write("dump.csv", rows))["periods"][1]
    assert not any(one["replaced"] for one in second["policies"])
    assert "label" in second["reason"]
    assert next(p for p in second["policies"] if p["name"] == "promote")["code"] != "promoted"


def test_the_table_says_cost(good, priced, write):
    given = (*SURE, "--replay", "day:at", "--thresholds", priced)
    table = good("fit", write("dump.csv", nights(JUMP[:3], n=1000)), *given).out
    assert "cost by row" in table
    assert "each judged by the pair in place before it" in table


def test_what_pairs_cannot_be_played_with_is_refused(good, calibcli, priced, write, tmp_path):
    path = write("dump.csv", nights(STILL[:2], n=300))
    f1 = tmp_path / "f1.json"
    good("threshold", path, "-o", f1)
    rows = nights(STILL[:2], n=300)
    weighted = write("w.csv", rows | {"w": np.linspace(0.5, 2, len(rows["label"]))})
    for given, code, said in (
        ((path, "--thresholds", f1), 2, "does not say what errors cost"),
        ((path, "--thresholds", tmp_path / "no.json"), 3, "does not exist"),
        ((weighted, "--weight", "w", "--thresholds", priced), 2, "count once"),
    ):
        ran = calibcli("fit", *given, *SURE, "--replay", "at")
        assert (ran.code, "Traceback" in ran.err) == (code, False)
        assert said in ran.err
