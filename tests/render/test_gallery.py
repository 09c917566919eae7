"""Figures told once: those of a search over regions, and the names of all."""

from __future__ import annotations

import re

import pytest

from calibcli.render.charts import gallery, gallery_decisions, vega
from tests.render.whole import reported, typed


def curve(name, area, dice, *, filled=False):
    return {
        "slice": {"kind": "class", "name": name}, "min_area": area, "fill_holes": filled,
        "threshold": [0.2, 0.5, 0.8], "dice": dice, "iou": [0.1, 0.2, 0.1], "mean_dice": dice,
    }  # fmt: skip


@pytest.fixture
def searched(make_multiclass):
    curves = [curve("</script>", 0, [0.3, 0.6, None])]
    curves += [curve("</script>", 20, [0.4, 0.7, 0.5], filled=True)]
    curves += [curve("other", i, [0.1 * i] * 3) for i in range(6)]
    measure = make_multiclass(("</script>", "other"), n=300)
    regions = {
        "connectivity": 8, "order": "", "searched": {"min_area": [], "fill_holes": []},
        "thresholds": "", "images": 1, "images_searched": 1, "background": None, "overlap": None,
        "nothing": 0, "together": [], "curves": curves,
    }  # fmt: skip
    chosen = {"objective": "dice", "thresholds": [], "regions": regions}
    return reported({"measure": measure, "thresholds": chosen})


def test_a_search_is_drawn_best_first_and_says_what_it_left_out(searched):
    one, other = gallery_decisions.search_figures(searched)
    best, second = one.spec["layer"]
    assert [v["y"] for v in best["data"]["values"]] == [0.4, 0.7, 0.5]
    assert [v["y"] for v in second["data"]["values"]] == [0.3, 0.6]
    assert "regions from 20 pixels, holes filled is 0.7000" in one.says
    assert len(other.spec["layer"]) == 4
    assert "the best 4 of 6 settings" in other.says
    assert "</script>" not in vega.chart_svg(one.spec, "x")


def test_every_figure_has_a_name_of_its_own_that_is_a_file_name(searched, make_binary):
    columns = ("a b", "a/b", "日本")
    measure = make_binary(400, with_curves=True, groups=("x", "y"))
    parts = measure["groups"]
    measure["groups"] = [
        {**part, "slice": {**part["slice"], "column": column}}
        for column in columns
        for part in parts
    ]
    for report in (searched, typed(measure)):
        names = [figure.identity for figure in gallery.all_figures(report)]
        assert len(names) == len(set(names)) > 4
        assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
