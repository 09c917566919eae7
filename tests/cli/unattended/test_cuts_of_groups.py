"""Cut-offs by group in promotions, alone and as a pair with a calibrator."""

from __future__ import annotations

import json

import pytest

from tests.nights import SURE

TARGET = ("--subject-to", "precision>=0.7", "--per-group", "camera")
JSON = ("--format", "json")


@pytest.fixture
def cuts(good, night, tmp_path):
    path = tmp_path / "cuts.json"
    good("threshold", night("chosen.csv", 0), *TARGET, "-o", path)
    return path


def by_value(path):
    found = json.loads(path.read_text())["thresholds"]
    return {one["slice"]["value"]: one["threshold"] for one in found if "value" in one["slice"]}


def test_the_bad_labels_of_one_group_are_kept_out(calibcli, cuts, night, valid):
    before = cuts.read_bytes()
    bad = night("tonight.csv", 1, n=6000, values="aaaaaccccb", flipped="b", level=0.5)
    ran = calibcli("threshold", bad, "--promote-over", cuts, "--format", "json")
    told = valid(ran.out)
    assert (ran.code, told["code"]) == (1, "shift")
    assert [one["name"] for one in told["checks"] if not one["passed"]] == ["group_auc"]
    assert cuts.read_bytes() == before


@pytest.mark.parametrize(("which", "why"), [("lost", "missing"), ("few", "few")])
def test_a_group_keeps_its_cut_off(which, why, calibcli, cuts, night, valid):
    before = by_value(cuts)
    dump = night("tonight.csv", 1, n=6000, values="aaaccbb", level=0.7, **{which: "b"})
    ran = calibcli(
        "threshold", dump, "--promote-over", cuts, "--maximize", "f1", "--per-group", "camera",
        "--format", "json",
    )  # fmt: skip
    told = valid(ran.out)
    assert (ran.code, told["decision"]) == (0, "promoted"), told["reason"]
    assert [(one["slice"]["value"], one["why"]) for one in told["kept_groups"]] == [("b", why)]
    after = by_value(cuts)
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert set(json.loads(cuts.read_text())["group_stats"]) == set("abc")


def test_a_pair_keeps_both_of_a_group_or_none(good, calibcli, night, tmp_path, valid):
    cal, own = tmp_path / "cal.json", tmp_path / "own.json"
    by = ("--per-group", "camera")
    good("fit", night("first.csv", 0), *SURE, *by, "-o", cal)
    good("threshold", night("second.csv", 3), "--calibrator", cal, *TARGET, "-o", own)
    before = by_value(own)
    dump = night("tonight.csv", 1, n=4000, level=0.7, lost="b")
    ran = calibcli(
        "fit", dump, *SURE, *by, "--promote-over", cal, "--thresholds", own, "--format", "json"
    )
    told = valid(ran.out)
    assert (ran.code, told["decision"]) == (0, "promoted"), told["reason"]
    for kept in (told["kept_groups"], told["thresholds"]["kept_groups"]):
        assert [(one["slice"]["value"], one["why"]) for one in kept] == [("b", "missing")]
    assert by_value(own)["b"] == before["b"]
    good("apply", cal, night("new.csv", 8, n=300), "--thresholds", own, "-o", tmp_path / "out.csv")


def test_one_map_for_all_does_not_take_a_cut_off_from_a_group(
    good, calibcli, night, tmp_path, valid
):
    """Its cut-off is of probabilities that the new map would change, and no row tells how."""
    cal, own = tmp_path / "cal.json", tmp_path / "own.json"
    good("fit", night("first.csv", 0), *SURE, "-o", cal)
    good("threshold", night("second.csv", 3), "--calibrator", cal, *TARGET, "-o", own)
    before = cal.read_bytes(), own.read_bytes()
    dump = night("tonight.csv", 1, n=4000, level=0.7, lost="b")
    ran = calibcli("fit", dump, *SURE, "--promote-over", cal, "--thresholds", own, *JSON)
    told = valid(ran.out)
    assert (ran.code, told["code"]) == (1, "few-rows")
    assert "camera=b" in told["reason"]
    assert (cal.read_bytes(), own.read_bytes()) == before
    bad = night("later.csv", 2, n=6000, values="aaaaaccccb", flipped="b", level=0.5)
    ran = calibcli("fit", bad, *SURE, "--promote-over", cal, "--thresholds", own, *JSON)
    assert (ran.code, valid(ran.out)["code"]) == (1, "shift")
    assert (cal.read_bytes(), own.read_bytes()) == before
