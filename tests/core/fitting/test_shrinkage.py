from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.calibrators import Isotonic, Platt, Temperature, calibrator_from_dict
from calibcli.core.fitting.families import (
    FEWEST,
    PRIOR_ROWS,
    Shrunk,
    deal,
    fit_family,
    informative_rows,
    shrinkage_weight,
)
from calibcli.core.fitting.held_out import apply_to_cells
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def pairs(n, slope=1.0, shift=0.0, seed=0, cluster=None):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, n)
    y = rng.random(n) < expit(slope * z + shift)
    return ScoreStats.from_arrays(z, y, logits=True, cluster=cluster)


def test_shrunk_platt_is_platt_of_shrunk_parameters():
    own, overall = Platt(-2.0, 0.5), Platt(-0.5, -1.0)
    z = np.linspace(-6, 6, 41)
    w = 0.3
    expected = Platt(w * -2.0 + (1 - w) * -0.5, w * 0.5 + (1 - w) * -1.0).apply(z)
    assert Shrunk(own, overall, w).apply(z) == pytest.approx(expected, rel=1e-9)


def test_shrunk_temperature_shrinks_the_inverse():
    z = np.linspace(-5, 5, 21)
    expected = Temperature(1 / (0.25 / 0.5 + 0.75 / 2.0)).apply(z)
    found = Shrunk(Temperature(0.5), Temperature(2.0), 0.25).apply(z)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_ends_are_the_maps_themselves(weight):
    stats = pairs(2000)
    own, overall = Isotonic.fit(stats), Platt(-0.5, -1.0)
    z = np.linspace(-5, 5, 21)
    expected = own.apply(expit(z)) if weight else overall.apply(z)
    assert Shrunk(own, overall, weight).apply(z) == pytest.approx(expected, abs=1e-12)


def test_json_round_trip_is_exact():
    one = Shrunk(Platt(-1.1, 0.3), Temperature(1 / 3), 0.7)
    again = calibrator_from_dict(one.to_dict())
    assert again == one


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_a_weight_outside_its_range_is_refused(weight):
    payload = Shrunk(Platt(-1.0, 0.0), Platt(-1.0, 0.0), 0.5).to_dict() | {"weight": weight}
    with pytest.raises(InputError, match="weight"):
        calibrator_from_dict(payload)


def test_informative_rows_are_those_of_a_balanced_sample():
    labels = np.repeat([1, 0], [300, 700])
    stats = ScoreStats.from_arrays(np.full(1000, 0.3), labels)
    assert informative_rows(stats) == pytest.approx(4 * 1000 * 0.3 * 0.7)
    balanced = ScoreStats.from_arrays(np.full(10, 0.3), np.repeat([1, 0], 5))
    assert informative_rows(balanced) == pytest.approx(10)


def test_weight_grows_with_rows_and_falls_with_the_prior():
    small, large = pairs(100), pairs(10_000)
    assert shrinkage_weight(small, 100) < shrinkage_weight(large, 100) < 1
    assert shrinkage_weight(small, 10) > shrinkage_weight(small, 1000)
    assert shrinkage_weight(large, math.inf) == 0.0


def family(slices, folds=5, seed=0, **options):
    return fit_family(deal(slices, folds, seed), Platt.fit, {"platt": Platt.fit}, **options)


def test_equal_slices_share_one_map():
    shared = sum(
        math.isinf(family([pairs(400, seed=10 * s + g) for g in range(8)], earn=True).prior_rows)
        for s in range(10)
    )
    assert shared >= 8


def test_different_slices_have_maps_of_their_own():
    slices = [pairs(4000, 1.0, 1.5, 1), pairs(4000, 1.0, -1.5, 2), pairs(4000, 0.3, 0.0, 3)]
    found = family(slices, earn=True)
    assert found.prior_rows <= 100
    assert all(one.weight > 0.9 for one in found.slices)
    for one, (slope, shift) in zip(
        found.slices, [(1.0, 1.5), (1.0, -1.5), (0.3, 0.0)], strict=True
    ):
        assert isinstance(one.own, Platt)
        assert -one.own.a == pytest.approx(slope, abs=0.1)
        assert -one.own.b == pytest.approx(shift, abs=0.2)


