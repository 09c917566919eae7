"""The status of a result follows from codes, whatever the words of a warning hold."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit

SPEAKING = "the calibrator was fitted on in-sample"


@pytest.fixture
def speaking(write):
    """Rows of which one group has a name that reads like a warning, and breaks a constraint."""
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, 3000)
    label = (rng.random(3000) < expit(z)).astype(int)
    group = np.where(rng.random(3000) < 0.5, SPEAKING, "other")
    label[group == SPEAKING] = rng.integers(0, 2, int((group == SPEAKING).sum()))
    return write("rows.csv", {"score": expit(z), "label": label, "site": group})


def test_a_name_in_a_warning_does_not_void_a_guarantee(good, speaking, tmp_path):
    result = good(
        "threshold", speaking, "--subject-to", "recall>=0.5", "--guarantee", 0.9, "--group", "site",
        "--maximize", "precision", "-o", tmp_path / "t.json", "--format", "json", "-q",
    ).json  # fmt: skip
    assert result["kind"] == "certified"
    broken = good(
        "threshold", speaking, "--subject-to", "precision>=0.6", "--guarantee", 0.9,
        "--group", "site", "-o", tmp_path / "t.json", "--format", "json", "-q",
    ).json  # fmt: skip
    assert any(SPEAKING in text for text in broken["warnings"])
    assert "breaks" in broken["warning_codes"]
    assert broken["kind"] == "certified"


def test_a_name_in_a_warning_does_not_make_a_report_in_sample(good, speaking, tmp_path):
    good("fit", speaking, "--method", "platt", "-o", tmp_path / "c.json")
    fresh = tmp_path / "fresh.csv"
    rows = speaking.read_text().splitlines()
    fresh.write_text("\n".join([rows[0], *(row.replace("0.", "0.0", 1) for row in rows[1:])]))
    page = good(
        "report", fresh, "--calibrator", tmp_path / "c.json", "--title", SPEAKING, "--no-ci"
    ).out
    assert "these very rows" not in page
    own = good("report", speaking, "--calibrator", tmp_path / "c.json", "--no-ci", "-q").out
    assert "these very rows" in own


def test_codes_are_as_many_as_texts(good, speaking, tmp_path):
    good("fit", speaking, "--method", "platt", "-o", tmp_path / "c.json", "-q")
    result = good(
        "measure", speaking, "--calibrator", tmp_path / "c.json", "--format", "json", "-q"
    ).json
    assert result["warning_codes"] == ["in-sample"]
    assert len(result["warnings"]) == 1
