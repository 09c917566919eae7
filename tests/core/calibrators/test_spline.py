from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from calibcli.core.calibrators import Platt, Spline
from calibcli.core.calibrators.binary.spline import _Design
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def test_an_affine_map_is_found_as_well_as_by_platt():
    regret = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        z = 2 * rng.standard_normal(3000)
        truth = expit(0.6 * z - 0.5)
        stats = ScoreStats.from_arrays(z, rng.random(3000) < truth, logits=True)
        losses = []
        for method in (Platt, Spline):
            p = method.fit(stats).apply(z)
            losses.append(
                np.mean(truth * np.log(truth / p) + (1 - truth) * np.log((1 - truth) / (1 - p)))
            )
        regret.append(losses)
    platt, spline = np.mean(regret, axis=0)
    assert spline < 4 * platt + 1e-4


def test_a_bent_map_is_found_where_platt_cannot():
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal(20_000)
    bent = lambda v: expit(np.where(v < 0, 0.3 * v, 2 * v) - 0.5)  # noqa: E731
    stats = ScoreStats.from_arrays(z, rng.random(20_000) < bent(z), logits=True)
    grid = np.linspace(-4, 3, 141)
    errors = [np.abs(m.fit(stats).apply(grid) - bent(grid)).max() for m in (Spline, Platt)]
    assert errors[0] < 0.04
    assert errors[1] > 2 * errors[0]


@pytest.mark.parametrize("penalty", [0.01, 10.0])
def test_the_fit_is_the_constrained_optimum(penalty):
    rng = np.random.default_rng(1)
    z = 2 * rng.standard_normal(300)
    y = rng.random(300) < expit(np.sin(z))
    stats = ScoreStats.from_arrays(z, y, logits=True)
    design = _Design.of(stats)
    pos, neg = design.grouped(stats)
    theta = design.minimise(pos, neg, penalty, design.start(pos, neg))
    assert (theta[1:] >= 0).all()
    high, low = (pos.sum() + 1) / (pos.sum() + 2), 1 / (neg.sum() + 2)
    ones, zeros = pos * high + neg * low, pos * (1 - high) + neg * (1 - low)

    def loss(t):
        f = design.line.basis @ t
        bend = design.line.bends @ t
        value = ones @ np.logaddexp(0, -f) + zeros @ np.logaddexp(0, f) + penalty * bend @ bend
        slope = design.line.basis.T @ ((ones + zeros) * expit(f) - ones)
        return value, slope + 2 * penalty * design.line.bends.T @ bend

    bounds = [(None, None)] + [(0, None)] * (len(theta) - 1)
    oracle = minimize(loss, design.start(pos, neg), jac=True, method="L-BFGS-B", bounds=bounds,
                      options={"maxiter": 5000, "ftol": 1e-14})  # fmt: skip
    assert loss(theta)[0] <= oracle.fun * (1 + 1e-7)


@pytest.mark.parametrize("penalty", [1e5, 1.0, 0.01])
def test_problems_side_by_side_have_the_optima_that_each_has_alone(penalty):
    rng = np.random.default_rng(3)
    z = 2 * rng.standard_normal(400)
    design = _Design.of(ScoreStats.from_arrays(z, rng.random(400) < 0.5, logits=True))
    label = rng.random((4, 400)) < expit(np.outer([1.0, -1.0, 0.2, 3.0], np.sin(z)))
    grouped = [design.grouped(ScoreStats.from_arrays(z, y, logits=True)) for y in label]
    pos, neg = (np.stack([one[side] for one in grouped]) for side in (0, 1))
    start = design.start(pos[0], neg[0])
    together = design.minimise(pos, neg, penalty, np.repeat(start[None], 4, axis=0))
    for one, ones, zeros in zip(together, pos, neg, strict=True):
        alone = design.minimise(ones, zeros, penalty, start)
        assert design.line.basis @ one == pytest.approx(design.line.basis @ alone, abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, 30.0, 150.0])
