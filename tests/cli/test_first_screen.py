"""Whoever opens the page of the sample data finds five answers before its first figure."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "sample_data"
READ = ("--cluster", "patient")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, request):
    from calibcli.cli.main import main

    folder = tmp_path_factory.mktemp("first")
    calibration, test = (
        str(DATA / f"breast_cancer_{part}.csv") for part in ("calibration", "test")
    )
    calibrator, cutoff = str(folder / "calibrator.json"), str(folder / "cutoff.json")
    log = ("--format", "json")
    for arguments in (
        ("fit", calibration, *READ, "-o", calibrator, *log),
        ("threshold", calibration, *READ, "--calibrator", calibrator, "-o", cutoff, "--maximize",
         "f1", "--subject-to", "recall>=0.9", *log),
        *(
            ("report", test, *READ, "--group", "size", "--calibrator", calibrator, "--thresholds",
             cutoff, "--cost", "fp=1,fn=4", "-o", str(folder / f"page.{form}"))
            for form in ("html", "json")
        ),
    ):  # fmt: skip
        assert main(list(arguments)) == 0
    text = (folder / "page.html").read_text()
    first = text[text.index('<div class="first">') : text.index('<ul class="tiles">')]
    shown = re.sub(r"<details>.*?</details>|<svg.*?</svg>", "", first, flags=re.S)
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())
    return words, json.loads((folder / "page.json").read_text())


def test_is_it_honest(pages):
    words, _ = pages
    assert words.startswith("Not honest As they are, the scores are too low from 0 to 0.4 and too")


def test_is_it_honest_after_calibration(pages):
    words, report = pages
    ece = report["measure"]["overall"]["calibrated"]["metrics"]["ece"]
    assert f"after calibration no gap beyond chance, ECE {ece['value']:.4f} [" in words


def test_for_whom_not_yet(pages):
    words, report = pages
    worst = max(
        report["measure"]["groups"], key=lambda one: one["calibrated"]["metrics"]["ece"]["value"]
    )
    assert worst["slice"]["value"] == "medium"
    assert "not shown yet for medium (size), ECE 0.12" in words


def test_which_cutoff_and_what_it_finds(pages):
    words, report = pages
    (chosen,) = report["thresholds"]["thresholds"]
    table = report["measure"]["overall"]["calibrated"]["confusion"][0]
    assert table["threshold"] == chosen["threshold"]
    assert f"Cut-off {chosen['threshold']:.4g}, which maximises f1, subject to recall>=0.9" in words
    assert f"finds {table['tp']} of {table['tp'] + table['fn']}: 94%" in words


def test_what_it_costs(pages):
    words, report = pages
    table = report["measure"]["overall"]["calibrated"]["confusion"][0]
    rows = sum(table[kind] for kind in ("tp", "fp", "fn", "tn"))
    alerts, cost = table["tp"] + table["fp"], table["fp"] + 4 * table["fn"]
    assert f"alerts {alerts} ({100 * alerts / rows:.0f}% of rows); 74%" in words
    assert f"costs {1000 * cost / rows:.0f} per 1000 rows (FP 1, FN 4)" in words


def test_the_diagram_stands_beside_and_the_rest_is_closed(pages, tmp_path):
    words, _ = pages
    assert len(words.split()) < 90
