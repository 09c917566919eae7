"""What is printed of rows that are referred is what `apply` writes."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest


@pytest.fixture(params=[("--cost", "fp=1,fn=5,refer=.3"), ("--abstain", "accuracy>=0.9")])
def decided(request, good, scores, tmp_path):
    """What `threshold` prints, its file, and (label, decision) of each row; "" where referred."""
    cuts, out = tmp_path / "cuts.json", tmp_path / "decided.csv"
    said = good("threshold", scores, *request.param, "-o", cuts).out
    good("apply", scores, "--thresholds", cuts, "-o", out)
    with out.open(encoding="utf-8") as file:
        rows = [(row["label"], row["decision"]) for row in csv.DictReader(file)]
    return said, cuts, np.array(rows)


def counts(rows: np.ndarray) -> tuple[int, int, int]:
    """Return positives that are found, alerts, and rows that are referred."""
    label, decision = rows.T
    return (
        int(((label == "1") & (decision == "1")).sum()),
        int((decision == "1").sum()),
        int((decision == "").sum()),
    )


def test_measure_and_the_page_count_what_apply_decides(good, scores, decided, tmp_path):
    _, cuts, rows = decided
    found, alerts, referred = counts(rows)
    assert 0 < referred < len(rows)
    positives = int((rows[:, 0] == "1").sum())
    said = good("measure", scores, "--thresholds", cuts, "--no-ci").out
    assert f"finds {found} of {positives}, alerts {alerts}, refers" in said
    assert said.count("finds ") == 1
    page = tmp_path / "page.html"
    good("report", scores, "--thresholds", cuts, "--no-ci", "-o", page)
    first = re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8").split("</dl>")[0])
    assert f"finds  {found} of {positives}:" in first


def test_the_choice_of_a_band_is_told_as_it_decides(decided):
    said, _, rows = decided
    if "refers" not in said:  # a share that is kept is told by another line
        assert f"keeps {len(rows) - counts(rows)[2]} of {len(rows)}" in said
        return
    found, alerts, referred = counts(rows)
    kept = int(((rows[:, 0] == "1") & (rows[:, 1] != "")).sum())
    assert f"refers {referred} of {len(rows)} rows" in said
    assert f"of the others finds {found} of {kept}, alerts {alerts}" in said
    assert "without referrals: finds" in said


def test_a_gate_without_its_section_is_told_the_whole_name(calibcli, scores, decided, tmp_path):
    _, cuts, _ = decided
    gate = ("--fail-if", "referred>0.9")
    ran = calibcli("apply", scores, "--thresholds", cuts, "-o", tmp_path / "new.csv", *gate)
    assert (ran.code, ran.err.splitlines()[-1]) == (2, "hint: decision.referred")
    gate = ("--fail-if", "decision.referred>0.9")
    assert (
        calibcli("apply", scores, "--thresholds", cuts, "-o", tmp_path / "new.csv", *gate).code == 0
    )
