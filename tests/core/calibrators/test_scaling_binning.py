from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from calibcli.core.calibrators import Platt, ScalingBinning
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import UsageError


@pytest.fixture
def dump():
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal(4000)
    return z, rng.random(4000) < expit(0.6 * z - 0.5)


def test_values_are_the_mean_of_the_line_in_equal_mass_bins(dump):
    z, y = dump
    stats = ScoreStats.from_arrays(z, y, logits=True)
    fitted = ScalingBinning.fit(stats, bins=8)
    line = Platt.fit(stats).apply(z)
    order = np.argsort(line)
    chunks = np.array_split(line[order], 8)
    assert fitted.values == pytest.approx([chunk.mean() for chunk in chunks], rel=1e-12)
    assert fitted.apply(z[order]) == pytest.approx(np.repeat(fitted.values, 500), rel=1e-12)
    assert fitted.apply(z).mean() == pytest.approx(line.mean(), rel=1e-12)


def test_its_values_vary_less_than_a_histograms():
    from calibcli.core.calibrators import Histogram

    spread = []
    for method in (ScalingBinning, Histogram):
        outs = []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            z = 2 * rng.standard_normal(400)
            y = rng.random(400) < expit(z)
            fitted = method.fit(ScoreStats.from_arrays(z, y, logits=True), bins=10)
            grid = np.linspace(-3, 3, 31)
            outs.append(fitted.apply(grid if fitted.space == "logit" else expit(grid)))
        spread.append(np.mean(np.var(outs, axis=0)))
    assert spread[0] < 0.7 * spread[1]


def test_a_decreasing_line_is_binned_too():
    z = np.linspace(-2, 2, 60)
    fitted = ScalingBinning.fit(ScoreStats.from_arrays(z, z < 0, logits=True), bins=4)
    assert (np.diff(fitted.apply(z)) <= 0).all()
    assert fitted.notes


def test_bins_must_be_positive(dump):
    with pytest.raises(UsageError):
        ScalingBinning.fit(ScoreStats.from_arrays(*dump, logits=True), bins=0)
