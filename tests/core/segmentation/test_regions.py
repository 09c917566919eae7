"""Regions against a plain flood fill that shares nothing with the code under test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from calibcli.core.decisions.rules import NONE, ClassCuts, Cut, decide_band, decide_classes
from calibcli.core.segmentation.regions import Cleaning, region_hits
from calibcli.core.segmentation.rules import MaskRule, PixelRule
from tests.flood import cleaned

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("fill_holes", [False, True])
@given(mask=masks, min_area=st.integers(0, 12))
def test_cleaning_is_that_of_a_flood_fill(mask, min_area, fill_holes, connectivity):
    made = Cleaning(min_area, fill_holes, connectivity).clean(mask)
    assert np.array_equal(made, cleaned(mask, min_area, fill_holes, connectivity))


@given(mask=masks, data=st.data())
def test_hits_are_those_of_the_cleaned_mask(mask, data):
    truth = data.draw(arrays(np.bool_, mask.shape))
    areas = (0, 1, 2, 3, 7)
    for connectivity in (4, 8):
        found = region_hits(mask, truth, areas, connectivity)
        for area, (right, wrong) in zip(areas, found.tolist(), strict=True):
            kept = cleaned(mask, area, False, connectivity)
            assert (right, wrong) == ((kept & truth).sum(), (kept & ~truth).sum())


def test_a_ring_closed_by_corners_holds_a_hole_only_where_corners_count():
    ring = np.zeros((5, 5), np.bool_)
    ring[[1, 2, 2, 3], [2, 1, 3, 2]] = True  # a diamond: its pixels touch at corners
    assert Cleaning(0, True, 8).clean(ring)[2, 2]
    assert not Cleaning(0, True, 4).clean(ring)[2, 2]
    assert Cleaning(5, True, 8).clean(ring).sum() == 5  # counted after filling
    assert not Cleaning(5, True, 4).clean(ring).any()


def test_without_cleaning_several_claims_are_decided_as_rows_are():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(8, 9)).transpose(2, 0, 1)
    thresholds = (0.2, 0.4, 0.6)
    rule = MaskRule(thresholds, (Cleaning(),) * 3)
    rows = decide_classes(p.reshape(3, -1).T, np.array(thresholds)).reshape(8, 9)
    assert np.array_equal(rule.decide(p), rows)


def test_pixels_are_decided_as_rows_are_whatever_lies_contiguous():
    rng = np.random.default_rng(1)
    p = np.ascontiguousarray(rng.dirichlet(np.ones(4), size=(5, 7)).transpose(2, 0, 1))
    cuts = ClassCuts(np.array([0.2, 0.4, np.nan, 0.3]), np.array([1.0, 0.5, 0.5, 0.2]))
    rows = cuts.decide(np.ascontiguousarray(p.reshape(4, -1).T)).reshape(5, 7)
    assert np.array_equal(PixelRule(cuts, binary=False).decide(p), rows)
    band = PixelRule(Cut(0.6, 0.3), binary=True).decide(p[:1])
    assert np.array_equal(band[0], decide_band(p[0], 0.3, 0.6))


def test_background_gets_what_no_other_structure_claims():
    p = np.array([[[0.9, 0.1]], [[0.05, 0.6]], [[0.05, 0.3]]])
    rule = MaskRule((np.nan, 0.5, 0.9), (Cleaning(),) * 3, background=0)
    assert rule.decide(p).tolist() == [[0, 1]]
    assert MaskRule((np.nan, 0.7, 0.9), (Cleaning(),) * 3).decide(p).tolist() == [[NONE, NONE]]