def test_saturated_scores_do_not_stop_the_search_short(scale):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        z, y = scale * rng.standard_normal(9), np.arange(9) % 3 == 0
        design = _Design.of(ScoreStats.from_arrays(z, y, logits=True))
        pos, neg = design.grouped(ScoreStats.from_arrays(z, y, logits=True))
        penalty = 10.0 ** rng.uniform(-2, 5)
        theta = design.minimise(pos, neg, penalty, design.start(pos, neg))
        high, low = (pos.sum() + 1) / (pos.sum() + 2), 1 / (neg.sum() + 2)
        ones = pos * high + neg * low
        slope = design.line.basis.T @ ((pos + neg) * expit(design.line.basis @ theta) - ones)
        slope += 2 * penalty * design.line.bends.T @ (design.line.bends @ theta)
        slope /= np.sqrt(np.mean(design.line.basis**2, axis=0)) + np.sqrt(penalty) * np.sqrt(
            np.sum(design.line.bends**2, axis=0)
        )
        free = np.append(True, theta[1:] > 0)
        assert np.abs(slope[free]).max() < 1e-3
        assert (slope[~free] > -1e-3).all()


def test_published_files_are_fitted_as_well_as_by_the_published_spline(shared_data):
    """Test log losses of Lucena's splinecalib on its own data."""
    import csv

    known = {"mozilla4_1046_rf": 0.12779, "airlines_42493_rf": 0.67765, "2dplanes_727_cb3": 0.16595}
    for name, published in known.items():
        halves = []
        for half in ("calibset", "testset"):
            with (shared_data / f"splinecalib/{half}_{name}.csv").open() as stream:
                table = list(csv.DictReader(stream))
            p = np.array([float(row["y_pred"]) for row in table])
            halves.append((p, np.array([float(row["y_true"]) > 0 for row in table])))
        fitted = Spline.fit(ScoreStats.from_arrays(*halves[0]))
        stats = ScoreStats.from_arrays(*halves[1])
        after = stats.map(fitted.apply(stats.logit))
        assert after.log_loss_sum / after.n < published * 1.001, name


def test_weights_of_counts_equal_repeated_rows():
    rng = np.random.default_rng(2)
    z, w = rng.standard_normal(200), rng.integers(0, 5, 200)
    y = rng.random(200) < expit(z)
    a = Spline.fit(ScoreStats.from_arrays(z, y, w, logits=True))
    b = Spline.fit(ScoreStats.from_arrays(np.repeat(z, w), np.repeat(y, w), logits=True))
    assert a.to_dict() == b.to_dict()


def test_degenerate_input_has_a_clear_outcome():
    same = Spline.fit(ScoreStats.from_arrays([0.7] * 5, [0, 1, 0, 1, 0]))
    assert same.apply(np.array([-3.0, 3.0])) == pytest.approx([3 / 7] * 2)
    backwards = Spline.fit(ScoreStats.from_arrays(np.linspace(0.1, 0.9, 60), np.arange(60) < 30))
    assert any("do not rank" in note for note in backwards.notes)
    assert np.ptp(backwards.y) == 0.0
    separable = Spline.fit(ScoreStats.from_arrays(np.linspace(0.1, 0.9, 60), np.arange(60) >= 30))
    assert np.isfinite(separable.y).all()
    with pytest.raises(InputError):
        Spline.fit(ScoreStats.from_arrays([0.1, 0.2], [0, 0]))


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(-20, 20), st.booleans(), st.integers(0, 50)), min_size=2, max_size=40
    )
)
def test_the_map_never_decreases(rows):
    z, y, w = (np.array(column) for column in zip(*rows, strict=True))
    if w[y].sum() == 0 or w[~y].sum() == 0:
        return
    fitted = Spline.fit(ScoreStats.from_arrays(z, y, w, logits=True))
    p = fitted.apply(np.sort(np.append(np.linspace(-25, 25, 301), z)))
    assert (np.diff(p) >= -1e-15).all()  # exp itself may round down
    assert ((p >= 0) & (p <= 1)).all()
