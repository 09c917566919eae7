from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from calibcli.cli.main import main
from tests.schemas import fits_schema

SECONDS = re.compile(r"\bseconds\b")


@pytest.fixture
def scores(write, binary):
    return str(write("s.csv", binary))


def ran(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["calibcli", *arguments])
    code = main()
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def calibcli(monkeypatch, capsys):
    return lambda *arguments: ran(monkeypatch, capsys, *arguments)


def test_parameters_of_platt_are_readable(calibcli, scores, tmp_path):
    out = str(tmp_path / "c.json")
    _, text, _ = calibcli("fit", scores, "--method", "platt", "--no-ci", "-o", out)
    assert re.search(r"^A = -?[\d.]+, B = -?[\d.e-]+$", text, re.MULTILINE)


def test_seconds_are_shown_only_to_who_watches(calibcli, scores, tmp_path):
    out = str(tmp_path / "c.json")
    quiet = calibcli("fit", scores, "--no-ci", "-o", out)[1]
    plain = (tmp_path / "c.json").read_bytes()
    watched = calibcli("fit", scores, "--no-ci", "-v", "--all", "-o", out)[1]
    assert not SECONDS.search(quiet)
    assert SECONDS.search(watched)
    assert (tmp_path / "c.json").read_bytes() == plain
    found = calibcli("fit", scores, "--no-ci", "-v", "--format", "json", "-o", out)[1]
    assert all("seconds" not in row for row in json.loads(found)["candidates"])


def test_per_group_names_weights_and_fallbacks(calibcli, write, binary, tmp_path):
    camera = binary["camera"].copy()
    camera[:5] = "lab"
    path = str(write("g.csv", {**binary, "camera": camera}))
    out = str(tmp_path / "c.json")
    code, text, err = calibcli(
        "fit", path, "--per-group", "camera", "--method", "platt", "--no-ci", "--all", "-o", out
    )
    assert (code, err) == (0, "")
    assert re.search(r"^lab +5 +0%.*the overall map$", text, re.MULTILINE)
    artifact = json.loads((tmp_path / "c.json").read_text())
    fits_schema(artifact, "calibrator")
    assert artifact["calibrator"]["groups"]["lab"]["weight"] == 0
    for form in ("json", "csv", "md"):
        code, text, _ = calibcli(
            "fit", path, "--per-group", "camera", "--no-ci", "--format", form, "-o", out
        )
        assert code == 0
        if form == "json":
            fits_schema(json.loads(text), "fit")


def test_apply_measure_threshold_and_report_take_a_calibrator_by_group(calibcli, scores, tmp_path):
    out = str(tmp_path / "c.json")
    page = tmp_path / "r.html"
    assert calibcli("fit", scores, "--per-group", "camera", "--method", "platt", "-o", out)[0] == 0
    assert calibcli("apply", out, scores, "-o", str(tmp_path / "p.csv"))[0] == 0
    assert "calibrated" in calibcli("measure", scores, "--calibrator", out, "--no-ci")[1]
    cut = calibcli("threshold", scores, "--calibrator", out, "-o", str(tmp_path / "t.json"))
    assert cut[0] == 0
    assert calibcli("report", scores, "--calibrator", out, "-o", str(page))[0] == 0
    text = page.read_text()
    assert "Groups of the fit" in text
    assert "The calibrator&#39;s map" in text or "Numbers of the map" in text


def test_ensemble_of_columns(calibcli, write, binary, tmp_path):
    rng = np.random.default_rng(0)
    z = np.log(np.clip(binary["score"], 1e-3, 0.999) / np.clip(1 - binary["score"], 1e-3, 1))
    noisy = [1 / (1 + np.exp(-(z / 2 + rng.normal(0, 0.5, len(z))))) for _ in range(2)]
    path = str(write("e.csv", {"a": noisy[0], "b": noisy[1], "label": binary["label"]}))
    out = str(tmp_path / "c.json")
    code, text, err = calibcli("fit", path, "--ensemble", "a,b", "--no-ci", "--all", "-o", out)
    assert (code, err) == (0, "")
    assert "models: a, b" in text
    assert "a alone" in text
    fits_schema(json.loads((tmp_path / "c.json").read_text()), "calibrator")
    code, _, err = calibcli("fit", path, "--ensemble", "a,nope", "-o", out)
    assert code == 3
    assert "nope" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--per-class",), 2, "binary"),
        (("--per-group", "camra"), 3, "camera"),
        (("--per-group", "camera", "--per-class"), 2, "two fits"),
        (("--ensemble", "score"), 2, "two or more"),
        (("--method", "vector"), 2, "several classes"),
    ],
)
def test_wrong_usage_is_told(calibcli, scores, tmp_path, arguments, code, said):
    found = calibcli("fit", scores, *arguments, "-o", str(tmp_path / "c.json"))
    assert found[0] == code
    assert said in found[2]
    assert not (tmp_path / "c.json").exists()
