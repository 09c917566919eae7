import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from calibcli.core.results.reading import typed
from calibcli.render.assets import asset
from calibcli.render.formats.html import render_report_html
from calibcli.render.page.levers import data_block
from calibcli.render.words import names

pytest.importorskip("vl_convert")

VOID = {"meta", "br", "input"}


class Page(HTMLParser):
    """The page as a browser's parser sees it: tags, attributes, text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.open, self.style = [], [], [], ""
        self.scripts = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif self.open and self.open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data
        else:
            self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def make_report(make_binary, make_fit, make_threshold):
    def build(measure=None, *, full=True, **changes):
        measure = measure or make_binary(1500, calibrated=True, with_curves=True, groups=("a", "b"))
        fit = make_fit()
        cuts = make_threshold() | {"schema": "calibcli/thresholds"}
        chosen = {"method": "temperature", "params": fit["calibrator"], "before": fit["before"],
                  "after": fit["after"], "candidates": fit["candidates"]}  # fmt: skip
        return {
            "schema": "calibcli/report",
            "version": 1,
            "calibcli": "0.1.0",
            "title": "Held-out scores",
            "inputs": measure["inputs"],
            "params": measure["params"],
            "task": measure["task"],
            "measure": measure,
            "calibrator": chosen if full else None,
            "thresholds": cuts if full else None,
            "warnings": ["some rows were used to fit"],
        } | changes

    return build


def test_the_page_is_well_formed_and_its_headings_descend_in_order(make_report):
    page = Page(render_report_html(typed(make_report())))
    assert page.open == []
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_nothing_but_the_levers_runs_and_nothing_is_fetched(make_report):
    text = render_report_html(typed(make_report()))
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert [attrs for attrs, _ in page.scripts] == [
        {"type": "application/json", "id": "levers-data"},
        {},
    ]
    assert page.scripts[1][1] == asset("levers.js")
    assert not tags & {
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "image",
        "base",
        "form",
    }
    for _, attrs in page.tags:
        assert not [key for key in attrs if key.startswith("on") or key in {"style", "src"}]
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_a_page_without_data_for_levers_has_no_script(make_report, make_binary):
    measure = make_binary(300)
    measure["overall"]["bins"] = []
    text = render_report_html(typed(make_report(measure, full=False)))
    assert "<script" not in text
    assert "script-src" not in text


def test_data_in_the_page_cannot_end_its_block():
    data = {"name": "</script><!--<script>&\u2028"}
    block = data_block(data)
    inside = block.removeprefix('<script type="application/json" id="levers-data">')
    inside = inside.removesuffix("</script>\n")
    assert not set("<>&\u2028") & set(inside)
    assert json.loads(inside) == data


def test_the_policy_allows_the_page_s_own_style_and_script_and_nothing_else(make_report):
    page = Page(render_report_html(typed(make_report())))
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (page.style, page.scripts[1][1])
    )
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{style}'",
        f"script-src 'sha256-{script}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ]


def test_names_are_shown_as_they_are_and_break_nothing(make_report, make_multiclass, nasty):
    measure = make_multiclass(
        tuple(nasty), n=1200, calibrated=True, with_curves=True, groups=("</style>", '"onload=x')
    )
    measure["groups"][0]["slice"]["column"] = "<img src=x onerror=alert(1)>"
    measure["inputs"][0]["path"] = "<b>.csv"
    report = make_report(measure, title="</title><script>alert(1)</script>")
    report["warnings"] = ["<script>alert(2)</script>"]
    text = render_report_html(typed(report))
    page = Page(text)
    assert page.open == []
    own = {asset("levers.js"), asset("tables.js")}
    assert {text for attrs, text in page.scripts if not attrs} == own
    assert len(page.scripts) == 3
    assert not {"i", "img"} & {tag for tag, _ in page.tags}
    assert not [attrs for attrs in page.all("b") if not attrs.get("id", "").startswith("cut-")]
    shown = " ".join(page.texts)
    for name in [*nasty, "</style>", '"onload=x', "<b>.csv", "<script>alert(2)</script>"]:
        assert names.visible(name) in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_charts_have_words_and_tables_have_captions(make_report):
    page = Page(render_report_html(typed(make_report())))
    charts = [attrs for attrs in page.all("div") if attrs.get("role") == "img"]
    assert len(charts) == len(page.all("svg")) >= 6
    assert all(len(attrs["aria-label"]) > 20 for attrs in charts)
    assert len(page.all("caption")) == len(page.all("table"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    labelled = {attrs["aria-labelledby"] for attrs in page.all("section")}
    assert labelled <= set(ids)


def test_every_headline_figure_is_on_the_page_with_its_interval(make_report):
    report = make_report()
    page = Page(render_report_html(typed(report)))
    shown = " ".join(page.texts)
    overall = report["measure"]["overall"]
    for source in (overall, overall["calibrated"]):
        for entry in source["metrics"].values():
            if entry["value"] is not None and entry["low"] is not None:
                assert f"{entry['value']:.4f}" in shown
                assert f"[{entry['low']:.4f}, {entry['high']:.4f}]" in shown
    assert "0.4000000000000001" in shown
    assert "15 equal-width bins, (lo, hi]; 95% intervals" in shown
    assert "some rows were used to fit" in shown


def test_a_bare_report_renders(make_report, make_binary):
    report = make_report(make_binary(300), full=False, warnings=[])
    page = Page(render_report_html(typed(report)))
    shown = " ".join(page.texts)
    assert "Calibrator" not in shown
    assert "Ranking" not in shown
    assert "At the cut-off" in shown


def test_the_same_report_gives_the_same_bytes(make_report):
    assert render_report_html(typed(make_report())) == render_report_html(typed(make_report()))


@pytest.mark.slow
def test_200_classes_and_50_groups_stay_below_3_mb_and_say_what_is_left_out(
    make_report, make_multiclass
):
    measure = make_multiclass(
        tuple(f"class number {i}" for i in range(200)),
        n=2000,
        calibrated=True,
        with_curves=True,
        groups=tuple(f"site {i}" for i in range(50)),
    )
    text = render_report_html(typed(make_report(measure)))
    assert len(text.encode()) < 3_000_000
    assert "40 of 200" in text
    assert "188 classes with a higher AUC" in text
    shown = " ".join(Page(text).texts)
    assert all(f"class number {i}" in shown for i in range(200))
