"""The form of a report is that of its suffix, and a PDF needs a browser."""

from __future__ import annotations

import json

import pytest

from calibcli.errors import CalibcliError
from calibcli.io.output.browser import find_browser


def _browser() -> bool:
    try:
        return bool(find_browser())
    except CalibcliError:
        return False


def test_a_suffix_of_no_form_is_refused_before_anything_is_read(calibcli, tmp_path):
    ran = calibcli("report", tmp_path / "nosuch.csv", "-o", tmp_path / "report.txt")
    assert ran.code == 2
    assert "no form .txt" in ran.err
    assert "--format" in ran.err


def test_a_form_that_is_named_needs_no_suffix(good, scores, tmp_path):
    good("report", scores, "--format", "json", "-o", tmp_path / "report.txt", "--title", "Spam")
    assert '"title": "Spam"' in (tmp_path / "report.txt").read_text()
    good("report", scores, "-o", tmp_path / "report.HTM")
    assert (tmp_path / "report.HTM").read_text().startswith("<!doctype html>")


def test_a_pdf_needs_a_file_and_a_browser(calibcli, scores, tmp_path, monkeypatch):
    assert calibcli("report", scores, "--format", "pdf").code == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = calibcli("report", scores, "-o", tmp_path / "report.pdf")
    assert ran.code == 3
    assert "none is found" in ran.err
    assert not (tmp_path / "report.pdf").exists()


def test_a_browser_that_prints_nothing_is_told(calibcli, scores, tmp_path, monkeypatch):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ran = calibcli("report", scores, "-o", tmp_path / "report.pdf")
    assert ran.code == 3
    assert "chromium printed no PDF" in ran.err


@pytest.mark.skipif(not _browser(), reason="no browser")
def test_a_pdf_is_the_printed_page(good, scores, tmp_path):
    good("report", scores, "-o", tmp_path / "report.pdf")
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 50_000


def test_an_artifact_that_was_changed_by_hand_is_an_error_of_one_line(calibcli, write, tmp_path):
    rows = write("x.csv", "score,label\n" + "".join(f"0.{k},{k % 2}\n" for k in range(1, 10)))
    cuts = {
        "schema": "calibcli/thresholds", "version": 1, "calibcli": "0.1.0", "task": "binary",
        "classes": [], "rule": "score >= threshold", "kind": "empirical", "calibrated": False,
        "objective": "cost", "constraints": [],
        "thresholds": [{"slice": {"kind": "overall"}, "threshold": 0.5, "value": 0.25}],
    }  # fmt: skip
    bare = write("bare.json", json.dumps(cuts))
    page = tmp_path / "r.md"
    assert calibcli("report", rows, "--thresholds", bare, "-o", page).code == 0
    assert "threshold 0.5: minimises expected cost (0.2500)" in page.read_text(encoding="utf-8")
    cuts["thresholds"][0]["cost"] = {"expected": 0.2}
    ran = calibcli("report", rows, "--thresholds", write("bad.json", json.dumps(cuts)))
    assert ran.code == 3
    assert "bad.json is not whole" in ran.err
    assert "Traceback" not in ran.err
