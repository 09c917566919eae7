"""`measure --thresholds` judges what `apply` writes: after the calibrator, by group, in images."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from calibcli.core.decisions.rules import REFER
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.fit.fitted import FitOptions
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.threshold.kinds.abstain import abstention
from calibcli.workflows.threshold.kinds.sets import prediction_sets
from calibcli.workflows.threshold.threshold import Wish, threshold

QUIET = Conventions(confidence=None)


def rows(seed, n=800):
    """Scores that are right at one site and far too low at the other."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(size=n)
    site = rng.choice(["x", "y"], n)
    label = rng.uniform(size=n) < np.where(site == "x", score, np.sqrt(score))
    return {
        "score": score,
        "label": label.astype(int),
        "site": site,
        "day": rng.choice(["2026-01-01", "2026-01-02"], n),
    }


@pytest.fixture
def save(tmp_path):
    def write(data, name="scores.csv", **more):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(data)
            writer.writerows(zip(*(column.tolist() for column in data.values()), strict=True))
        more = {"score": "score", "label": "label"} | more
        return InputSpec(paths=(str(path),), **more)

    return write


@pytest.fixture
def files(tmp_path):
    return [str(tmp_path / name) for name in ("cal.json", "t.json", "out.csv")]


def written(calibcli, cal, cuts, spec, out):
    """Return the decisions that `apply` writes."""
    done = calibcli("apply", cal, spec.paths[0], "--thresholds", cuts, "-o", out, "-q")
    assert done.code == 0, done.err
    with Path(out).open(newline="") as file:
        return [row["decision"] for row in csv.DictReader(file)]


def rates(decided, label):
    tp, fp, fn = (decided & (label == 1)).sum(), (decided & (label == 0)).sum(), 0
    fn = (~decided & (label == 1)).sum()
    return {
        "accuracy": (decided == label).mean(),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
    }


@pytest.mark.parametrize("per_group", [None, "site"])
def test_decisions_are_those_of_apply_in_all_rows_groups_and_periods(
    save, files, calibcli, per_group
):
    cal, cuts, out = files
    fit(save(rows(0), "fit.csv"), QUIET, FitOptions(method="platt", per_group="site"), output=cal)
    threshold(
        save(rows(1), "choose.csv"), QUIET, Wish.parse(per_group=per_group),
        calibrator=cal, output=cuts,
    )  # fmt: skip
    data = rows(2)
    spec = save(data, "new.csv")
    decided = np.array(written(calibcli, cal, cuts, spec, out)) == "1"
    found = measure(
        save(data, "new.csv", groups=("site",)), QUIET, calibrator=cal, thresholds=cuts, by="day"
    )
    for name, value in rates(decided, data["label"]).items():
        assert found["decision"]["metrics"][name]["value"] == pytest.approx(value)
    for part in found["decision"]["groups"]:
        own = data["site"] == part["slice"]["value"]
        for name, value in rates(decided[own], data["label"][own]).items():
            assert part["metrics"][name]["value"] == pytest.approx(value)
    for period in found["series"]["periods"]:
        own = data["day"] == period["value"]
        for name, value in rates(decided[own], data["label"][own]).items():
            assert period["decision"]["metrics"][name]["value"] == pytest.approx(value)
    # Tables at the chosen cut-offs: on the calibrated side alone, of each group at its own.
    for group in found["groups"]:
        own = data["site"] == group["slice"]["value"]
        table = group["calibrated"]["confusion"][0]
        assert table["tp"] == (decided & own & (data["label"] == 1)).sum()
        assert table["fp"] == (decided & own & (data["label"] == 0)).sum()
        assert [one["threshold"] for one in group["confusion"]] == [0.5]
    whole = [one["threshold"] for one in found["overall"]["calibrated"]["confusion"]]
    assert len(whole) == (1 if per_group else 2)


def test_a_group_column_that_decisions_need_is_read_and_not_shown(save, files):
    cal, cuts, _ = files
    del cal
    threshold(save(rows(1)), QUIET, Wish.parse(per_group="site"), output=cuts)
    data = rows(2)
    found = measure(save(data, "new.csv"), QUIET, thresholds=cuts)
    decided = load(cuts).decide(data["score"], data["site"])
    assert found["groups"] == []
    assert found["params"]["groups"] == []
    assert found["decision"]["metrics"]["f1"]["value"] == pytest.approx(
        rates(decided, data["label"])["f1"]
    )


def test_cut_offs_of_uncalibrated_scores_are_judged_before_the_calibrator(save, files):
    cal, cuts, _ = files
    data = rows(3)
    fit(save(rows(0)), QUIET, FitOptions(method="platt"), output=cal)
    threshold(save(rows(1)), QUIET, Wish.parse(), output=cuts)
    found = measure(save(data), QUIET, calibrator=cal, thresholds=cuts)
    decided = load(cuts).decide(data["score"])
    assert found["decision"]["metrics"]["f1"]["value"] == pytest.approx(
        rates(decided, data["label"])["f1"]
    )
    assert "other-scores" in found["warning_codes"]
    assert len(found["overall"]["confusion"]) == 2
    assert len(found["overall"]["calibrated"]["confusion"]) == 1


