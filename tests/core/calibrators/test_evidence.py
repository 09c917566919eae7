"""Weights in any unit give one map: what counts as evidence is rows, or Kish's effective rows."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import CALIBRATORS
from calibcli.core.calibrators.evidence import effective_rows, label_evidence
from calibcli.core.calibrators.types import SCORE
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.families import deal, fit_family
from calibcli.core.fitting.problems import BINARY_CANDIDATES, Pairs
from calibcli.core.statistics.stats import ScoreStats

METHODS = [name for name, kind in CALIBRATORS.items() if kind.takes >= SCORE]
AT = np.linspace(0.02, 0.98, 25)


def dump(n=300, seed=0, weight=None, unit=1.0):
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 1, n), 2)
    y = rng.random(n) < p**2
    w = rng.choice([1.0, 2.0, 3.0], n) if weight is None else np.full(n, weight)
    return ScoreStats.from_arrays(p, y, w * unit)


def mapped(calibrator):
    from calibcli.core.calibrators import calibrate

    return calibrate(calibrator, AT, logits=False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [1 / 300, 1e6])
def test_weights_in_any_unit_give_one_map(method, unit):
    fit = CALIBRATORS[method].fit
    assert mapped(fit(dump(unit=unit))) == pytest.approx(mapped(fit(dump())), abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_equal_weights_are_rows(method):
    rng = np.random.default_rng(0)
    p = np.round(rng.beta(1, 1, 300), 2)
    rows = ScoreStats.from_arrays(p, rng.random(300) < p)
    rng = np.random.default_rng(0)
    p = np.round(rng.beta(1, 1, 300), 2)
    weighted = ScoreStats.from_arrays(p, rng.random(300) < p, np.full(300, 1 / 300))
    fit = CALIBRATORS[method].fit
    assert mapped(fit(weighted)) == pytest.approx(mapped(fit(rows)), abs=1e-6)


def test_84_rows_of_weight_one_in_84_are_84_rows():
    p = np.repeat([0.1, 0.9], 42)
    y = np.repeat([False, True], 42)
    y[[0, 1, 82, 83]] = True, True, False, False
    stats = ScoreStats.from_arrays(p, y, np.full(84, 1 / 84))
    assert effective_rows(stats) == pytest.approx(84)
    assert label_evidence(stats) == pytest.approx((42, 42))
    isotonic = CALIBRATORS["isotonic"].fit(stats)
    assert isotonic.apply(np.array([0.1, 0.9])) == pytest.approx([3 / 43, 40 / 43])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_auto_and_groups_choose_alike_in_any_unit(unit):
    one, other = (
        auto(Pairs(dump(1500, unit=scale)), methods=BINARY_CANDIDATES) for scale in (1.0, unit)
    )
    assert other.calibrator.method == one.calibrator.method != "identity"
    assert mapped(other.calibrator) == pytest.approx(mapped(one.calibrator), abs=1e-9)
    families = []
    for scale in (1.0, unit):
        parts = deal([dump(400, 1, unit=scale), dump(60, 2, unit=scale)], 5, 0)
        fit = CALIBRATORS["platt"].fit
        families.append(fit_family(parts, fit, {"platt": fit}, earn=True))
    assert families[0].prior_rows == families[1].prior_rows
    assert [one.weight for one in families[1].slices] == pytest.approx(
        [one.weight for one in families[0].slices]
    )
