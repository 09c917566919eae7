"""`fit --folds time:COL`: what is told of later rows comes from fits on earlier ones alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.calibrators import CALIBRATORS
from calibcli.core.fitting.held_out import mapped
from calibcli.core.fitting.problems import Forward
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats

FIT = ("--method", "platt", "--format", "json")


def rows_of(n=1200, drift=0.0, seed=3):
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 12, n))
    z = rng.normal(0, 1.5, n)
    label = (rng.random(n) < expit(0.6 * z + drift * day)).astype(int)
    dates = np.array([f"2025-03-{d + 1:02}" for d in day])
    return {"score": np.round(expit(z), 5), "label": label, "at": dates}


@pytest.fixture
def fit(calibcli, tmp_path):
    def run(path, *more):
        ran = calibcli("fit", path, *FIT, *more, "-o", tmp_path / "c.json")
        return ran, json.loads(ran.out) if ran.code == 0 else None

    return run


def test_blocks_are_judged_by_fits_on_what_was_before(fit, write):
    rows = rows_of()
    shuffled = np.random.default_rng(0).permutation(1200)  # time decides, not the place of a row
    path = write("rows.csv", {key: column[shuffled] for key, column in rows.items()})
    _, found = fit(path, "--folds", "time:at,3")
    days = np.unique(rows["at"])
    middles = np.cumsum([(rows["at"] == d).sum() for d in days])
    middles = middles - np.array([(rows["at"] == d).sum() for d in days]) / 2
    block = np.minimum((4 * middles / 1200).astype(int), 3)
    blocks = [
        ScoreStats.from_arrays(rows["score"][at], rows["label"][at])
        for b in range(4)
        for at in [np.isin(rows["at"], days[block == b])]
    ]
    problem = Forward(blocks)
    kind = CALIBRATORS["platt"]
    after = problem.after([kind.fit(before) for before, _ in problem.split()])
    brier = (after.squared_loss_sum) / after.n
    assert found["after"]["metrics"]["n"]["value"] == after.n == problem.judged.n
    assert found["before"]["metrics"]["n"]["value"] == after.n, "the same rows"
    assert found["after"]["metrics"]["brier"]["value"] == pytest.approx(brier)
    assert found["after"]["kind"] == "cross-fitted"
    assert (found["params"]["folds"], found["params"]["folds_by"]) == (3, "at")
    whole = fit(path)[1]
    assert found["calibrator"] == whole["calibrator"], "the map is of all rows"
    assert mapped(blocks[0], kind.fit(blocks[0])).n == blocks[0].n


def test_drift_shows_in_time_and_not_in_shuffled_folds(fit, write):
    path = write("rows.csv", rows_of(4000, drift=0.25))
    ahead = fit(path, "--folds", "time:at")[1]["after"]["metrics"]["ece"]
    dealt = fit(path)[1]["after"]["metrics"]["ece"]
    assert ahead["low"] > dealt["high"]


@pytest.mark.parametrize(
    ("folds", "code", "said"),
    [
        ("time:", 2, "is no number of folds"),
        ("x", 2, "--folds 'x' is not a list of whole numbers"),
        ("5,6", 2, "is no number of folds"),
        ("1", 2, "--folds must lie between 2 and 50"),
        ("time:nothing", 3, "has no column 'nothing'"),
        ("time:year:at", 3, "all rows are of one period of year:at"),
    ],
)
def test_what_is_no_fold_is_refused(fit, write, folds, code, said):
    ran, _ = fit(write("rows.csv", rows_of(300)), "--folds", folds)
    assert ran.code == code
    assert said in ran.err


def test_several_maps_have_no_blocks_of_time(calibcli, write, tmp_path):
    path = write("rows.csv", rows_of(300))
    for more in (("--per-group", "at"), ("--promote-over", tmp_path / "c.json")):
        place = () if "--promote-over" in more else ("-o", tmp_path / "c.json")
        assert calibcli("fit", path, "--folds", "time:at", *more, *place).code == 2


def test_a_number_of_folds_from_a_project_file(good, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calibcli.toml").write_text("[fit]\nfolds = 3\n")
    path = write("rows.csv", rows_of(600))
    found = good("fit", path, "-o", tmp_path / "c.json", "--format", "json", "-q").json
    assert found["params"]["folds"] == 3
