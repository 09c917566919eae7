from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.comparison.prior import (
    estimate,
    estimate_rows,
    odds_factor,
    shifted,
    shifted_rows,
)


def rows(n, prevalence, seed):
    """Scores that are normal within a label, and their probability at prevalence 0.4."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < prevalence
    x = rng.normal(np.where(y, 1.0, -0.5), 1.0)
    odds = 0.4 / 0.6 * np.exp(-0.5 * (x - 1.0) ** 2 + 0.5 * (x + 0.5) ** 2)
    return odds / (1 + odds), y


def em(p, old):
    """Saerens, Latinne and Decaestecker's procedure, equation (2.9), step by step."""
    q = old
    for _ in range(100_000):
        up, down = q / old * p, (1 - q) / (1 - old) * (1 - p)
        following = (up / (up + down)).mean()
        if abs(following - q) < 1e-15:
            break
        q = following
    return q


def test_odds_are_multiplied_by_the_ratio_of_prior_odds():
    assert odds_factor(0.5, 0.2) == pytest.approx(0.25)
    assert shifted(np.array([0.8]), 0.5, 0.2)[0] == pytest.approx(0.8 * 0.25 / (0.8 * 0.25 + 0.2))
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(shifted(p, 0.3, 0.3), p, atol=1e-15)
    np.testing.assert_allclose(shifted(shifted(p, 0.3, 0.01), 0.01, 0.3), p, atol=1e-14)
    assert shifted(np.array([0.0, 1.0]), 0.3, 0.01).tolist() == [0.0, 1.0]


def test_shifted_probabilities_are_calibrated_at_the_new_prevalence():
    p, y = rows(400_000, 0.1, 0)
    moved = shifted(p, 0.4, 0.1)
    for low in np.arange(0, 0.6, 0.1):
        inside = (moved >= low) & (moved < low + 0.1)
        assert moved[inside].mean() == pytest.approx(y[inside].mean(), abs=0.01)


def test_two_classes_are_the_binary_shift():
    p = np.random.default_rng(0).random(50)
    both = shifted_rows(np.column_stack([1 - p, p]), np.array([0.7, 0.3]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(both[:, 1], shifted(p, 0.3, 0.1), atol=1e-14)


def test_several_classes_follow_bayes_rule():
    p = np.array([[0.2, 0.3, 0.5]])
    old, new = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.2, 0.6])
    wanted = p * new / old
    np.testing.assert_allclose(shifted_rows(p, old, new), wanted / wanted.sum())


@pytest.mark.parametrize("prevalence", [0.02, 0.4, 0.9])
def test_the_estimate_is_where_em_ends_and_a_grid_has_its_maximum(prevalence):
    p, _ = rows(3000, prevalence, 1)
    found = estimate(p, np.ones(3000), 0.4)
    assert found.value[0] == pytest.approx(em(p, 0.4), abs=1e-7)
    grid = np.linspace(1e-4, 1 - 1e-4, 4001)
    one, zero = p / 0.4, (1 - p) / 0.6
    likelihood = np.array([np.log(q * one + (1 - q) * zero).sum() for q in grid])
    assert found.value[0] == pytest.approx(grid[likelihood.argmax()], abs=5e-4)
    inside = grid[likelihood > likelihood.max() - 3.841458820694124 / 2]
    assert (found.low[0], found.high[0]) == pytest.approx((inside[0], inside[-1]), abs=1e-3)


def test_counts_are_rows():
    p, _ = rows(200, 0.3, 2)
    one = estimate(np.repeat(p, 5), np.ones(1000), 0.4)
    two = estimate(p, np.full(200, 5.0), 0.4)
    assert (one.value[0], one.low[0]) == pytest.approx((two.value[0], two.low[0]), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("prevalence", [0.02, 0.15, 0.6])
def test_intervals_cover_the_true_prevalence(prevalence):
    hits = 0
    for seed in range(400):
        p, _ = rows(500, prevalence, seed)
        found = estimate(p, np.ones(500), 0.4)
        hits += found.low[0] <= prevalence <= found.high[0]
    assert 0.925 <= hits / 400 <= 0.985


def test_perfect_scores_are_as_sure_as_labels():
    y = np.arange(1000) < 250
    p = np.where(y, 1 - 1e-12, 1e-12)
    found = estimate(p, np.ones(1000), 0.4)
    assert found.value[0] == pytest.approx(0.25, abs=1e-9)
    assert found.effective[0] == pytest.approx(1000, rel=1e-6)


def test_scores_that_tell_nothing_leave_the_whole_range():
    found = estimate(np.full(1000, 0.4), np.ones(1000), 0.4)
    assert (found.low[0], found.high[0]) == (0.0, 1.0)


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_one_label_only_is_an_end(certain):
    found = estimate(np.full(50, certain), np.ones(50), 0.4)
    assert found.value[0] == certain
    assert found.low[0] < found.high[0]
    reach = np.exp(-3.841458820694124 / 2 / 50)  # (1 - q)^50 = exp(-1.92)
    ends = (found.low[0], found.high[0])
    assert ends == pytest.approx((0, 1 - reach) if certain == 0 else (reach, 1), abs=1e-9)


def test_several_classes_agree_with_the_binary_estimate():
    p, _ = rows(2000, 0.15, 5)
    one = estimate(p, np.ones(2000), 0.4)
    both = estimate_rows(np.column_stack([1 - p, p]), np.ones(2000), np.array([0.6, 0.4]))
    assert both.value[1] == pytest.approx(one.value[0], abs=1e-6)
    np.testing.assert_allclose(both.effective, one.effective[0], rtol=1e-4)


def test_frequencies_of_several_classes_are_found_within_their_intervals():
    rng = np.random.default_rng(6)
    old, new = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    hits = np.zeros(3)
    for _ in range(200):
        y = rng.choice(3, 400, p=new)
        x = rng.normal(0, 1, (400, 3)) + 1.5 * np.eye(3)[y]
        weight = old * np.exp(1.5 * x)
        p = weight / weight.sum(axis=1, keepdims=True)
        found = estimate_rows(p, np.ones(400), old)
        hits += (found.low <= new) & (new <= found.high)
    assert ((hits / 200 > 0.90) & (hits / 200 <= 0.99)).all(), hits / 200