def test_borrowing_beats_both_extremes_on_many_small_slices():
    # Random slopes and shifts: the textbook case for shrinkage.
    rng = np.random.default_rng(5)
    truth = [(1 + 0.2 * rng.normal(), 0.4 * rng.normal()) for _ in range(40)]
    train = [pairs(60, a, b, seed) for seed, (a, b) in enumerate(truth)]
    fresh = [pairs(4000, a, b, 1000 + seed) for seed, (a, b) in enumerate(truth)]
    found = family(train)

    def loss(maps):
        total = 0.0
        for stats, one in zip(fresh, maps, strict=True):
            total += stats.map(one.apply(stats.logit)).log_loss_sum
        return total

    pooled = loss([one.with_overall(found.overall) for one in found.slices])
    assert pooled < loss([found.overall] * len(fresh))
    assert pooled < loss([one.own or found.overall for one in found.slices])
    assert 3 < found.prior_rows < math.inf


def test_a_slice_of_one_label_has_the_overall_map():
    only = ScoreStats.from_arrays(np.linspace(-2, 2, 50), np.ones(50), logits=True)
    tiny = ScoreStats.from_arrays(np.linspace(-2, 2, 12), np.repeat([0, 1], [3, 9]), logits=True)
    found = family([pairs(3000, seed=1), only, tiny])
    assert found.slices[1].own is None
    assert "one label" in found.slices[1].note
    assert found.slices[2].weight == 0.0
    assert f"fewer than {FEWEST}" in found.slices[2].note
    assert found.slices[1].with_overall(found.overall) is found.overall


def test_held_out_pairs_are_all_rows_once():
    slices = [pairs(500, seed=1), pairs(300, 2.0, 0.5, seed=2)]
    found = family(slices)
    for stats, held in zip(slices, found.held_out, strict=True):
        assert (held.n, held.positives) == (stats.n, stats.positives)


def test_clusters_stay_in_one_fold_across_slices():
    cluster = np.repeat(np.arange(100), 5)
    slices = [pairs(500, seed=s, cluster=cluster) for s in (1, 2)]
    parts = deal(slices, 4, seed=3)
    for fold in range(4):
        inside = [set(np.unique(one[fold].parts.slot).tolist()) for one in parts]
        for other in range(4):
            if other != fold:
                outside = [set(np.unique(one[other].parts.slot).tolist()) for one in parts]
                assert not (inside[0] | inside[1]) & (outside[0] | outside[1])
    assert sum(part.n for part in parts[0]) == 500


def test_infinite_prior_is_a_candidate():
    assert math.isinf(PRIOR_ROWS[-1])


@pytest.mark.slow
def test_held_out_figures_of_many_small_slices_are_those_of_fresh_rows():
    """Folds of balanced labels would make the levels of 20 slices of 40 rows look exact."""
    rng = np.random.default_rng(0)

    def drawn(rows):
        z = rng.normal(0, 1.5, rows)
        return ScoreStats.from_arrays(z, rng.random(rows) < expit(z), logits=True)

    apart = []
    for _ in range(25):
        slices = [drawn(40) for _ in range(20)]
        family = fit_family(deal(slices, 5, 0), Platt.fit, {"platt": Platt.fit})
        shown = sum(one.log_loss_sum for one in family.held_out) / 800
        truth = []
        for one in family.slices:
            fresh = drawn(4000)
            calibrator = one.with_overall(family.overall)
            truth.append(fresh.map(apply_to_cells(calibrator, fresh)).log_loss_sum / 4000)
        own = sum(one.log_loss_sum for one in slices) / 800
        fresh_loss = 0.52741  # of the true probabilities: E[-log p_y] for z ~ N(0, 1.5^2)
        apart.append((own - shown) - (fresh_loss - np.mean(truth)))
    # What fit shows as gained, less what is gained on fresh rows.
    assert abs(np.mean(apart)) < 0.0045


def test_slices_of_one_row_are_in_all_folds():
    slices = [ScoreStats.from_arrays([0.1 * k], [k % 2]) for k in range(10)]
    parts = deal(slices, 5, 0)
    assert [sum(float(one[fold].n) for one in parts) for fold in range(5)] == [2.0] * 5