def test_saved_statistics_judge_what_they_can(save, files, tmp_path):
    _, cuts, _ = files
    data, stats = rows(4), str(tmp_path / "s.json")
    threshold(save(rows(1)), QUIET, Wish.parse(per_group="site"), output=cuts)
    measure(save(data, groups=("site",)), Conventions(), save_stats=stats)
    found = measure(InputSpec(paths=(stats,)), Conventions(), thresholds=cuts)
    decided = load(cuts).decide(data["score"], data["site"])
    assert found["decision"]["metrics"]["f1"]["value"] == pytest.approx(
        rates(decided, data["label"])["f1"]
    )
    prediction_sets(save(rows(1)), QUIET, 0.9, output=cuts)
    assert "decision" not in measure(InputSpec(paths=(stats,)), QUIET, thresholds=cuts)


def test_referrals_bands_and_sets_are_judged_too(save, files):
    _, cuts, _ = files
    data = rows(5)
    threshold(save(rows(1)), QUIET, Wish.parse(cost="fp=1,fn=4,refer=0.3"), output=cuts)
    decided = load(cuts).decide(data["score"])
    metrics = measure(save(data), QUIET, thresholds=cuts)["decision"]["metrics"]
    assert metrics["undecided"]["value"] == pytest.approx((decided == REFER).mean())
    assert metrics["accuracy"]["value"] == pytest.approx((decided == data["label"]).mean())

    abstention(save(rows(1)), QUIET, "accuracy>=0.9", output=cuts)
    decided = load(cuts).decide(data["score"])
    metrics = measure(save(data), QUIET, thresholds=cuts)["decision"]["metrics"]
    assert metrics["undecided"]["value"] == pytest.approx((decided == REFER).mean())
    assert metrics["accuracy"]["value"] == pytest.approx((decided == data["label"]).mean())

    prediction_sets(save(rows(1)), QUIET, 0.8, per_class=True, output=cuts)
    inside = load(cuts).decide(data["score"])
    decision = measure(save(data), QUIET, thresholds=cuts)["decision"]
    held = inside[np.arange(len(inside)), data["label"]]
    assert decision["metrics"]["coverage"]["value"] == pytest.approx(held.mean())
    assert decision["metrics"]["set_size"]["value"] == pytest.approx(inside.sum(axis=1).mean())
    for k, part in enumerate(decision["classes"]):
        assert part["coverage"]["value"] == pytest.approx(held[data["label"] == k].mean())


def test_labels_are_decided_one_by_one(files, tmp_path):
    _, cuts, _ = files
    rng = np.random.default_rng(6)
    p = rng.uniform(size=(500, 3))
    y = (rng.uniform(size=p.shape) < p**2).astype(int)
    for name, array in (("p", p), ("y", y)):
        np.save(tmp_path / f"{name}.npy", array)
    spec = InputSpec(
        paths=(str(tmp_path / "p.npy"),), labels=str(tmp_path / "y.npy"), task="multilabel"
    )
    threshold(spec, QUIET, Wish.parse(), output=cuts)
    decided = load(cuts).decide(p)
    decision = measure(spec, Conventions(), thresholds=cuts)["decision"]
    assert decision["metrics"]["accuracy"]["value"] == pytest.approx((decided == y).mean())
    for k, part in enumerate(decision["classes"]):
        assert part["f1"]["value"] == pytest.approx(rates(decided[:, k], y[:, k])["f1"])


@pytest.mark.slow
def test_masks_are_judged_with_their_regions_and_conflicts(calibcli, tmp_path):
    rng = np.random.default_rng(7)
    base = np.kron(rng.normal(size=(6, 3, 5, 5)), np.ones((1, 1, 4, 4)))
    z = base + rng.normal(size=(6, 3, 20, 20))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (base + rng.normal(0, 0.3, base.shape)).argmax(axis=1)
    paths = {}
    for name, array in (("p", p.astype(np.float32)), ("y", y)):
        paths[name] = str(tmp_path / f"{name}.npy")
        np.save(paths[name], array)
    cal, cuts, out = (str(tmp_path / name) for name in ("cal.json", "t.json", "mask.npy"))
    images = ("--labels", paths["y"], "--task", "segmentation", "-q")
    for arguments in (
        ("fit", paths["p"], *images, "--method", "temperature", "-o", cal),
        ("threshold", paths["p"], *images, "--calibrator", cal, "--maximize", "dice",
         "--search", "min-area=0,6", "--search", "fill-holes=yes,no", "-o", cuts),
        ("apply", cal, paths["p"], "--task", "segmentation", "--thresholds", cuts, "-o", out, "-q"),
    ):  # fmt: skip
        done = calibcli(*arguments)
        assert done.code == 0, done.err
    mask = np.load(out)
    done = calibcli(
        "measure", paths["p"], *images, "--calibrator", cal, "--thresholds", cuts,
        "--format", "json",
    )  # fmt: skip
    decision = done.json["decision"]
    assert decision["metrics"]["accuracy"]["value"] == pytest.approx((mask == y).mean())
    assert decision["metrics"]["undecided"]["value"] == pytest.approx((mask == 255).mean())
    for k, part in enumerate(decision["classes"]):
        on, true = mask == k, y == k
        assert part["tp"] == (on & true).sum()
        assert part["fp"] == (on & ~true).sum()
        assert part["fn"] == (~on & true).sum()
