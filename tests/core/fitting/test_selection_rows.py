from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from calibcli.core.calibrators import OneVsRest, Temperature
from calibcli.core.calibrators.classes.rows import Batches, RowBatch
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.held_out import label_losses
from calibcli.core.fitting.problems import ROW_CANDIDATES, Rows, cross_fit_rows
from calibcli.errors import InputError


def drawn(n, temperature=1.0, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, classes))
    gumbel = rng.gumbel(size=z.shape)
    return z, (z / temperature + gumbel).argmax(axis=1)


def source(z, y, weight=None, bucket=None, logits=True):
    home = np.random.default_rng(9).integers(0, 64, len(z)) if bucket is None else bucket
    batches = []
    for start in range(0, len(z), 700):
        part = slice(start, start + 700)
        w = None if weight is None else weight[part]
        square = None if w is None else w * w
        batches.append(RowBatch(z[part], logits, y[part], w, square, home[part]))
    return Batches(batches, z.shape[1], logits=logits)


def auto_rows(rows, methods=ROW_CANDIDATES, *, clustered=False, **options):
    return auto(Rows(rows, clustered=clustered), methods=methods, **options)


@pytest.mark.slow
def test_identity_is_kept_on_calibrated_rows_nine_times_in_ten():
    kept = sum(
        auto_rows(
            source(*drawn(400, seed=seed)), methods=("temperature", "vector")
        ).calibrator.method
        == "identity"
        for seed in range(40)
    )
    assert kept >= 32  # a one-in-a-hundred accident if nine in ten were the truth


@pytest.mark.parametrize("select", ["nll", "brier"])
def test_a_wrong_temperature_is_found(select):
    result = auto_rows(source(*drawn(3000, 2.0)), select=select)
    assert isinstance(result.calibrator, Temperature)
    assert result.calibrator.temperature == pytest.approx(2.0, rel=0.1)
    assert len(result.folds) == 5


def test_methods_that_are_as_simple_keep_their_order():
    rows = source(*drawn(300, 1.5))
    for methods in (("vector", "svs"), ("svs", "vector")):
        found = [one.method for one in auto_rows(rows, methods=methods).candidates]
        assert found == ["identity", *methods]


def test_scores_are_the_held_out_losses_by_hand():
    z, y = drawn(1500, 1.6)
    bucket = np.arange(1500) % 64
    rows = source(z, y, bucket=bucket)
    table = {row.method: row for row in auto_rows(rows, methods=("temperature",)).candidates}
    own = -log_softmax(z, axis=1)[np.arange(1500), y]
    fitted = np.zeros(1500)
    for fold in range(5):
        out = bucket % 5 == fold
        t = Temperature.fit(source(z[~out], y[~out])).temperature
        fitted[out] = -log_softmax(z[out] / t, axis=1)[np.arange(out.sum()), y[out]]
    assert table["identity"].score == pytest.approx(own.mean(), rel=1e-12)
    assert table["temperature"].score == pytest.approx(fitted.mean(), rel=1e-8)
    p, by_label = softmax(z, axis=1), -log_softmax(z, axis=1)
    implied = 0.0
    for fold in range(5):
        out = bucket % 5 == fold
        t = Temperature.fit(source(z[~out], y[~out])).temperature
        swing = by_label[out] + log_softmax(z[out] / t, axis=1)
        mean = (p[out] * swing).sum(axis=1, keepdims=True)
        implied += np.sum(p[out] * (swing - mean) ** 2)
    observed = np.std(own - fitted) / np.sqrt(1500)
    least = min(observed, 2 * np.sqrt(implied) / 1500)
    assert table["identity"].se == pytest.approx(least, rel=1e-6)


def test_fold_calibrators_have_not_seen_their_fold():
    z, y = drawn(600, 1.5)
    bucket = np.arange(600) % 64
    fits = cross_fit_rows(source(z, y, bucket=bucket), "temperature", folds=3)
    for fold, one in enumerate(fits):
        out = bucket % 3 == fold
        alone = Temperature.fit(source(z[~out], y[~out]))
        assert one.temperature == pytest.approx(alone.temperature, rel=1e-8)


@pytest.mark.slow
def test_clusters_widen_the_standard_errors():
    z, y = drawn(640, 1.5)
    bucket = np.repeat(np.arange(64), 10)
    nine = [np.repeat(v, 9, axis=0) for v in (z, y, bucket)]
    naive, honest = (
        auto_rows(source(nine[0], nine[1], bucket=nine[2]), clustered=c) for c in (False, True)
    )
    assert honest.candidates[0].se > 2 * naive.candidates[0].se


def test_binary_methods_run_one_vs_rest():
    result = auto_rows(source(*drawn(1200)), methods=("isotonic",))
    names = [row.method for row in result.candidates]
    assert names == ["identity", "isotonic"]
    assert result.candidates[1].score is not None
    fits = cross_fit_rows(source(*drawn(1200)), "isotonic")
    assert all(isinstance(one, OneVsRest) for one in fits)


def test_few_rows_keep_the_scores():
    result = auto_rows(source(*drawn(4, seed=3)))
    assert result.calibrator.method == "identity"
    assert "too few" in result.notes[0]
    table = {row.method: row for row in auto_rows(source(*drawn(500))).candidates}
    assert "below 1000" in table["isotonic"].note


def test_one_class_is_refused():
    with pytest.raises(InputError, match="label 0"):
        auto_rows(source(np.eye(3), np.zeros(3, dtype=int)))


def test_label_losses():
    p = softmax(np.random.default_rng(0).standard_normal((20, 3)), axis=1)
    y = np.arange(20) % 3
    assert label_losses(p, "nll")[np.arange(20), y] == pytest.approx(-np.log(p[np.arange(20), y]))
    brier = ((p - np.eye(3)[y]) ** 2).sum(axis=1)
    assert label_losses(p, "brier")[np.arange(20), y] == pytest.approx(brier, abs=1e-15)


def test_a_certain_error_does_not_hide_behind_its_own_noise():
    z, y = drawn(2000, 1.3, seed=1)
    z[0] = [0.0, 0.0, 0.0, 60.0]
    y[0] = 0
    table = {
        row.method: row for row in auto_rows(source(z, y), methods=("temperature",)).candidates
    }
    assert table["temperature"].chosen
    assert table["identity"].se < 34.5 / 2000 / 2
