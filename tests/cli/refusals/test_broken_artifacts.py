"""Artifacts that fit their schema and mean nothing: exit code 3, whatever their digest says."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import numpy as np
import pytest

import calibcli as calibcli_package
from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import digest_of

BINARY = ("temperature", "platt", "beta", "isotonic", "histogram", "spline", "venn-abers",
          "scaling-binning")  # fmt: skip
WRONG = (-5, None, "x", [0.5, 0.7, 0.2, 3])
FEW_WRONG = (-5, None)


@pytest.fixture
def several(write, classes):
    scores, labels = write("z.npy", classes["z"][:60]), write("y.npy", classes["label"][:60])
    return scores, "--labels", labels, "--logits"


def places(value, at=()):
    """Yield where values stand in a document, of a list the first two."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else list(enumerate(value))[:2]
        for key, item in items:
            yield (*at, key)
            yield from places(item, (*at, key))


def broken(path, part, values=WRONG):
    """Write the artifact again and again, with one value changed and a digest that fits."""
    whole = json.loads(path.read_text())
    for place in places(whole[part], (part,)):
        for wrong in values:
            other = copy.deepcopy(whole)
            inside = other
            for key in place[:-1]:
                inside = inside[key]
            if inside[place[-1]] != wrong:
                inside[place[-1]] = wrong
                other["digest"] = digest_of(other)
                path.write_text(json.dumps(other))
                yield place, wrong


def checked(path, scores):
    """Every change is refused, or what is read still gives probabilities."""
    for place, wrong in broken(path, "calibrator"):
        with suppress(InputError):
            p = calibcli_package.load(path).apply(scores)
            assert ((p >= 0) & (p <= 1)).all(), (place, wrong)


@pytest.mark.parametrize("method", BINARY)
def test_a_calibrator_gives_probabilities_or_is_refused(calibcli, scores, tmp_path, method):
    path = tmp_path / "c.json"
    assert calibcli("fit", scores, "--method", method, "--no-ci", "-o", path).code == 0
    checked(path, np.linspace(0, 1, 201))
    ran = calibcli("apply", path, scores, "-o", tmp_path / "o.csv")  # the last change of all
    assert ran.code in (0, 3), ran.err


@pytest.mark.parametrize("method", ["vector", "matrix", "isotonic"])
def test_of_several_classes_too(calibcli, several, classes, tmp_path, method):
    path = tmp_path / "c.json"
    assert calibcli("fit", *several, "--method", method, "--no-ci", "-o", path).code == 0
    checked(path, classes["z"])


def test_a_calibrator_of_another_number_of_classes(calibcli, several, tmp_path):
    path = tmp_path / "c.json"
    assert calibcli("fit", *several, "--method", "vector", "--no-ci", "-o", path).code == 0
    value = json.loads(path.read_text())
    value["classes"] = ["0", "1"]
    value["digest"] = digest_of(value)
    path.write_text(json.dumps(value))
    assert calibcli("apply", path, several[0], "-o", tmp_path / "o.csv").code == 3


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--maximize", "f1"), ("thresholds",)),
        (("--per-group", "camera"), ("thresholds",)),
        (("--cost", "fp=1,fn=4,refer=0.3"), ("thresholds",)),
        (None, ("thresholds",)),
        (("--coverage", "0.9"), ("sets",)),
        (("--abstain", "accuracy>=0.6"), ("abstain",)),
    ],
)
def test_thresholds_decide_or_are_refused(calibcli, scores, several, tmp_path, options, parts):
    data = several if options is None or options[0] in ("--coverage", "--abstain") else (scores,)
    path = tmp_path / "t.json"
    assert calibcli("threshold", *data, *(options or ()), "--no-ci", "-o", path, "-q").code == 0
    whole = path.read_text()
    for part in parts:
        for place, wrong in broken(path, part, FEW_WRONG):
            if len(place) > 3:
                continue  # figures, which decide nothing
            ran = calibcli("measure", *data, "--no-ci", "--thresholds", path)
            assert ran.code in (0, 3), (place, wrong, ran.err)
        path.write_text(whole)


