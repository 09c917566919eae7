"""Several classes: cut-offs are chosen and judged on the decisions that `apply` writes."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from calibcli.errors import AnswerNoError, UsageError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.fit.fitted import FitOptions
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.threshold.threshold import Wish, threshold

QUIET = Conventions(confidence=None)
NAMES = ("a", "b", "c")


def world(seed, n=600, shares=(0.7, 0.2, 0.1), apart=1.4, sharp=1.5):
    """Over-confident scores of three classes, of which one is rare."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, n, p=shares)
    x = rng.normal(size=(n, 3))
    x[np.arange(n), label] += apart
    z = sharp * (apart * x + np.log(shares))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True), label


@pytest.fixture
def save(tmp_path):
    """Write scores as CSV, with any more columns."""

    def write(p, label, name="scores.csv", columns=None, **more):
        path = tmp_path / name
        columns = columns or {}
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"p_{k}" for k in NAMES), "label", *columns])
            extra = zip(*columns.values(), strict=True) if columns else [()] * len(p)
            for scores, y, own in zip(p.tolist(), label, extra, strict=True):
                writer.writerow([*map(repr, scores), NAMES[y], *own])
        scores = tuple(f"p_{k}" for k in NAMES)
        return InputSpec(
            paths=(str(path),), scores=scores, label="label", classes=NAMES,
            task="multiclass", **more,
        )  # fmt: skip

    return write


def table(decided, label, k):
    on, true = decided == k, label == k
    return [int(v.sum()) for v in (on & true, on & ~true, ~on & true, ~on & ~true)]


def counts_of(part):
    return [part[key] for key in ("tp", "fp", "fn", "tn")]


def check(result, decided, label):
    """Hold every figure of the result against the decisions themselves."""
    found = result["decision"]
    assert found["metrics"]["accuracy"]["value"] == pytest.approx((decided == label).mean())
    assert found["metrics"]["undecided"]["value"] == pytest.approx((decided < 0).mean())
    f1 = []
    for k, item in enumerate(result["thresholds"]):
        expected = table(decided, label, k)
        assert counts_of(item["confusion"]) == expected
        assert counts_of(found["classes"][k]) == expected
        tp, fp, fn, _ = expected
        f1.append(2 * tp / (2 * tp + fp + fn))
        if tp + fp:
            assert item["confusion"]["precision"]["value"] == pytest.approx(tp / (tp + fp))
        assert item["confusion"]["recall"]["value"] == pytest.approx(tp / (tp + fn))
    assert found["metrics"]["macro_f1"]["value"] == pytest.approx(np.mean(f1))
    matrix = found["confusion_matrix"]
    for k, name in enumerate(matrix["truth"]):
        for d, count in zip(matrix["decisions"], matrix["counts"][k], strict=True):
            code = NAMES.index(d) if d in NAMES else -1
            assert count == ((label == NAMES.index(name)) & (decided == code)).sum()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"maximize": "accuracy"},
        {"maximize": "balanced-accuracy"},
        {"subject_to": ("precision>=0.7",)},
        {"subject_to": ("recall>=0.5",)},
        {"subject_to": ("recall>=0.4",), "guarantee": 0.9},
        {"cost": "fp=1,fn=3"},
        {"prior": (0.4, 0.3, 0.3)},
    ],
)
def test_figures_are_those_of_the_decisions(save, tmp_path, wish):
    p, label = world(1)
    path = str(tmp_path / "t.json")
    result = threshold(save(p, label), Conventions(), Wish.parse(**wish), output=path)
    decided = load(path).decide(p)
    check(result, decided, label)
    plain = result["decision"]["plain"]["metrics"]
    assert plain["accuracy"]["value"] == pytest.approx((p.argmax(axis=1) == label).mean())
    assert plain["undecided"]["value"] == 0


def test_decisions_after_a_calibrator_are_those_that_apply_writes(save, calibcli, tmp_path):
    spec = save(*world(2))
    p, label = world(3)
    held = save(p, label, "held.csv")
    cal, cuts, out = (str(tmp_path / name) for name in ("cal.json", "t.json", "out.csv"))
    fit(spec, QUIET, FitOptions(method="vector"), output=cal)
    result = threshold(held, QUIET, Wish.parse(), calibrator=cal, output=cuts)
    done = calibcli("apply", cal, held.paths[0], "--thresholds", cuts, "-o", out, "-q")
    assert done.code == 0
    with Path(out).open(newline="") as file:
        decided = [row["decision"] for row in csv.DictReader(file)]
    codes = np.array([NAMES.index(name) if name else -1 for name in decided])
    check(result, codes, label)


