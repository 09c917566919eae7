import html
import re

import pytest
from msgspec.structs import replace

from calibcli.core.results.comparisons import Period
from calibcli.core.results.figures import Confusion, Figure
from calibcli.core.results.reading import typed, typed_as
from calibcli.render.charts import maps, periods, ranking, reliability, slices, vega
from calibcli.render.charts.palette import AFTER, DARK
from calibcli.render.words.names import visible
from calibcli.tasks.words import ONE_SCORE
from tests.render.whole import part

vl_convert = pytest.importorskip("vl_convert")
RATES = [Figure(0.5)] * 5


@pytest.fixture(scope="module")
def specs(request):
    from importlib import util

    path = request.path.with_name("conftest.py")
    module_spec = util.spec_from_file_location("render_results", path)
    results = util.module_from_spec(module_spec)
    module_spec.loader.exec_module(results)
    made = typed(results.binary(1000, calibrated=True, with_curves=True, groups=results.NASTY))
    whole, task = made.overall, ONE_SCORE
    after = whole.calibrated
    point = {"x": 0.2, "y": 0.5, "label": "0.5"}
    return made, {
        "before": reliability.reliability(whole.bins, task=task, title="Before"),
        "after": reliability.reliability(after.bins, task=task, title="After", color=AFTER),
        "pair": reliability.reliability_pair(whole.bins, after.bins, task=task, title="<script>"),
        "roc": ranking.roc([(whole.roc, True)], [point], title="ROC"),
        "pr": ranking.precision_recall([(whole.pr, True)], [point], prevalence=0.3, title="PR"),
        "confusion": maps.confusion(whole.confusion[0], title="At 0.5"),
        "dots": slices.dots(made.groups, tolerance=0.05, title="ECE"),
    }


def test_the_same_specification_gives_the_same_bytes_whatever_was_drawn_before(specs):
    first = {name: vega.chart_svg(spec, name) for name, spec in specs[1].items()}
    second = {name: vega.chart_svg(spec, name) for name, spec in reversed(specs[1].items())}
    assert first == second


def test_clip_paths_get_ids_of_their_own():
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 2}]},
        "mark": {"type": "line", "clip": True},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }
    one, again, other = (vega.chart_svg(spec, name) for name in ("one", "one", "other"))
    assert one == again
    ids = set(re.findall(r'id="([^"]+)"', one))
    assert ids
    assert ids == set(re.findall(r"url\(#([^)]+)\)", one))
    assert not ids & set(re.findall(r'id="([^"]+)"', other))


@pytest.mark.parametrize("before", ["", "x", "W" * 9])
@pytest.mark.parametrize(
    "name",
    ["constructor", "toString", "hasOwnProperty", "valueOf", "__proto__", "\U0001f600" * 16,
     "\U0001f600" * 40, "\U0010ffff" * 30, "W" * 40, "日本語" * 30, "datum.x", "a\u241fb"],
)  # fmt: skip
def test_any_name_can_be_drawn(before, name):
    ece = {"metrics": {"ece": {"value": 0.1, "low": 0.05, "high": 0.2}}}
    one = part({"slice": {"kind": "group", "column": "g", "value": before + name}, **ece})
    rest = {"bad": False, "changed": [], "why": []}
    period = typed_as({"value": before + name, **rest, **ece}, Period)
    dots = vega.chart_svg(slices.dots([one, one], tolerance=0.05, title=before + name), "a")
    shown = html.unescape(re.sub(r"<[^>]*>", "\n", dots)).split("\n")
    drawn = [line for line in shown if line.startswith(visible(before + name)[:6])]
    assert len(drawn) == 3
    assert drawn.count(visible(before + name)) >= 1
    line = vega.chart_svg(periods.series([period] * 3, ("ece",), {}, title=before + name), "a")
    assert visible(before + name)[:3] in html.unescape(line)


def test_a_label_that_looks_like_an_id_is_left_alone(specs):
    group = specs[0].groups[0]
    where = replace(group.where, value='id="clip1" url(#clip1)')
    named = replace(group, slice=where)
    svg = vega.chart_svg(slices.dots([named], tolerance=0.05, title=""), "x")
    assert 'id="clip1" url(#clip1)' in svg.replace("&quot;", '"')


def test_every_colour_has_a_dark_counterpart(specs):
    for name, spec in specs[1].items():
        svg = vega.chart_svg(spec, name)
        colors = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {"none"}
        assert colors <= set(DARK), name


def test_svg_needs_no_inline_style_no_script_and_no_network(specs):
    for name, spec in specs[1].items():
        svg = vega.chart_svg(spec, name)
        assert not re.search(r"style=|<script|<style|<image|<a |href=|on\w+=", svg)
        assert set(re.findall(r"https?://[^\"]+", svg)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_reliability_draws_each_bin_that_has_rows(specs):
    made, all_specs = specs
    filled = [b for b in made.overall.bins if b.count]
    diagram, histogram = all_specs["before"]["vconcat"]
    points = diagram["layer"][-1]["data"]["values"]
    assert [(p["x"], p["y"]) for p in points] == [(b.score, b.frequency) for b in filled]
    off = [not b.frequency_low <= b.score <= b.frequency_high for b in filled]
    assert [p["off"] for p in points] == off
    bars = histogram["layer"][0]["data"]["values"]
    assert sum(bar["count"] for bar in bars) == made.overall.rows


def test_dots_put_the_most_harmful_first_and_keep_equal_names_apart(specs):
    groups = specs[0].groups[:2]
    twins = [replace(g, slice=replace(g.where, value="same")) for g in groups]
    values = slices.dots(twins, tolerance=0.05, title="")["data"]["values"]
    assert len({v["slice"] for v in values}) == 2
    after = [v["ece"] for v in values if v["stage"] == "after"]
    assert after == sorted(after, reverse=True)


def test_confusion_shares_are_of_each_true_label():
    table = Confusion(0.5, 3, 1, 1, 4, *RATES)
    values = maps.confusion(table, title="")["data"]["values"]
    assert [v["share"] for v in values] == [0.75, 0.25, 0.2, 0.8]


def test_a_confusion_without_positives_is_drawn():
    table = Confusion(0.5, 0, 1, 0, 4, *RATES)
    assert "no rows" in vega.chart_svg(maps.confusion(table, title=""), "x")