@pytest.mark.parametrize("cut", [-5, 1.5, 1e300])
def test_a_cut_off_lies_between_0_and_1(calibcli, scores, tmp_path, cut):
    path = tmp_path / "t.json"
    assert calibcli("threshold", scores, "--no-ci", "-o", path).code == 0
    value = json.loads(path.read_text())
    value["thresholds"][0]["threshold"] = cut
    value["digest"] = digest_of(value)
    path.write_text(json.dumps(value))
    ran = calibcli("measure", scores, "--thresholds", path)
    assert ran.code == 3
    assert "cannot decide" in ran.err


@pytest.mark.parametrize("kept", [-0.5, 2.0])
def test_the_confidence_that_is_kept_lies_between_0_and_1(calibcli, scores, tmp_path, kept):
    path = tmp_path / "t.json"
    assert calibcli("threshold", scores, "--abstain", "accuracy>=0.8", "-o", path).code == 0
    value = json.loads(path.read_text())
    value["abstain"]["threshold"] = kept
    value["digest"] = digest_of(value)
    path.write_text(json.dumps(value))
    ran = calibcli("measure", scores, "--thresholds", path)
    assert (ran.code, "cannot decide" in ran.err) == (3, True)


@pytest.mark.parametrize("band", [(2.0, -1.0), (0.9, 0.1), (-0.5, 0.5), (0.5, 1.5)])
def test_a_band_lies_between_0_and_1_and_has_its_ends_in_order(calibcli, scores, tmp_path, band):
    path = tmp_path / "t.json"
    chosen = ("--cost", "fp=1,fn=4,refer=0.3", "--no-ci", "-o", path)
    assert calibcli("threshold", scores, *chosen).code == 0
    assert calibcli("measure", scores, "--no-ci", "--thresholds", path).code == 0
    value = json.loads(path.read_text())
    value["thresholds"][0]["cost"]["band"] |= dict(zip(("low", "high"), band, strict=True))
    value["digest"] = digest_of(value)
    path.write_text(json.dumps(value))
    out = tmp_path / "out.csv"
    out.write_text("kept")
    ran = calibcli("apply", scores, "--thresholds", path, "-o", out)
    assert (ran.code, "cannot decide" in ran.err, out.read_text()) == (3, True, "kept")


def test_statistics_that_lack_something(calibcli, scores, tmp_path):
    path = tmp_path / "s.json"
    save = ("--no-ci", "--group", "camera", "--save-stats", path)
    assert calibcli("measure", scores, *save).code == 0
    for place, wrong in broken(path, "families", FEW_WRONG):
        if len(place) < 4:
            ran = calibcli("measure", path, "--no-ci")
            assert ran.code in (0, 3), (place, wrong, ran.err)


def test_an_edited_artifact_is_told_at_each_use(calibcli, scores, calibrator, tmp_path, write):
    cuts, stats = tmp_path / "t.json", tmp_path / "s.json"
    assert calibcli("threshold", scores, "--no-ci", "-o", cuts).code == 0
    assert calibcli("measure", scores, "--no-ci", "--save-stats", stats).code == 0
    for path in (calibrator, cuts, stats):
        value = json.loads(path.read_text())
        del value["digest"]
        path.write_text(json.dumps(value))
    other = write("other.csv", {"score": np.linspace(0, 1, 50), "label": [0, 1] * 25})
    for path, arguments in (
        (calibrator, ("measure", other, "--calibrator", calibrator)),
        (calibrator, ("threshold", other, "--calibrator", calibrator)),
        (calibrator, ("report", other, "--calibrator", calibrator, "--format", "md")),
        (calibrator, ("measure", other, "--reference", calibrator)),
        (calibrator, ("apply", calibrator, other, "-o", tmp_path / "o.csv")),
        (cuts, ("measure", other, "--thresholds", cuts)),
        (stats, ("measure", stats)),
    ):
        ran = calibcli(*arguments)
        assert ran.code == 0, ran.err
        told = f"{path.name} has no digest: it was changed after it was written"
        assert (ran.out + ran.err).replace("&#95;", "_").count(told) >= 1, arguments
    emitted = calibcli("apply", calibrator, "--emit", "sql", "--score", "s")
    assert "has no digest" in emitted.err
    result = calibcli("measure", other, "--calibrator", calibrator, "--format", "json").json
    assert result["warning_codes"].count("edited") == 1
    assert len(result["warnings"]) == len(result["warning_codes"])