def test_choice_is_the_best_of_every_cut_off_and_weighting(save, tmp_path):
    p, label = world(4, n=150)
    items = threshold(save(p, label), QUIET, Wish.parse())["thresholds"]
    mean = p.mean(axis=0)
    best = -1.0
    for power in (0.0, 0.5, 1.0):
        winner = (p / mean**power).argmax(axis=1)
        score = p[np.arange(len(p)), winner]
        values = []
        for k in range(3):
            own = np.where(winner == k, score, -1.0)
            tables = (table(np.where(own >= t, k, -1), label, k) for t in own[winner == k])
            values.append(max(2 * tp / (2 * tp + fp + fn) for tp, fp, fn, _ in tables))
        best = max(best, np.mean(values))
    assert np.mean([item["value"]["value"] for item in items]) == pytest.approx(best)


def test_accuracy_is_best_where_every_row_gets_its_most_probable_class(save, tmp_path):
    p, label = world(5)
    result = threshold(save(p, label), QUIET, Wish.parse("accuracy"))
    found = result["decision"]
    plain = found["plain"]["metrics"]["accuracy"]["value"]
    assert found["metrics"]["accuracy"]["value"] >= plain


def test_worse_than_the_most_probable_class_is_said(save):
    p, label = world(6)
    # Recall alone is best where everything is decided: precision is what this wish gives up.
    result = threshold(save(p, label), QUIET, Wish.parse("recall", ("alerts<=60",)))
    assert not any("most probable class does better" in text for text in result["warnings"])
    rule, plain = (
        result["decision"]["metrics"],
        result["decision"]["plain"]["metrics"],
    )
    assert plain["accuracy"]["value"] > rule["accuracy"]["value"]
    result = threshold(save(p, label), QUIET, Wish.parse("specificity"))
    assert result["decision"]["metrics"]["undecided"]["value"] > 0.5


def test_groups_are_judged_by_what_is_decided_there(save, tmp_path):
    p, label = world(7)
    site = np.random.default_rng(7).choice(["x", "y"], len(p))
    camera = np.random.default_rng(8).choice(["1", "2"], len(p))
    columns = {"site": site.tolist(), "camera": camera.tolist()}
    spec = save(p, label, columns=columns, groups=("site", "camera"))
    path = str(tmp_path / "t.json")
    result = threshold(spec, QUIET, Wish.parse(per_group="site"), output=path)
    decided = load(path).decide(p, site)
    assert result["decision"]["metrics"]["accuracy"]["value"] == pytest.approx(
        (decided == label).mean()
    )
    assert len(result["thresholds"]) == 9
    for part in result["groups"]:
        where = part["slice"]
        own = (site if where["column"] == "site" else camera) == where["value"]
        k = NAMES.index(where["class"])
        assert counts_of(part["confusion"]) == table(decided[own], label[own], k)
    for item in result["thresholds"][3:]:
        own = site == item["slice"]["value"]
        k = NAMES.index(item["slice"]["class"])
        assert counts_of(item["confusion"]) == table(decided[own], label[own], k)


def test_clusters_shards_counts_and_weights_give_the_same_figures(save, tmp_path):
    p, label = world(9, n=400)
    mass = np.random.default_rng(9).integers(1, 4, len(p))
    rows = np.repeat(np.arange(len(p)), mass)
    whole = threshold(save(p[rows], label[rows]), Conventions(), Wish.parse())
    counted = threshold(
        save(p, label, "c.csv", columns={"n": mass.tolist()}, count="n"),
        Conventions(),
        Wish.parse(),
    )
    for name in ("n", "metrics", "classes", "confusion_matrix", "plain"):
        assert counted["decision"][name] == whole["decision"][name]
    for one, other in zip(counted["thresholds"], whole["thresholds"], strict=True):
        assert one["threshold"] == other["threshold"]
        assert counts_of(one["confusion"]) == counts_of(other["confusion"])
    weighed = threshold(
        save(p, label, "w.csv", columns={"w": (mass * 0.25).tolist()}, weight="w"),
        QUIET,
        Wish.parse(),
    )
    for one, other in zip(weighed["thresholds"], whole["thresholds"], strict=True):
        assert one["threshold"] == other["threshold"]
        assert one["confusion"]["tp"] == pytest.approx(other["confusion"]["tp"] * 0.25)
    clustered = threshold(
        save(p, label, "k.csv", columns={"who": list(range(len(p)))}, cluster="who"),
        Conventions(),
        Wish.parse(),
    )
    plain = threshold(save(p, label), Conventions(), Wish.parse())
    wide = clustered["decision"]["metrics"]["accuracy"]
    narrow = plain["decision"]["metrics"]["accuracy"]
    assert wide["value"] == narrow["value"]
    ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
    assert 0.7 < ratio < 1.4


