"""`threshold --subject-to 'worst(group.site).recall>=0.7'`: a promise in every group."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.cli.main import main
from calibcli.core.decisions.promises.counts import UnitCounts


def run(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments), "--format", "json", "--no-ci"]) == code
    told = capsys.readouterr()
    return json.loads(told.out) if code == 0 else told.err


@pytest.fixture
def rows(tmp_path):
    rng = np.random.default_rng(5)
    site = rng.integers(0, 3, 3000)
    z = rng.normal(-0.5, 1.6, 3000)
    label = (rng.random(3000) < 1 / (1 + np.exp(-(z + 0.4 * (site - 1))))).astype(int)
    path = tmp_path / "rows.csv"
    path.write_text("score,label,site,patient\n" + "".join(
        f"{1 / (1 + np.exp(-a)):.4f},{b},s{c},{k // 6 * 3 + c}\n"
        for k, (a, b, c) in enumerate(zip(z, label, site, strict=True))
    ))  # fmt: skip
    return path


def test_one_cut_off_is_certified_in_every_group(capsys, rows):
    bound = ("--subject-to", "worst(group.site).recall>=0.7", "--guarantee", "0.9")
    found = run(capsys, "threshold", rows, *bound)
    (item,) = found["thresholds"]
    assert found["constraints"] == ["worst(group.site).recall>=0.7"]
    assert item["guarantee"]["within"] == "site"
    recalls = [one["confusion"]["recall"]["value"] for one in found["groups"]]
    assert len(recalls) == 3
    assert min(recalls) > 0.7
    plain = run(capsys, "threshold", rows, "--subject-to", "recall>=0.7", "--guarantee", "0.9")
    assert item["guarantee"]["high"] < plain["thresholds"][0]["guarantee"]["high"]
    each = run(capsys, "threshold", rows, "--subject-to", "recall>=0.7", "--guarantee", "0.9",
               "--per-group", "site")  # fmt: skip
    highest = [one["guarantee"]["high"] for one in each["thresholds"][1:]]
    assert item["guarantee"]["high"] == min(highest)


def test_saved_statistics_of_groups_do(capsys, rows, tmp_path):
    bound = ("--subject-to", "worst(group.site).recall>=0.7", "--guarantee", "0.9")
    stats = tmp_path / "s.json"
    run(capsys, "measure", rows, "--group", "site", "--save-stats", stats)
    found = run(capsys, "threshold", stats, *bound)["thresholds"][0]
    plain = run(capsys, "threshold", rows, *bound)["thresholds"][0]
    assert found["threshold"] == plain["threshold"]
    assert found["guarantee"] == plain["guarantee"]


def test_several_bounds_and_units(capsys, rows):
    found = run(
        capsys, "threshold", rows, "--cluster", "patient", "--guarantee", "0.8",
        "--subject-to", "worst(group.site).recall>=0.5", "--subject-to", "fpr<=0.5",
    )  # fmt: skip
    promise = found["thresholds"][0]["guarantee"]
    assert (promise["unit"], promise["within"]) == ("patient", "site")
    assert main([*map(str, ("threshold", rows, "--subject-to", "worst(group.site).recall>=0.7",
                            "--guarantee", "0.9", "--no-ci"))]) == 0  # fmt: skip
    assert "in every group of site" in capsys.readouterr().out
    said = run(capsys, "threshold", rows, "--subject-to", "worst(group.site).precision>=0.99",
               "--guarantee", "0.9", code=1)  # fmt: skip
    assert "worst(group.site).precision>=0.99" in said


def test_a_promise_that_rests_on_a_share_of_the_units_says_so(capsys, rows, monkeypatch):
    monkeypatch.setattr(UnitCounts.__init__, "__defaults__", (500,))
    bound = ("--subject-to", "worst(group.site).recall>=0.3", "--guarantee", "0.9")
    found = run(capsys, "threshold", rows, "--cluster", "patient", *bound)
    told = "the guarantee rests on an even share of 0.0625 of the units, chosen by a hash"
    assert found["warnings"] == [told]


def test_what_makes_no_sense_is_refused(capsys, rows, sample_data, tmp_path):
    worst = ("--subject-to", "worst(group.site).recall>=0.7")
    sure = (*worst, "--guarantee", "0.9")
    classes = tmp_path / "classes.csv"
    classes.write_text("p_a,p_b,p_c,label,site\n" + "0.2,0.3,0.5,c,x\n0.6,0.2,0.2,a,y\n" * 9)
    exclusive = (classes, "--scores", "p_*")
    boxes = (sample_data / "detection_test.json", "--task", "detection", "--ground-truth",
             sample_data / "detection_test_truth.json")  # fmt: skip
    for arguments, said in (
        ((rows, *worst), "add --guarantee"),
        ((rows, *sure, "--per-group", "site"), "--per-group"),
        ((rows, *sure, "--subject-to", "worst(group.patient).fpr<=0.5"), "one column"),
        ((rows, *sure, "--subject-to", "worst(group.site).f2>=0.5"), "fbeta:2"),
        (
            (
                rows,
                "--subject-to",
                "worst(group.a).worst(group.b).recall>=0.5",
                "--guarantee",
                "0.9",
            ),
            "two columns",
        ),
        ((rows, *sure, "--promote-over", tmp_path / "t.json"), "--promote-over"),
        ((*boxes, *sure), "worst(…)"),
        ((*exclusive, *sure), "--positive CLASS"),
    ):
        ran = run(capsys, "threshold", *arguments, code=2)
        assert said in ran, ran
