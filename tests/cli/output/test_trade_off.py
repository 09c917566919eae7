"""The trade-off of a search over NMS IoUs: what the artifact keeps of it, what a report draws."""

from __future__ import annotations

import csv
import html
import json
from collections import Counter, defaultdict

import pytest

from calibcli.core.results.reading import typed
from calibcli.render.charts import gallery, gallery_decisions, vega
from tests.schemas import fits_schema

DETECTION = ("--task", "detection")


@pytest.fixture
def searched(good, scene, tmp_path):
    """A search over NMS IoUs in eight classes: every candidate, the artifact, what is read."""
    results, annotations = scene(images=260, classes=8, seed=3)
    path, rows = tmp_path / "t.json", tmp_path / "c.csv"
    good(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--per-class", "--search",
        "nms-iou=0.2,0.3,0.5,0.6,0.9", "--candidates", rows, "--no-ci", "-o", path, "-q",
    )  # fmt: skip
    with rows.open() as file:
        candidates = list(csv.DictReader(file))
    return candidates, path, (results, *DETECTION, "--ground-truth", annotations, "--no-ci")


def test_the_trade_off_is_of_the_worst_classes_and_of_real_candidates(searched):
    candidates, path, _ = searched
    chosen = json.loads(path.read_text())
    fits_schema(chosen, "thresholds")
    found = chosen["trade_off"]
    items = {one["slice"]["name"]: one for one in chosen["thresholds"]}
    worst = sorted(items, key=lambda name: items[name]["value"]["value"])[:6]
    named = [curve["slice"]["name"] for curve in found["curves"]]
    assert (found["slices"], list(dict.fromkeys(named))) == (8, worst)
    assert Counter(named) == dict.fromkeys(worst, 5)
    every = defaultdict(list)
    for row in candidates:
        if row["precision"]:
            figures = tuple(float(row[key]) for key in ("threshold", "precision", "recall"))
            every[row["slice"], float(row["nms_iou"])].append(figures)
    thinned = 0
    for curve in found["curves"]:
        name, nms = curve["slice"]["name"], curve["nms_iou"]
        all_of_it = every[name, nms]
        drawn = list(
            zip(*(curve[key] for key in ("threshold", "precision", "recall")), strict=True)
        )
        assert set(drawn) <= set(all_of_it)
        assert [point[0] for point in drawn] == sorted((p[0] for p in drawn), reverse=True)
        assert len(drawn) <= 60
        own = next(one for one in items[name]["searched"] if one["nms_iou"] == nms)
        assert (own["threshold"], own["precision"], own["recall"]) in drawn
        if len(all_of_it) <= 60:
            assert len(drawn) == len(all_of_it)
            continue
        thinned += 1
        assert drawn[-1][2] == max(p[2] for p in all_of_it)
        for cut, precision, recall in drawn:
            best = max(p[1] for p in all_of_it if p[2] == recall)
            assert precision == best or cut == own["threshold"]
        # What was left out lies within one of 58 equal steps of recall above a kept candidate.
        step = max(p[2] for p in all_of_it) / 58 + 1e-12
        kept = {p[2] for p in drawn}
        for _, _, recall in all_of_it:
            assert recall - max((r for r in kept if r <= recall), default=0.0) <= step
    assert thinned > 3


def test_the_report_draws_the_trade_off_and_rings_the_choice(good, searched, tmp_path):
    _, path, read = searched
    report = good("report", *read, "--thresholds", path, "--format", "json").json
    figures = gallery_decisions.trade_off_figures(typed(report))
    assert len(figures) == 6
    chosen = report["thresholds"]
    items = {one["slice"]["name"]: one for one in chosen["thresholds"]}
    for figure in figures:
        name = figure.says.split(":")[0]
        item = items[name]
        *lines, ring, _ = figure.spec["layer"]
        curves = {
            f"IoU {curve['nms_iou']:g}": curve
            for curve in chosen["trade_off"]["curves"]
            if curve["slice"]["name"] == name
        }
        looks = []
        for line, label in zip(lines[::3], lines[2::3], strict=True):
            curve = curves[label["data"]["values"][0]["t"]]
            assert [(v["x"], v["y"]) for v in line["data"]["values"]] == list(
                zip(curve["recall"], curve["precision"], strict=True)
            )
            looks.append(tuple(line["mark"]["strokeDash"]))
        assert len(set(looks)) == 4
        assert lines[2]["data"]["values"][0]["t"] == f"IoU {item['nms_iou']:g}"
        (point,) = ring["data"]["values"]
        assert point["x"] == item["confusion"]["recall"]["value"]
        assert point["y"] == item["confusion"]["precision"]["value"]
        assert (point["x"], point["y"]) in [(v["x"], v["y"]) for v in lines[0]["data"]["values"]]
        assert "Left out: 1 of 5 NMS IoUs" in figure.says
    page = tmp_path / "r.html"
    good("report", *read, "--thresholds", path, "-q", "-o", page)
    text = page.read_text("utf-8")
    assert all(html.escape(figure.says) in text for figure in figures)
    assert "of 2 classes that reach" in text


def test_a_class_is_named_as_text_in_the_trade_off(good, searched):
    _, path, read = searched
    text = json.dumps(good("report", *read, "--thresholds", path, "--format", "json").json)
    report = json.loads(text.replace("kind 0", "</script><b>").replace("kind 1", "</script><b>x"))
    drawn = [f for f in gallery.all_figures(typed(report)) if f.identity.startswith("trade-off")]
    assert drawn
    for figure in drawn:
        svg = vega.chart_svg(figure.spec, figure.identity)
        assert "</script>" not in svg
        assert "<b>" not in svg


def test_thresholds_without_a_search_have_no_trade_off(good, scene, tmp_path):
    results, annotations = scene(images=30)
    path = tmp_path / "t.json"
    truth = ("--ground-truth", annotations)
    good("threshold", results, *DETECTION, *truth, "--no-ci", "-o", path, "-q")
    assert "trade_off" not in json.loads(path.read_text())
    read = (results, *DETECTION, *truth, "--no-ci")
    report = good("report", *read, "--thresholds", path, "--format", "json").json
    assert gallery_decisions.trade_off_figures(typed(report)) == []
