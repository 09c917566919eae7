"""What the report draws: exact counts at its cut-offs, costs, ECE by bins."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.decisions.costs import Costs
from calibcli.core.statistics.stats import ScoreStats
from calibcli.workflows.measure.decided.cutoffs import MOST, ROUND, cost_curve, cutoffs


@pytest.fixture
def pairs():
    rng = np.random.default_rng(11)

    def make(n, digits=None):
        p = rng.beta(0.5, 2, n)
        return (p if digits is None else np.round(p, digits)), rng.random(n) < p

    return make


def counted(p, y, at):
    alert = p[:, None] >= np.asarray(at)[None, :]
    return (alert & y[:, None]).sum(axis=0), (alert & ~y[:, None]).sum(axis=0)


@pytest.mark.parametrize(("n", "digits"), [(300, None), (5000, 3), (9000, None)])
def test_counts_are_exact_at_each_cutoff(pairs, n, digits):
    p, y = pairs(n, digits)
    found = cutoffs(ScoreStats.from_arrays(p, y), (0.123456, 0.5))
    tp, fp = counted(p, y, found["threshold"])
    assert found["tp"] == tp.tolist()
    assert found["fp"] == fp.tolist()
    assert found["threshold"] == sorted(set(found["threshold"]))
    assert len(found["threshold"]) <= MOST
    assert (found["positives"], found["negatives"]) == (y.sum(), (~y).sum())


def test_where_every_score_is_listed_the_next_one_up_answers_for_any_cutoff(pairs):
    p, y = pairs(700, 3)
    found = cutoffs(ScoreStats.from_arrays(p, y), ())
    assert found["every"]
    for t in np.random.default_rng(0).random(50):
        place = np.searchsorted(found["threshold"], t)
        tp, fp = counted(p, y, [t])
        if place == len(found["threshold"]):
            assert tp[0] == fp[0] == 0
        else:
            assert (found["tp"][place], found["fp"][place]) == (tp[0], fp[0])


def test_a_thinned_list_keeps_what_was_asked_for_and_round_numbers(pairs):
    p, y = pairs(9000)
    found = cutoffs(ScoreStats.from_arrays(p, y), (0.123456,))
    assert not found["every"]
    assert {0.123456, *(t for t in ROUND if t <= p.max())} <= set(found["threshold"])


def test_counts_in_a_grid_are_exact_at_each_cutoff_too():
    rng = np.random.default_rng(5)
    p = rng.random(400_000) * 0.97
    y = rng.random(400_000) < p
    stats = ScoreStats.from_arrays(p, y, edges=(0.25, 0.5))
    assert not stats.exact
    found = cutoffs(stats, (0.25, 0.3), 200)
    assert {0.25, 0.5} <= set(found["threshold"])
    assert 0.3 not in found["threshold"]  # not known, so not claimed
    tp, fp = counted(p, y, found["threshold"])
    assert found["tp"] == tp.tolist()
    assert found["fp"] == fp.tolist()


def test_the_cost_curve_is_the_cost_and_its_best_is_the_least(pairs):
    p, y = pairs(400, 2)
    at = np.linspace(0, 1, 201)
    found = cost_curve(ScoreStats.from_arrays(p, y), Costs(fp=1, fn=5, tp=0.5), at.tolist())
    tp, fp = counted(p, y, at)
    cost = (fp + 5 * (y.sum() - tp) + 0.5 * tp) / len(p)
    np.testing.assert_allclose(found["cost"], cost)
    assert found["best"]["cost"] == pytest.approx(cost.min())
    assert found["closed_form"] == pytest.approx(1 / (1 + 4.5))


def test_ece_by_bins_is_what_measure_says_at_these_bins(good, write, binary, tmp_path):
    scores = write("s.csv", binary)
    page = good("report", scores, "--format", "json").json["measure"]["overall"]
    for kind in ("width", "mass"):
        asked = good("measure", scores, "--bins", "10,30", "--binning", kind, "--format", "json")
        known = {
            (row["binning"], row["bins"]): row["ece"]
            for row in asked.json["overall"]["ece_by_bins"]
        }
        drawn = {(row["binning"], row["bins"]): row for row in page["ece_curve"]}
        assert len(known) == 4
        for key, ece in known.items():
            assert (drawn[key]["ece"], drawn[key]["low"], drawn[key]["high"]) == (
                ece["value"],
                ece["low"],
                ece["high"],
            )


def test_filled_points_are_those_outside_the_consistency_band(good, write, binary):
    overall = good("report", write("s.csv", binary), "--format", "json").json["measure"]["overall"]
    band = overall["consistency"]
    seen = 0
    for row, low, high in zip(overall["bins"], band["low"], band["high"], strict=True):
        if row["count"]:
            held = row["frequency_low"] <= row["score"] <= row["frequency_high"]
            assert held == (low - 1e-9 <= row["frequency"] <= high + 1e-9)
            seen += not held
    assert seen


def test_costs_of_the_report_are_those_that_were_given(good, calibcli, write, binary):
    scores = write("s.csv", binary)
    ran = good("report", scores, "--format", "json", "--cost", "fp=2,fn=7")
    costs = ran.json["measure"]["overall"]["cost_curve"]["costs"]
    assert costs == {"fp": 2, "fn": 7, "tp": 0, "tn": 0}
    wrong = calibcli("report", scores, "--cost", "fp=2")
    assert wrong.code == 2
    assert "fn is missing" in wrong.err
