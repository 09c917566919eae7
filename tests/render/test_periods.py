"""The chart of periods: what it shows is what the series says."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.render.charts import gallery, periods, vega
from tests.render.whole import measured


def period(value, ece=None, psi=None, *, bad=False, changed=False):
    row = {"value": value, "metrics": {}, "bad": bad, "why": ["ece"] * bad}
    if ece is not None:
        row["metrics"]["ece"] = {"value": ece, "low": ece / 2, "high": ece * 2}
    if psi is not None:
        row["drift"] = {"psi": {"value": psi, "low": None, "high": None}}
    return row | {"changed": ["psi"] * changed}


def result(rows, by="day", **limits):
    first = {
        key: next((row["value"] for row in rows if row[key]), None) for key in ("bad", "changed")
    }
    series = {
        "by": by, "rule": "bad where it rains", "limits": limits, "periods": rows, "looks": 1,
        "level": 0.05, "metrics": {},
        "first_bad": first["bad"], "first_changed": first["changed"],
    }  # fmt: skip
    return measured({"params": {"confidence": 0.95}, "series": series})


def points(panel):
    return [row["y"] for row in panel["data"]["values"]]


def test_each_period_is_drawn_with_its_figures_and_its_limit():
    rows = [
        period("a", 0.02, 0.1), period("b", 0.09, None, bad=True),
        period("c", None, 0.4, changed=True),
    ]  # fmt: skip
    (figure,) = gallery.series_figures(result(rows, ece=0.05, psi=0.2))
    upper, lower = figure.spec["vconcat"]
    assert points(upper) == [0.02, 0.09, None]
    assert points(lower) == [0.1, None, 0.4]
    assert [panel["layer"][0]["data"]["values"] for panel in (upper, lower)] == [
        [{"limit": 0.05}], [{"limit": 0.2}],
    ]  # fmt: skip
    assert [row["bad"] for row in upper["data"]["values"]] == [False, True, False]
    shapes = {
        layer["transform"][0]["filter"].split("&& ")[-1]: layer["mark"].get("shape", "circle")
        for layer in upper["layer"][3:]
    }
    assert shapes == {
        "datum.bad": "circle", "!datum.changed": "circle", "datum.changed": "diamond",
    }  # fmt: skip
    for said in ("first bad period is b", "differs from the reference is c", "Bad where it rains"):
        assert said in figure.says
    # A circle is an arc; of three rows two have an ECE, and one of them is bad.
    assert vega.chart_svg(figure.spec, "x").count("<path") > 4


def test_without_labels_psi_alone_is_drawn_and_without_figures_nothing():
    (figure,) = gallery.series_figures(result([period("a", None, 0.3)]))
    (panel,) = figure.spec["vconcat"]
    assert (points(panel), panel["layer"][0].get("data")) == ([0.3], None)
    assert "Dashed" not in figure.says
    assert gallery.series_figures(result([period("a")])) == []
    assert gallery.series_figures(result([])) == []
    assert gallery.series_figures(measured({})) == []


def test_names_of_periods_are_text(nasty):
    rows = [period(name, 0.1, bad=True) for name in nasty]
    (figure,) = gallery.series_figures(result([*rows, *rows], by="<i>x"))
    svg = vega.chart_svg(figure.spec, "x")
    assert "<script" not in svg
    assert "<i>" not in svg
    assert "\x1b" not in svg
    values = figure.spec["vconcat"][0]["data"]["values"]
    assert len({row["period"] for row in values}) == 2 * len(nasty)


@pytest.mark.parametrize("n", [200, 201, 399, 1000, 5000])
def test_a_long_series_keeps_its_order_its_peak_and_its_first_bad_period(n):
    rng = np.random.default_rng(n)
    ece = rng.random(n)
    rows = [period(str(i), float(ece[i])) for i in range(n)]
    kept = periods.thinned(result(rows).series.periods)
    places = [int(row.value) for row in kept]
    assert len(kept) == 200
    assert places == sorted(set(places))
    assert int(ece.argmax()) in places
    assert max(np.diff([-1, *places, n])) < 2 * -(-n // 200) + 1
    for first in rng.integers(0, n, 5).tolist():
        marked = [row | {"bad": i >= first and i % 7 == first % 7} for i, row in enumerate(rows)]
        kept = periods.thinned(result(marked).series.periods)
        assert next(row for row in kept if row.bad).value == str(first)
    (figure,) = gallery.series_figures(result(rows))
    assert (f"Left out here: {n - 200} of {n}" in figure.says) == (n > 200)