def test_saved_statistics_know_the_most_probable_class_alone(save, tmp_path):
    p, label = world(10)
    spec, stats, path = save(p, label), str(tmp_path / "s.json"), str(tmp_path / "t.json")
    measure(spec, Conventions(), save_stats=stats)
    result = threshold(InputSpec(paths=(stats,)), Conventions(), Wish.parse(), output=path)
    decided = load(path).decide(p)
    found = result["decision"]
    assert found["metrics"]["accuracy"]["value"] == pytest.approx((decided == label).mean())
    assert found["metrics"]["undecided"]["value"] == pytest.approx((decided < 0).mean())
    assert "confusion_matrix" not in found
    for k, part in enumerate(found["classes"]):
        assert counts_of(part) == table(decided, label, k)
    with pytest.raises(UsageError, match="whole rows"):
        threshold(InputSpec(paths=(stats,)), QUIET, Wish.parse(prior=(0.4, 0.3, 0.3)))


def test_every_class_out_of_reach_is_named_with_its_best(save, tmp_path):
    p, label = world(11)
    path = tmp_path / "t.json"
    wish = {"subject_to": ("precision>=0.95", "recall>=0.3")}
    with pytest.raises(AnswerNoError) as error:
        threshold(save(p, label), QUIET, Wish.parse(**wish), output=str(path))
    assert "cannot be met in 2 of 3 slices" in error.value.message
    assert "class 'b': " in error.value.message
    assert "class 'c': " in error.value.message
    assert "--unreachable never" in (error.value.hint or "")
    assert not path.exists()
    result = threshold(save(p, label), QUIET, Wish.parse(**wish, never=True), output=str(path))
    decided = load(str(path)).decide(p)
    assert set(decided.tolist()) == {0, -1}
    check(result, decided, label)
    assert [item["threshold"] > 1 for item in result["thresholds"]] == [False, True, True]
    assert any("cannot be met in 2 of 3 slices" in text for text in result["warnings"])


def test_a_target_that_no_class_can_meet_is_refused_whatever_is_asked(save):
    wish = Wish.parse(subject_to=("recall>=0.999", "precision>=0.999"), never=True)
    with pytest.raises(AnswerNoError, match="3 of 3"):
        threshold(save(*world(12)), QUIET, wish)


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["recall>=0.6", "precision>=0.8", "fnr<=0.45"])
def test_certified_bounds_hold_for_the_decisions_on_new_rows(save, tmp_path, bound):
    """Of 200 files at least 90 % keep the bound in each class, less two standard errors."""
    draws, broken = 200, np.zeros(3)
    p_new, label_new = world(10**6, n=200_000)
    path = str(tmp_path / "t.json")
    name, target = re.split("[<>]=", bound)[0], float(bound.partition("=")[2])
    for seed in range(draws):
        spec = save(*world(seed, n=1200))
        try:
            threshold(spec, QUIET, Wish.parse(subject_to=(bound,), guarantee=0.9), output=path)
        except AnswerNoError:
            continue
        decided = load(path).decide(p_new)
        for k in range(3):
            tp, fp, fn, _ = table(decided, label_new, k)
            good = {
                "recall": tp >= target * (tp + fn),
                "precision": tp >= target * (tp + fp),
                "fnr": fn <= target * (tp + fn),
            }
            broken[k] += not good[name]
    limit = 0.1 + 2 * np.sqrt(0.1 * 0.9 / draws)
    assert (broken / draws <= limit).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 1000])
def test_cross_fitted_figures_of_all_classes_hold_on_new_rows(save, tmp_path, rows):
    p_new, label_new = world(10**6, n=200_000)
    path = str(tmp_path / "t.json")
    held, error = {}, {}
    for seed in range(200):
        result = threshold(
            save(*world(seed, n=rows)), Conventions(), Wish.parse(), output=path
        )  # fmt: skip
        decided = load(path).decide(p_new)
        tables = [table(decided, label_new, k) for k in range(3)]
        true = {
            "accuracy": (decided == label_new).mean(),
            "undecided": (decided < 0).mean(),
            "macro_f1": np.mean([2 * tp / (2 * tp + fp + fn) for tp, fp, fn, _ in tables]),
        }
        found = dict(result["decision"]["cross_fitted"]["metrics"])
        for k, item in enumerate(result["thresholds"]):
            tp, fp, fn, _ = tables[k]
            true[f"f1 {k}"] = 2 * tp / (2 * tp + fp + fn)
            true[f"recall {k}"] = tp / (tp + fn)
            found[f"f1 {k}"] = item["cross_fitted"]["f1"]
            found[f"recall {k}"] = item["cross_fitted"]["recall"]
        for name, value in true.items():
            figure = found[name]
            if figure["low"] is not None:
                held.setdefault(name, []).append(figure["low"] <= value <= figure["high"])
                error.setdefault(name, []).append(figure["value"] - value)
    for name, draws in held.items():
        assert np.mean(draws) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / len(draws)), name
        assert abs(np.mean(error[name])) < np.std(error[name]), name
