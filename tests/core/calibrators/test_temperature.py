from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, softmax

from calibcli.core.calibrators import Temperature
from calibcli.core.calibrators.classes.row_scores import clipped_log
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError, UsageError


def bracketed(slope):
    """Where the derivative of the loss in b changes sign: a value alone is flat to sqrt(eps)."""
    return 1 / brentq(slope, 0.05, 20, xtol=1e-14, rtol=1e-14)


def binary_slope(z, y):
    return lambda b: np.mean(z * (expit(b * z) - y))


def rows_slope(z, y):
    truth = z[np.arange(len(y)), y]
    return lambda b: np.mean((softmax(b * z, axis=1) * z).sum(axis=1) - truth)


def rows_loss(z, y, b, w=None):
    return -np.average(log_softmax(b * z.astype(float), axis=1)[np.arange(len(y)), y], weights=w)


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    z = 3 * rng.standard_normal((5000, 7))
    p = softmax(z / 1.7, axis=1)
    y = np.array([rng.choice(7, p=row) for row in p])
    return z, y


def test_binary_temperature_equals_a_bracketed_minimum_of_the_loss():
    rng = np.random.default_rng(0)
    z = 3 * rng.standard_normal(4000)
    y = rng.random(4000) < expit(z / 1.6)
    fitted = Temperature.fit(ScoreStats.from_arrays(z, y, logits=True))
    assert fitted.temperature == pytest.approx(bracketed(binary_slope(z, y)), rel=1e-8)
    assert fitted.notes == ()


def test_rows_temperature_equals_a_bracketed_minimum_of_the_loss(rows, row_source):
    z, y = rows
    fitted = Temperature.fit(row_source(z, y))
    assert fitted.temperature == pytest.approx(bracketed(rows_slope(z, y)), rel=1e-8)


def test_two_classes_equal_the_binary_fit_without_a_factor_of_two(row_source):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((3000, 2)) * 2
    y = (rng.random(3000) < expit((z[:, 1] - z[:, 0]) / 2.5)).astype(int)
    binary = Temperature.fit(ScoreStats.from_arrays(z[:, 1] - z[:, 0], y, logits=True))
    assert Temperature.fit(row_source(z, y)).temperature == pytest.approx(
        binary.temperature, rel=1e-9
    )
    assert Temperature(2.0).apply(np.array([1.0]))[0] == pytest.approx(expit(0.5), rel=1e-15)
    both = Temperature(2.0).apply(np.array([[0.0, 1.0]]))
    assert both[0, 1] == pytest.approx(expit(0.5), rel=1e-15)


def test_float32_gives_the_temperature_of_float64(rows, row_source):
    z, y = rows
    single = z.astype(np.float32)
    low = Temperature.fit(row_source(single, y)).temperature
    assert low == Temperature.fit(row_source(single.astype(float), y)).temperature
    p = expit(z[:, 0]).astype(np.float32)
    label = y == 0
    a, b = (Temperature.fit(ScoreStats.from_arrays(s, label)) for s in (p, p.astype(float)))
    assert a == b


def test_weights_equal_repeated_rows(rows, row_source):
    z, y = rows[0][:400], rows[1][:400]
    w = np.random.default_rng(0).integers(0, 4, 400)
    repeated = row_source(np.repeat(z, w, axis=0), np.repeat(y, w))
    weighted = Temperature.fit(row_source(z, y, w)).temperature
    assert weighted == pytest.approx(Temperature.fit(repeated).temperature, rel=1e-9)
    stats = ScoreStats.from_arrays(z[:, 0], y == 0, w, logits=True)
    more = ScoreStats.from_arrays(np.repeat(z[:, 0], w), np.repeat(y == 0, w), logits=True)
    assert Temperature.fit(stats).temperature == pytest.approx(
        Temperature.fit(more).temperature, rel=1e-12
    )


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered_within_its_standard_error(truth):
    z_scores = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        z = 2 * truth * rng.standard_normal(3000)
        y = rng.random(3000) < expit(z / truth)
        p = expit(z / truth)
        error = 1 / np.sqrt(np.sum(z**2 * p * (1 - p)))  # of b = 1/T, by Fisher information
        fitted = Temperature.fit(ScoreStats.from_arrays(z, y, logits=True))
        z_scores.append((1 / fitted.temperature - 1 / truth) / error)
    assert abs(np.mean(z_scores)) < 3 / np.sqrt(30)
    assert 0.6 < np.std(z_scores) < 1.4


