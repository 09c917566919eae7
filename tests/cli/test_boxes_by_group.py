"""Boxes by what a table tells of their images, through every command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli import load

DETECTION = ("--task", "detection")


@pytest.fixture
def cameras(scene, write):
    """Boxes whose scores are honest by day and too sure by night."""
    results, annotations = scene(images=120, seed=4)
    ids = list(range(1, 121))
    night = [i % 2 == 0 for i in ids]
    table = write("images.csv", {"image_id": ids, "time": np.where(night, "night", "day")})
    found = json.loads(results.read_text())
    for one in found:
        if one["image_id"] % 2 == 0:
            one["score"] = round(one["score"] ** 0.2, 4)
    results.write_text(json.dumps(found))
    return results, ("--ground-truth", annotations, "--images", table)


@pytest.mark.slow
def test_a_map_for_each_camera_is_applied_as_it_was_measured(good, calibcli, cameras, tmp_path):
    results, beside = cameras
    artifact, out = tmp_path / "c.json", tmp_path / "out.json"
    fit = good("fit", results, *DETECTION, *beside, "--per-group", "time", "--method", "platt",
               "--format", "json", "-o", artifact)  # fmt: skip
    assert {one["slice"]["value"] for one in fit.json["groups"]} == {"day", "night"}
    run = calibcli("measure", results, *DETECTION, *beside, "--group", "time", "--calibrator",
                   artifact, "--format", "json")  # fmt: skip
    night = next(one for one in run.json["groups"] if one["slice"]["value"] == "night")
    assert night["metrics"]["ece"]["value"] > 3 * night["calibrated"]["metrics"]["ece"]["value"]
    images = beside[2:]
    good("apply", artifact, results, *DETECTION, *images, "-o", out)
    written = json.loads(out.read_text())
    read = json.loads(results.read_text())
    when = ["day" if one["image_id"] % 2 else "night" for one in read]
    expected = load(artifact).apply([one["score"] for one in read], groups=when)
    assert [one["score"] for one in written] == pytest.approx(list(expected))
    ran = calibcli("apply", artifact, results, "-o", out)
    assert ran.code == 2
    assert "--images FILE" in ran.err


@pytest.mark.slow
def test_two_detectors_differ_where_one_is_worse(good, calibcli, cameras, write):
    results, beside = cameras
    found = json.loads(results.read_text())
    same = calibcli(
        "measure", results, *DETECTION, *beside, "--versus", results, "--format", "json"
    )
    metrics = same.json["versus"]["metrics"]
    assert {one["value"] for one in metrics.values() if one["value"] is not None} == {0.0}
    rng = np.random.default_rng(0)
    for one in found:
        one["score"] = round(float(rng.uniform()), 4)
    other = write("random.json", json.dumps(found))
    run = calibcli("measure", results, *DETECTION, *beside, "--versus", other, "--group", "time",
                   "--format", "json")  # fmt: skip
    assert run.code == 0
    ap = run.json["versus"]["metrics"]["ap"]
    assert ap["high"] < 0 < ap["first"]
    assert ap["second"] - ap["first"] == pytest.approx(ap["value"])
    assert {one["slice"]["value"] for one in run.json["versus"]["groups"]} == {"day", "night"}
    fewer = write("fewer.json", json.dumps([one for one in found if one["image_id"] < 60]))
    assert calibcli("measure", results, *DETECTION, *beside, "--versus", fewer).code == 0


def test_saved_statistics_know_what_was_missed(good, calibcli, cameras, tmp_path):
    results, beside = cameras
    saved = tmp_path / "stats.json"
    whole = calibcli("measure", results, *DETECTION, *beside, "--save-stats", saved, "--format",
                     "json").json  # fmt: skip
    again = calibcli("measure", saved, "--format", "json").json
    assert again["task"] == "detection"
    sides = [(result["overall"], *result["classes"]) for result in (whole, again)]
    for one, other in zip(*sides, strict=True):
        for key in ("tp", "fp", "fn", "recall"):
            assert one["confusion"][0][key] == other["confusion"][0][key]
        assert one["metrics"]["ece"] == other["metrics"]["ece"]
        assert other["metrics"]["ap"]["reason"] == "saved statistics hold no boxes"


def test_weights_of_images_count_in_every_figure_that_is_shown(good, calibcli, scene, write):
    """An image of weight 2 is the image twice; what cannot weigh says so, at cut-offs too."""
    results, annotations = scene(images=20, seed=7)
    weight = {i: 1 + i % 2 for i in range(1, 21)}
    images = write("w.csv", {"image_id": list(weight), "w": list(weight.values())})
    found, truth = json.loads(results.read_text()), json.loads(annotations.read_text())
    twice = {"images": [*truth["images"]], "annotations": [*truth["annotations"]]}
    for part, whole in ((found, found), *((twice[k], truth[k]) for k in twice)):
        for one in [*whole]:
            key = "image_id" if "image_id" in one else "id"
            if weight[one[key]] == 2:
                part.append({**one, key: one[key] + 100})
    more = write("found.json", json.dumps(found))
    copies = write("truth.json", json.dumps({**truth, **twice}))

    def figures(scores, objects, *options):
        run = calibcli("measure", scores, *DETECTION, "--ground-truth", objects, "--no-ci",
                       "--format", "json", "-q", *options)  # fmt: skip
        return run.json["overall"]

    weighed = figures(results, annotations, "--images", images, "--weight", "w")
    copied = figures(more, copies)
    shown = {k: v for k, v in weighed["metrics"].items() if v["value"] is not None}
    bare = {"images", "ground_truth"}
    same = [k for k in shown if k not in bare and k in copied["metrics"]]
    assert {"ece", "brier", "nll", "auc", "prevalence", "mce"} <= set(same)
    for name in same:
        assert shown[name]["value"] == pytest.approx(copied["metrics"][name]["value"]), name
    for name in ("ap", "lrp", "ece_position", "ece_size", "ece_box"):
        assert "count every image once" in weighed["metrics"][name]["reason"]
    a, b = weighed["confusion"][0], copied["confusion"][0]
    assert [a[k] for k in ("tp", "fp", "fn")] == [b[k] for k in ("tp", "fp", "fn")]
    assert "count every image once" in a["lrp"]["reason"]
