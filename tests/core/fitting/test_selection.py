from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from scipy.special import expit, logit

from calibcli.core.calibrators import CALIBRATORS, Isotonic, Platt, Temperature
from calibcli.core.fitting.auto import auto as choose
from calibcli.core.fitting.auto import prior_rows
from calibcli.core.fitting.held_out import apply_to_cells, cell_losses
from calibcli.core.fitting.problems import BINARY_CANDIDATES, Pairs, cross_fit, folds_of
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def auto(stats, *, folds=5, seed=0, methods=BINARY_CANDIDATES, **options):
    return choose(Pairs(stats, folds=folds, seed=seed), methods=methods, **options)


def drawn(n, temperature=1.0, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    z = spread * rng.standard_normal(n)
    return z, rng.random(n) < expit(z / temperature)


def stats_of(*args, **kwargs):
    return ScoreStats.from_arrays(*drawn(*args, **kwargs), logits=True)


@pytest.mark.slow
@pytest.mark.parametrize("select", ["nll", "brier"])
@pytest.mark.parametrize(("n", "runs", "least"), [(200, 40, 32), (1500, 20, 15)])
def test_identity_is_kept_on_calibrated_scores_nine_times_in_ten(select, n, runs, least):
    kept = sum(
        auto(stats_of(n, seed=seed), select=select).calibrator.method == "identity"
        for seed in range(runs)
    )
    # If nine in ten were the truth, fewer than the least would be a one-in-a-hundred accident.
    assert kept >= least


@pytest.mark.parametrize(("temperature", "spread"), [(2.0, 2.0), (0.5, 0.7)])
def test_a_wrong_temperature_is_found_and_corrected(temperature, spread):
    result = auto(stats_of(4000, temperature, seed=1, spread=spread))
    table = {row.method: row for row in result.candidates}
    assert result.calibrator.method != "identity"
    assert table["identity"].difference > table["identity"].se
    assert isinstance(result.calibrator, Temperature | Platt)


def test_a_bent_curve_is_left_to_a_free_form_method():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    truth = np.where(p < 0.5, 0.1, np.where(p < 0.8, 0.3, 0.95))
    result = auto(ScoreStats.from_arrays(p, rng.random(20_000) < truth))
    assert CALIBRATORS[result.calibrator.method].free_form


def test_free_form_methods_are_no_candidates_below_a_thousand_rows():
    few = {row.method: row for row in auto(stats_of(999)).candidates}
    enough = {row.method: row for row in auto(stats_of(1000)).candidates}
    assert few["isotonic"].score is None
    assert "below 1000" in few["isotonic"].note
    assert enough["isotonic"].score is not None


def test_scores_and_paired_errors_by_hand():
    stats = stats_of(1200, 1.4)
    result = auto(stats, folds=4, seed=3, methods=("platt",))
    table = {row.method: row for row in result.candidates}
    total, each, implied = 0.0, [], 0.0
    for rest, held in folds_of(stats, 4, 3):
        platt = cell_losses(Platt.fit(rest).apply(held.logit), "nll")
        own = cell_losses(held.score, "nll")
        total += held.pos @ platt[0] + held.neg @ platt[1]
        difference = [own[side] - platt[side] for side in (0, 1)]
        each += [np.repeat(difference[0], held.pos), np.repeat(difference[1], held.neg)]
        p = held.score
        implied += held.total @ (p * (1 - p) * (difference[0] - difference[1]) ** 2)
    each = np.concatenate(each)
    spread = np.std(each) / np.sqrt(1200)
    assert table["platt"].score == pytest.approx(total / 1200, rel=1e-12)
    assert table["identity"].difference == pytest.approx(each.mean(), rel=1e-9)
    assert table["identity"].se == pytest.approx(min(spread, 2 * np.sqrt(implied) / 1200), rel=1e-9)
    assert (table["platt"].difference, table["platt"].se) == (0.0, 0.0)


def test_a_certain_error_does_not_hide_behind_its_own_noise():
    z, y = drawn(3000, 1.25, seed=2)
    p = expit(z)
    p[np.argmax(np.where(y, 0, p))] = 1.0
    stats = ScoreStats.from_arrays(p, y)
    assert stats.certain_errors == 1
    result = auto(stats)
    table = {row.method: row for row in result.candidates}
    assert result.calibrator.method != "identity"
    assert table["identity"].se < 34.5 / 3000 / 2


def test_clustered_errors_see_that_repeated_rows_are_not_news():
    z, y = drawn(2000, 1.5, seed=4)
    cluster = np.arange(2000)
    once = auto(ScoreStats.from_arrays(z, y, logits=True, cluster=cluster))
    copies = ScoreStats.from_arrays(
        np.repeat(z, 9), np.repeat(y, 9), logits=True, cluster=np.repeat(cluster, 9)
    )
    nine = auto(copies)
    se = [max(row.se or 0 for row in result.candidates[:3]) for result in (once, nine)]
    assert se[1] == pytest.approx(se[0], rel=0.2)
    naive = auto(ScoreStats.from_arrays(np.repeat(z, 9), np.repeat(y, 9), logits=True))
    assert max(row.se or 0 for row in naive.candidates[:3]) < 0.5 * se[0]


def test_held_out_pairs_come_from_fits_that_have_not_seen_them():
    stats = stats_of(1500, 2.0)
    after = cross_fit(stats, Isotonic.fit, folds=5, seed=0)
    assert (after.n, after.positives) == (stats.n, stats.positives)
    in_sample = stats.map(apply_to_cells(Isotonic.fit(stats), stats))
    assert after.log_loss_sum > in_sample.log_loss_sum
    chosen = auto(stats)
    again = cross_fit(stats, CALIBRATORS[chosen.calibrator.method].fit, folds=5, seed=0)
    assert Pairs(stats).after(chosen.folds).digest() == again.digest()


def test_the_same_seed_gives_the_same_table():
    first, second = (auto(stats_of(1200, 1.3), seed=5) for _ in range(2))
    assert first.candidates == second.candidates


def test_fit_times_are_told_when_a_clock_is_given():
    ticks = count()
    timed = auto(stats_of(300), clock=lambda: float(next(ticks)))
    assert timed.candidates[0].seconds > 0
    assert auto(stats_of(300)).candidates[0].seconds is None


@pytest.mark.parametrize(
    ("scores", "labels", "weight"),
    [
        ([0.1, 0.2, 0.8, 0.9, 0.95], [0, 0, 1, 1, 1], None),
        ([0.4] * 5, [0, 1, 1, 0, 1], None),
        ([0.3, 0.7], [0, 1], None),
        (np.linspace(0.01, 0.99, 400), np.arange(400) == 7, None),
        ([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1], [0.0, 1.0, 1.0, 0.0]),
    ],
    ids=["five rows", "constant", "two rows", "one positive", "weights of zero"],
)
def test_too_few_rows_keep_the_scores_and_say_so(scores, labels, weight):
    result = auto(ScoreStats.from_arrays(scores, labels, weight))
    assert result.calibrator.method == "identity"
    assert "too few to compare" in result.notes[0]


def test_degenerate_scores_have_an_outcome():
    separable = auto(ScoreStats.from_arrays(np.linspace(0.01, 0.99, 40), np.arange(40) >= 20))
    assert separable.calibrator.method != "identity"
    backwards = auto(ScoreStats.from_arrays(np.linspace(0.01, 0.99, 400), np.arange(400) < 200))
    assert backwards.calibrator.method in {"temperature", "platt"}
    constant = auto(ScoreStats.from_arrays(np.full(400, 0.9), np.arange(400) % 2))
    prior = prior_rows(Pairs(ScoreStats.from_arrays([0.1, 0.9], [0, 1])), constant.method)
    p = apply_to_cells(constant.calibrator, ScoreStats.from_arrays([0.9], [1]))
    assert p[0] == pytest.approx((400 * 0.5 + prior * 0.9) / (400 + prior), abs=0.01)


def test_one_class_is_refused():
    with pytest.raises(InputError, match="label 1"):
        auto(ScoreStats.from_arrays([0.2, 0.3], [1, 1]))


@pytest.mark.slow
def test_never_worse_than_no_calibration_over_published_files(shared_data):
    import csv

    for name in ("mozilla4_1046_rf", "airlines_42493_rf", "2dplanes_727_cb3"):
        halves = []
        for half in ("calibset", "testset"):
            with (shared_data / f"splinecalib/{half}_{name}.csv").open() as stream:
                table = list(csv.DictReader(stream))
            p = [float(row["y_pred"]) for row in table]
            halves.append(ScoreStats.from_arrays(p, [float(row["y_true"]) > 0 for row in table]))
        fitted = auto(halves[0]).calibrator
        after = halves[1].map(apply_to_cells(fitted, halves[1]))
        assert after.log_loss_sum < halves[1].log_loss_sum


def test_a_separable_dump_by_chance_moves_no_score_to_certainty():
    # 32 honest rows, all on the right side of one half, come by chance once in ten.
    score = np.repeat([0.3, 0.7, 0.1, 0.9], 8)
    chosen = auto(ScoreStats.from_arrays(score, score > 0.5))
    p = apply_to_cells(chosen.calibrator, ScoreStats.from_arrays([0.7], [1]))
    assert p[0] < 0.8


@pytest.mark.slow
def test_a_fit_at_its_bound_is_no_candidate():
    rng = np.random.default_rng(3)
    score = rng.uniform(0.05, 0.95, 1500)
    chosen = auto(ScoreStats.from_arrays(score, score > 0.5))
    temperature = next(one for one in chosen.candidates if one.method == "temperature")
    assert temperature.score is None
    assert "stopped at its bound" in temperature.note
    assert not temperature.chosen


def test_the_prior_has_the_weight_of_its_rows():
    # The scores say 0.9, half of the labels are 1: a level moves as if 40 rows had said 0.9.
    stats = ScoreStats.from_arrays(np.full(100, 0.9), np.arange(100) % 2)
    fitted = CALIBRATORS["beta"].fit(stats, prior=40.0)
    assert fitted.apply(logit(np.array([0.9])))[0] == pytest.approx((50 + 36) / 140)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 50, 200, 1200])
@pytest.mark.parametrize("shape", [(1, 1), (0.3, 0.3), (2, 6)])
def test_honest_scores_are_seldom_left_and_never_at_a_price(shape, n):
    rng = np.random.default_rng(n)
    fresh = rng.beta(*shape, 4000).clip(1e-4, 1 - 1e-4)
    rises, left = [0.0], 0
    for draw in range(300):
        p = rng.beta(*shape, n).clip(1e-4, 1 - 1e-4)
        y = rng.random(n) < p
        if y.all() or not y.any():
            continue
        one = auto(ScoreStats.from_arrays(p, y), seed=draw).calibrator
        if one.method == "identity":
            continue
        left += 1
        q = one.apply(logit(fresh) if one.space == "logit" else fresh).clip(1e-15, 1 - 1e-15)
        gap = fresh * np.log(fresh / q) + (1 - fresh) * np.log((1 - fresh) / (1 - q))
        rises.append(float(gap.mean()))
    assert left <= 30
    assert sum(rises) / 300 <= 0.002
    assert max(rises) <= 0.06