def test_two_or_three_passes_are_enough(rows, row_source):
    source = row_source(*rows, batch=500)
    Temperature.fit(source)
    assert source.passes <= 4  # one of them stops after the first batch
    again = row_source(*rows)
    Temperature.fit(again, start=Temperature.fit(source))
    assert again.passes == 1


def test_rows_sorted_by_class_only_cost_passes(rows, row_source):
    z, y = rows
    order = np.argsort(y, kind="stable")
    sorted_rows = Temperature.fit(row_source(z[order], y[order], batch=100))
    whole = Temperature.fit(row_source(z, y))
    assert sorted_rows.temperature == pytest.approx(whole.temperature, rel=1e-8)


def test_published_list_of_temperatures():
    stats = ScoreStats.from_arrays([2.2, 1.0, 0.2, -0.2, -1, -2], [1, 1, 1, 0, 0, 0], logits=True)
    assert Temperature.fit(stats, temperatures=[0.5, 1, 1.5, 2]).temperature == 0.5
    for bad in ([0.0], [-1.0], [float("inf")], []):
        with pytest.raises(UsageError):
            Temperature.fit(stats, temperatures=bad)


def test_rows_choose_from_a_list(rows, row_source):
    z, y = rows
    grid = [0.5, 1.0, 1.5, 2.0, 3.0]
    best = min(grid, key=lambda t: rows_loss(z, y, 1 / t))
    assert Temperature.fit(row_source(z, y), temperatures=grid).temperature == best


def test_separable_labels_stop_at_the_lower_bound(row_source):
    stats = ScoreStats.from_arrays([2.2, 1.0, 0.2, -0.2, -1, -2], [1, 1, 1, 0, 0, 0], logits=True)
    fitted = Temperature.fit(stats)
    assert fitted.temperature == 0.01
    assert "stopped at its bound" in fitted.notes[0]
    for scale in (1.0, 10.0, 1000.0):
        z = scale * np.eye(4)
        fitted = Temperature.fit(row_source(z, np.arange(4)), bounds=(0.05, 20))
        assert fitted.temperature == 0.05
        assert "separate" in fitted.notes[0]


def test_anti_correlated_labels_stop_at_the_upper_bound(row_source):
    stats = ScoreStats.from_arrays([2.0, 1.0, -1.0, -2.0], [0, 0, 1, 1], logits=True)
    fitted = Temperature.fit(stats)
    assert fitted.temperature == 100.0
    assert "do not rank" in fitted.notes[0]
    rows = Temperature.fit(row_source(-50 * np.eye(4), np.arange(4)))
    assert rows.temperature == 1000.0
    assert rows.at_bound


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 300.0, 1e5])
def test_bounds_follow_the_scale_of_the_logits(scale, rows, row_source):
    z, y = rows
    usual = Temperature.fit(row_source(z, y))
    scaled = Temperature.fit(row_source(scale * z, y))
    assert scaled.temperature == pytest.approx(scale * usual.temperature, rel=1e-6)
    assert scaled.notes == ()
    margin, label = z[:, 0] - z[:, 1], y == 0
    binary = Temperature.fit(ScoreStats.from_arrays(margin, label, logits=True))
    other = Temperature.fit(ScoreStats.from_arrays(scale * margin, label, logits=True))
    assert other.temperature == pytest.approx(scale * binary.temperature, rel=1e-6)


def test_what_is_said_of_a_bound_is_so(row_source):
    error = ScoreStats.from_arrays([-1.0, 5.0, -5.0], [1, 1, 0], logits=True)
    assert "falls further" in Temperature.fit(error, bounds=(5, 20)).notes[0]
    z = np.array([[5.0, 0.0], [0.0, 5.0], [0.0, 1.0]])
    told = Temperature.fit(row_source(z, np.array([0, 1, 0])), bounds=(5, 20)).notes[0]
    assert "falls further" in told
    # A few more rows are right than wrong, so the best temperature is finite but high.
    scores, counts = [1e-3, 1e-3, -1e-3, -1e-3], np.array([1010, 1000, 1000, 1010])
    hardly = ScoreStats.from_arrays(scores, [1, 0, 1, 0], counts, logits=True)
    fitted = Temperature.fit(hardly, bounds=(1e-4, 0.01))
    assert fitted.at_bound
    assert "hardly rank" in fitted.notes[0]
    assert Temperature.fit(hardly).temperature == pytest.approx(0.1, abs=1e-3)


