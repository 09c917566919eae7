from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.numeric.raw_scale import RawScale, ScoreSpread, stored_scale
from calibcli.errors import InputError

FINITE = st.floats(-1e12, 1e12)


def scale_of(scores, **options):
    spread = ScoreSpread()
    spread.add(np.asarray(scores, dtype=np.float64))
    return spread.scale(**options)


@given(st.lists(FINITE, min_size=1, max_size=40), st.booleans())
def test_scores_keep_their_order_and_cut_offs_part_them_alike(scores, descending):
    raw = np.array(scores)
    scale = scale_of(raw, descending=descending)
    z = scale.keyed(raw)
    order = np.argsort(-raw if descending else raw, kind="stable")
    assert (np.diff(z[order]) >= 0).all()
    assert math.frexp(scale.scale)[0] in (0.5, -0.5)
    for one in np.unique(z):
        cut = scale.cut(float(one))
        assert ((z >= scale.keyed(cut)) == (z >= one)).all()


@pytest.mark.parametrize(
    "scores",
    [np.arange(540, 661), np.geomspace(1e-9, 1e-3, 99), np.linspace(-300, 300, 77), [7.5] * 3],
    ids=["points", "distances", "margins", "one"],
)
@pytest.mark.parametrize("descending", [False, True])
def test_scores_come_back_exactly(scores, descending):
    scale = scale_of(scores, descending=descending)
    assert scale.raw(scale.keyed(scores)).tolist() == list(scores)
    assert [scale.cut(z) for z in scale.keyed(scores)] == list(scores)


def test_quartiles_lie_as_those_of_a_logistic_distribution():
    rng = np.random.default_rng(1)
    for scores in (rng.normal(600, 40, 4000), rng.normal(0, 1e-7, 4000), rng.normal(1e9, 10, 4000)):
        z = scale_of(scores).keyed(scores)
        width = np.subtract(*np.quantile(z, [0.75, 0.25]))
        assert 0.4 < width / (2 * math.log(3)) < 2.5  # a power of two, and cells of 1.6 %


def test_the_scale_depends_on_the_scores_alone():
    scores = np.random.default_rng(2).normal(50, 20, 1001)
    whole = scale_of(scores)
    assert scale_of(scores[::-1]) == whole
    parts = [ScoreSpread(), ScoreSpread()]
    parts[0].add(scores[:7])
    parts[1].add(np.append(scores[7:], [np.nan, np.inf]))
    parts[1].merge(parts[0])
    assert parts[1].scale() == whole


def test_a_score_is_counted_from_its_probability_on():
    scale = RawScale(608.0, 32.0)
    for raw in (540.0, 600.0, 608.0, 659.0, 900.0):
        assert scale.probability(raw) <= 1 / (1 + math.exp(-(raw - 608) / 32)) + 1e-16
        assert scale.probability(raw) > scale.probability(raw - 1e-6) or raw == 900.0


def test_an_artifact_has_it_or_is_damaged():
    scale = RawScale(608.0, -32.0)
    assert stored_scale(scale.to_dict()) == scale
    assert stored_scale(None) is None
    for bad in ({"location": 1.0, "scale": 0.0}, {"location": "x", "scale": 1.0}, {}, [1, 2]):
        with pytest.raises(InputError, match="damaged"):
            stored_scale(bad)
