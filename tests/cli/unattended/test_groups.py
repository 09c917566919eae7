"""`fit --per-group --promote-over`: maps by group, of which no group loses its own silently."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit, softmax
from tests.nights import SURE


@pytest.fixture(scope="session")
def fitted():
    return {}


@pytest.fixture
def current(tmp_path, night, good, fitted):
    path = tmp_path / "current.json"
    if "bytes" not in fitted:
        good("fit", night("first.csv", 0, n=5000), *SURE, "--per-group", "camera", "-o", path)
        fitted["bytes"] = path.read_bytes()
    path.write_bytes(fitted["bytes"])
    return path


@pytest.fixture
def promote(calibcli, current, valid):
    def run(dump, *more):
        ran = calibcli(
            "fit", dump, *SURE, "--per-group", "camera", "--promote-over", current,
            "--format", "json", *more,
        )  # fmt: skip
        return ran.code, valid(ran.out)

    return run


def maps(path):
    return json.loads(path.read_text())["calibrator"]["groups"]


def applied(good, path, dump, tmp_path):
    """Return the probabilities of a dump by group."""
    out = tmp_path / "out.csv"
    good("apply", path, dump, "-o", out)
    rows = [line.split(",") for line in out.read_text().splitlines()]
    place, value = rows[0].index("probability"), rows[0].index("camera")
    found = {}
    for row in rows[1:]:
        found.setdefault(row[value], []).append(float(row[place]))
    return found


def test_an_ordinary_night_changes_nothing(promote, current, night):
    before = current.read_bytes()
    code, told = promote(night("tonight.csv", 1))
    assert (code, told["code"]) == (1, "not-better")
    assert told["kept_groups"] == []
    assert {"group_psi", "group_odds", "group_auc"} < {one["name"] for one in told["checks"]}
    assert current.read_bytes() == before


def test_a_drift_is_followed_group_by_group(promote, current, night):
    code, told = promote(night("tonight.csv", 1, level=0.5, c=1.2))
    assert (code, told["decision"]) == (0, "promoted")
    assert maps(current)["c"]["calibrator"]["method"] == "platt"
    assert [step["step"] for step in told["comparison"]["steps"]] == [1, 0.5, 0.25]


def test_the_bad_dump_of_one_group_is_kept_out(promote, current, night):
    """A tenth of the rows: figures of all rows do not show it."""
    before = current.read_bytes()
    bad = night("tonight.csv", 1, n=6000, values="aaaaaccccb", flipped="b", level=0.5)
    code, told = promote(bad)
    assert (code, told["code"]) == (1, "shift")
    failed = [one["name"] for one in told["checks"] if not one["passed"]]
    assert failed == ["group_auc"]
    assert "camera=b: the AUC has changed by" in told["reason"]
    assert current.read_bytes() == before


@pytest.mark.parametrize(("which", "why"), [("lost", "missing"), ("few", "few")])
def test_a_group_that_cannot_be_judged_keeps_its_map(
    which, why, promote, current, night, good, tmp_path
):
    probe = night("probe.csv", 9, n=300)
    before = applied(good, current, probe, tmp_path)
    code, told = promote(night("tonight.csv", 1, level=0.5, **{which: "b"}))
    assert (code, told["decision"]) == (0, "promoted")
    assert [(one["slice"]["value"], one["why"]) for one in told["kept_groups"]] == [("b", why)]
    after = applied(good, current, probe, tmp_path)
    assert after["b"] == pytest.approx(before["b"], abs=1e-12)
    assert np.abs(np.subtract(after["a"], before["a"])).max() > 0.03
    # Its statistics stay too: a bad night of it is known later.
    code, told = promote(
        night("later.csv", 2, n=5000, level=0.5, flipped="b"), "--max-shift", "auc=0.2"
    )
    assert "camera=b" in told["reason"]


def test_a_group_in_which_the_champion_is_better_keeps_its_map(
    night, good, calibcli, tmp_path, valid
):
    """Temperatures are better where slopes have moved, and worse where a level is needed."""
    path = tmp_path / "level.json"
    column = ("--per-group", "camera")
    levels = {"levels": {"b": 1.0}}
    good("fit", night("first.csv", 0, **levels), *SURE, *column, "-o", path)
    dump = night("tonight.csv", 1, a=2.0, c=0.8, **levels)
    ran = calibcli(
        "fit", dump, "--method", "temperature", *column, "--promote-over", path,
        "--max-shift", "auc=inf", "--format", "json",
    )  # fmt: skip
    told = valid(ran.out)
    assert told["decision"] == "promoted"
    assert [(one["slice"]["value"], one["why"]) for one in told["kept_groups"]] == [("b", "worse")]
    assert maps(path)["b"]["calibrator"]["method"] == "platt"


def test_a_new_group_has_a_map_of_its_own(promote, current, night):
    code, _ = promote(night("tonight.csv", 1, level=0.5, values="abcd"))
    assert code == 0
    assert set(maps(current)) == set("abcd")


def test_maps_by_group_are_not_lost_to_one_for_all(calibcli, current, night):
    ran = calibcli("fit", night("tonight.csv", 1), *SURE, "--promote-over", current)
    assert ran.code == 3
    assert "add --per-group camera" in ran.err


def test_maps_by_group_may_replace_one_for_all(good, calibcli, night, tmp_path, valid):
    path = tmp_path / "one.json"
    good("fit", night("first.csv", 0), *SURE, "-o", path)
    ran = calibcli(
        "fit", night("tonight.csv", 1), *SURE, "--per-group", "camera", "--promote-over", path,
        "--format", "json",
    )  # fmt: skip
    assert (ran.code, valid(ran.out)["decision"]) == (0, "promoted")
    assert maps(path)


def test_gates_of_groups_are_held_out(promote, night):
    gate = "worst(group.camera).calibrated.ece>=0"
    code, told = promote(night("tonight.csv", 1, level=0.5), "--fail-if", gate)
    assert (code, told["code"]) == (1, "gate")


def test_what_keeps_its_map_is_told(calibcli, current, night):
    ran = calibcli(
        "fit", night("tonight.csv", 1, level=0.5, lost="b"), *SURE, "--per-group", "camera",
        "--promote-over", current, "--dry-run",
    )  # fmt: skip
    assert re.search(r"camera=b +not in this dump", ran.out)


def test_rolling_back_restores_the_maps(promote, current, night, good):
    before = current.read_bytes()
    assert promote(night("tonight.csv", 1, level=0.5))[0] == 0
    good("fit", "--rollback", current)
    assert current.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_other_tasks(task, calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(4)
    path = tmp_path / "live.json"

    def run(name, level, *more, flipped=False, lost=""):
        n = 2400
        camera = rng.choice(["a", "b"], n)
        z = rng.normal(0, 1.5, (n, 3))
        slope = np.where(camera == "a", 0.5, 1.2)[:, None]
        if task == "multilabel":
            label = (rng.random((n, 3)) < expit(slope * z + level)).astype(int)
            p, label = expit(z), np.where((camera == "b")[:, None] & flipped, 1 - label, label)
        else:
            true = softmax(slope * z + [level, 0, 0])
            label = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
            p = softmax(z)
            label = np.where((camera == "b") & flipped, (label + 1) % 3, label)
        columns = {f"p_{k}": p[:, k] for k in range(3)}
        if task == "multilabel":
            columns |= {f"y_{k}": label[:, k] for k in range(3)}
        else:
            columns["label"] = label
        columns["camera"] = camera
        dump = write(f"{name}.csv", {k: v[camera != lost] for k, v in columns.items()})
        labels = ("--label", "y_*") if task == "multilabel" else ()
        ran = calibcli(
            "fit", dump, "--scores", "p_*", *labels, "--task", task, "--method", "temperature",
            "--per-group", "camera", "--promote-over", path, "--format", "json", *more,
        )  # fmt: skip
        return valid(ran.out)

    assert run("a", 0.0)["decision"] == "promoted"
    first = path.read_bytes()
    assert run("b", 0.0)["decision"] == "kept"
    bad = run("c", 0.0, "--max-shift", "psi=inf,odds=inf", flipped=True)
    assert bad["code"] == "shift"
    assert "camera=b" in bad["reason"]
    told = run("d", 0.0, "--dry-run", "--max-shift", "auc=inf,odds=inf,psi=inf", lost="b")
    assert [one["why"] for one in told["kept_groups"]] == ["missing"]
    assert path.read_bytes() == first


@pytest.mark.slow
def test_boxes_have_a_map_for_each_class(scene, calibcli, good, tmp_path, valid):
    path = tmp_path / "boxes.json"
    for seed, sure in ((0, 1.0), (1, 1.0), (2, 0.5)):
        dump, truth = scene(f"s{seed}", seed=seed, images=250, sure=sure)
        ran = calibcli(
            "fit", dump, "--ground-truth", truth, "--task", "detection", *SURE, "--per-class",
            "--promote-over", path, "--min-rows", "200", "--min-positives", "10",
            "--max-shift", "psi=inf", "--format", "json",
        )  # fmt: skip
        assert valid(ran.out)["code"] in ("promoted", "not-better"), ran.err
    assert json.loads(path.read_text())["calibrator"]["column"] == "class"
    ran = calibcli(
        "fit", dump, "--ground-truth", truth, "--task", "detection", *SURE, "--promote-over", path
    )
    assert ran.code == 3
    assert "--per-class" in ran.err


@pytest.mark.parametrize(
    ("named", "n"),
    [("otherwise", 1500), ("by row", 300), pytest.param("by row", 1500, marks=pytest.mark.slow)],
)
def test_groups_under_other_names_are_not_new_ones(named, n, promote, current, night):
    """A group of one row has no interval, and decides nothing."""
    dump = night("tonight.csv", 1, n=n, level=0.5)
    head, *lines = dump.read_text().splitlines()
    rows = [line.rsplit(",", 1) for line in lines]
    ends = [f"cam-{one[1]}" if named == "otherwise" else k for k, one in enumerate(rows)]
    text = [f"{one[0]},{end}" for one, end in zip(rows, ends, strict=True)]
    dump.write_text("\n".join([head, *text, ""]))
    before = current.read_bytes()
    enough = ("--min-rows", "200", "--min-positives", "10")
    code, told = promote(dump, *enough)
    assert (code, told["code"]) == (1, "shift")
    assert "100% of the rows are of values of camera that are new" in told["reason"]
    assert current.read_bytes() == before
    if named == "by row":
        told = promote(dump, *enough, "--max-shift", "psi=inf", "--dry-run")[1]
        assert "worse" not in {one["why"] for one in told["kept_groups"]}