def test_constant_scores_keep_temperature_one(row_source):
    constant = Temperature.fit(ScoreStats.from_arrays([0.5] * 4, [0, 1, 1, 0]))
    assert (constant.temperature, len(constant.notes)) == (1.0, 1)
    rows = Temperature.fit(row_source(np.full((6, 3), 4.0), np.arange(6) % 3))
    assert (rows.temperature, len(rows.notes)) == (1.0, 1)
    zero = ScoreStats.from_arrays([0.0, -8.0], [1, 0], logits=True)
    assert Temperature.fit(zero).temperature == 0.01  # separable, not constant
    off_centre = Temperature.fit(ScoreStats.from_arrays([0.9] * 4, [0, 1, 1, 1]))
    assert Temperature(off_centre.temperature).apply(np.log([9.0]))[0] == pytest.approx(0.75)


def test_one_class_is_refused(row_source):
    with pytest.raises(InputError, match="label 1"):
        Temperature.fit(ScoreStats.from_arrays([0.2, 0.3], [1, 1]))
    with pytest.raises(InputError, match="no rows"):
        Temperature.fit(ScoreStats.from_arrays([0.2, 0.3], [1, 0], np.array([0.0, 0.0])))
    with pytest.raises(InputError, match="label 2"):
        Temperature.fit(row_source(np.eye(3), np.full(3, 2)))
    with pytest.raises(InputError, match="label 0"):
        Temperature.fit(row_source(np.eye(3), np.arange(3), [1, 0, 0]))


def test_a_class_absent_from_the_labels_is_no_error(rows, row_source):
    z, y = rows
    keep = y != 3
    fitted = Temperature.fit(row_source(z[keep], y[keep]))
    oracle = bracketed(rows_slope(z[keep], y[keep]))
    assert fitted.temperature == pytest.approx(oracle, rel=1e-8)


def test_infinite_logits_and_certain_probabilities_fit_and_apply(row_source):
    z = np.array(
        [[-np.inf, 0.0, 1.0], [np.inf, 1.0, 2.0], [0.5, 0.1, -np.inf], [1.0, 2.0, 0.5]] * 5
    )
    y = np.array([2, 0, 1, 2] * 5)
    fitted = Temperature.fit(row_source(z, y))
    p = fitted.apply(z)
    assert np.isfinite(p).all()
    assert p.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-15)
    scores = [-np.inf, np.inf, -np.inf, np.inf, 0.3, 0.6]
    certain = Temperature.fit(ScoreStats.from_arrays(scores, [0, 1, 1, 1, 0, 1], logits=True))
    assert np.isfinite(certain.temperature)
    assert certain.apply(np.array([-np.inf, np.inf])).tolist() == [0.0, 1.0]


def test_rows_of_probabilities_with_zeros_have_published_temperatures(shared_data, row_source):
    known = {
        "cifar_netcal/wideresnet-16-4-cifar-10": 2.0517,
        "cifar_netcal/densenet-bc-100-cifar-100": 2.1165,
        "cifar_netcal/lenet-5-cifar-10": 1.3968,
        "label_errors/20news": 0.7596,
        "label_errors/imdb": 1.7182,
    }
    for name, temperature in known.items():
        z = clipped_log(np.load(shared_data / f"{name}_probs.npy"))
        y = np.load(shared_data / f"{name}_labels.npy").astype(np.int64)
        fitted = Temperature.fit(row_source(z, y))
        assert fitted.temperature == pytest.approx(temperature, abs=5.1e-5), name
    z = clipped_log(np.load(shared_data / "mnist4_splinecalib/calib_probs.npy"))
    y = np.load(shared_data / "mnist4_splinecalib/calib_labels.npy").astype(np.int64)
    assert Temperature.fit(row_source(z, y)).temperature == pytest.approx(0.351359, abs=6e-7)


def test_binary_probabilities_have_the_published_temperature(shared_data):
    with (shared_data / "two_class_example/two_class_example.csv").open() as stream:
        table = list(csv.DictReader(stream))
    p = [float(row["Class1"]) for row in table]
    y = [row["truth"] == "Class1" for row in table]
    fitted = Temperature.fit(ScoreStats.from_arrays(p, y))
    assert fitted.temperature == pytest.approx(1.3433, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-50, 50), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40
    )
)
def test_no_other_temperature_inside_the_bounds_is_better(pairs):
    z, y, w = (np.array(column) for column in zip(*pairs, strict=True))
    if w[y].sum() == 0 or w[~y].sum() == 0:
        return
    fitted = Temperature.fit(ScoreStats.from_arrays(z, y, w, logits=True))
    loss = lambda t: w @ np.logaddexp(0, -np.where(y, 1, -1) * z / t)  # noqa: E731
    least = min(loss(t) for t in np.geomspace(0.01, 100, 300))
    assert loss(fitted.temperature) <= least * (1 + 1e-9) + 1e-9
