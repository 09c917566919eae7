"""What a report takes over from `measure`: a second model, and periods."""

from __future__ import annotations

import html

import numpy as np
import pytest

from tests.schemas import fits_schema

DETECTION = ("--task", "detection")


@pytest.fixture
def dated(write, binary):
    n = len(binary["score"])
    other = np.clip(binary["score"] * 0.8, 0, 1)
    day = [f"2024-02-{20 + 8 * i // n:02}" for i in range(n)]
    return write("dated.csv", {**binary, "<b>other": other, "<i>day": day})


def test_a_report_compares_and_tells_periods_as_measure_does(good, dated, tmp_path):
    options = ("--versus", "<b>other", "--by", "<i>day", "--score", "score", "--reference", dated)
    plain = good("measure", dated, *options, "--format", "json").json
    found = good("report", dated, *options, "--format", "json").json["measure"]
    assert found["series"] == plain["series"]
    assert found["versus"] == plain["versus"]
    fits_schema(plain, "measure")
    assert plain["series"]["limits"] == {"ece": 0.05, "psi": 0.2}
    for name, escaped in (("r.html", html.escape), ("r.md", str)):
        page = tmp_path / name
        good("report", dated, *options, "-q", "-o", page)
        text = page.read_text("utf-8")
        for row in plain["series"]["periods"]:
            assert row["value"] in text
            assert f"{row['metrics']['ece']['value']:.4f}" in text
        assert f"{plain['versus']['metrics']['brier']['value']:.4f}".lstrip("-") in text
        rule = plain["series"]["rule"]
        assert escaped(rule[1:]) in text
        assert "<i>" not in text
        assert "<b>other" not in text
    assert '<h2 id="periods">Periods</h2>' in (tmp_path / "r.html").read_text("utf-8")
    assert (tmp_path / "r_files" / "series.png").is_file()


@pytest.mark.parametrize(
    ("gates", "limits"),
    [
        (("ece>0.9",), {"ece": 0.9}),
        (("ece.low>0.8", "ece>0.7", "drift.psi>5"), {"ece": 0.7, "psi": 5.0}),
        (("brier>0.9", "drift.psi.p<0"), {}),
    ],
)
def test_the_limits_are_those_of_the_gates_where_gates_decide(good, dated, gates, limits):
    options = [part for gate in gates for part in ("--fail-if", gate)]
    ran = good(
        "measure", dated, "--by", "<i>day", "--score", "score", "--reference", dated, *options,
        "--format", "json",
    )  # fmt: skip
    assert ran.json["series"]["limits"] == limits


def test_a_page_does_not_replace_the_second_model(calibcli, dated):
    before = dated.read_bytes()
    other = dated.with_name("other.csv")
    other.write_bytes(before)
    ran = calibcli("report", dated, "--score", "score", "--versus", other, "-o", other)
    assert ran.code != 0
    assert other.read_bytes() == before
