"""The search end to end, against brute force over the rows and against its promises."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from calibcli.cli.main import main
from calibcli.core.decisions.rules import NONE, REFER
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.artifacts.schema import load_schema
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.measure.measure import measure
from calibcli.workflows.threshold.threshold import Wish, threshold

QUIET = Conventions(confidence=None)


def rows(seed, n=300, decimals=2):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.9, n)
    return np.round(p, decimals), (rng.uniform(size=n) < p).astype(int)


@pytest.fixture
def save(tmp_path):
    def write(name="scores.csv", **columns):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return str(path)

    return write


def spec_of(path, **more):
    return InputSpec(paths=(path,), **more)


def run(path, wish=None, conventions=QUIET, spec=None, **more):
    return threshold(spec or spec_of(path), conventions, wish or Wish.parse(), **more)


def figures(score, label, at):
    on = score >= at
    tp, fp = int((on & (label == 1)).sum()), int((on & (label == 0)).sum())
    return tp, fp, int((label == 1).sum()) - tp, int((label == 0).sum()) - fp


@pytest.mark.parametrize("seed", range(5))
def test_best_f1_is_that_of_brute_force_over_all_scores(save, seed):
    score, label = rows(seed)
    item = run(save(score=score, label=label))["thresholds"][0]
    best = max(
        2 * tp / (2 * tp + fp + fn)
        for tp, fp, fn, _ in (figures(score, label, t) for t in np.unique(score))
    )
    assert item["value"]["value"] == pytest.approx(best, abs=1e-12)
    counts = tuple(item["confusion"][key] for key in ("tp", "fp", "fn", "tn"))
    assert counts == figures(score, label, item["threshold"])


def test_the_interval_of_the_cut_off_holds_it_and_shrinks_with_rows(save):
    widths = []
    for n in (200, 20_000):
        score, label = rows(0, n, 4)
        item = run(save(score=score, label=label), conventions=Conventions())["thresholds"][0]
        assert item["threshold_low"] <= item["threshold"] <= item["threshold_high"]
        assert item["value"]["low"] < item["value"]["high"]
        widths.append(item["threshold_high"] - item["threshold_low"])
    assert widths[1] < widths[0] / 2


def test_clusters_widen_the_interval_of_the_objective(save):
    score, label = rows(1, 400, 3)
    columns = {
        "score": np.repeat(score, 8),
        "label": np.repeat(label, 8),
        "visit": np.repeat(np.arange(400), 8),
    }
    path = save(**columns)
    apart = run(path, conventions=Conventions())["thresholds"][0]["value"]
    together = run(path, conventions=Conventions(), spec=spec_of(path, cluster="visit"))
    whole = together["thresholds"][0]["value"]
    assert whole["high"] - whole["low"] > 1.8 * (apart["high"] - apart["low"])


def test_a_certified_precision_holds_as_often_as_promised(save):
    population_score, population_label = rows(99, 400_000, 3)
    target, kept, certified = 0.8, 0, 0
    for seed in range(60):
        score, label = rows(seed, 300, 3)
        wish = Wish.parse(subject_to=(f"precision>={target}",), guarantee=0.9)
        try:
            result = run(save(score=score, label=label), wish)
        except AnswerNoError:
            kept += 1
            continue
        certified += 1
        assert result["kind"] == "certified"
        tp, fp, _, _ = figures(
            population_score, population_label, result["thresholds"][0]["threshold"]
        )
        kept += tp >= target * (tp + fp)
    assert certified > 40
    assert kept >= 60 * 0.9 - 3 * (60 * 0.9 * 0.1) ** 0.5


def test_what_cannot_be_certified_says_how_many_rows_would_do(save, tmp_path):
    score, label = rows(3, 60)
    wish = Wish.parse(subject_to=("precision>=0.85",), guarantee=0.99)
    output = tmp_path / "thresholds.json"
    output.write_text("old")
    with pytest.raises(AnswerNoError, match=r"about [0-9]+ like these would be needed"):
        run(save(score=score, label=label), wish, output=str(output))
    assert output.read_text() == "old"


@pytest.mark.parametrize(
    ("more", "said"),
    [({"weight": "w"}, "carry weights"), ({"weight": "w", "cluster": "c"}, "carry weights")],
)
def test_a_guarantee_refuses_what_an_exact_test_cannot_count(save, more, said):
    score, label = rows(4)
    path = save(score=score, label=label, w=np.ones(len(score)), c=np.arange(len(score)) // 2)
    wish = Wish.parse(subject_to=("recall>=0.8",), guarantee=0.95)
    with pytest.raises(UsageError, match=said):
        run(path, wish, spec=spec_of(path, **more))


def test_a_calibrator_of_the_same_rows_voids_the_guarantee(save, tmp_path):
    score, label = rows(5, 600, 4)
    path, calibrator = save(score=score, label=label), str(tmp_path / "c.json")
    assert main(["fit", path, "--method", "platt", "-o", calibrator]) == 0
    wish = Wish.parse(subject_to=("recall>=0.8",), guarantee=0.95)
    result = run(path, wish, calibrator=calibrator)
    assert result["kind"] == "empirical"
    assert any("guarantee does not hold" in text for text in result["warnings"])


def test_an_unreachable_target_leaves_the_old_file_alone(save, tmp_path):
    output, candidates = tmp_path / "t.json", tmp_path / "c.csv"
    output.write_text("old")
    path = save(score=[0.1, 0.9, 0.5, 0.7], label=[1, 0, 1, 0])
    with pytest.raises(AnswerNoError, match=r"precision is at most 0\.5"):
        run(
            path,
            Wish.parse(subject_to=("precision>=0.9",)),
            output=str(output),
            candidates=str(candidates),
        )
    assert output.read_text() == "old"
    assert not candidates.exists()


def test_candidates_hold_every_distinct_score_and_nothing_is_positive(save, tmp_path):
    score, label = rows(6)
    path = str(tmp_path / "curve.csv")
    run(save(score=score, label=label), candidates=path)
    with Path(path).open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(row["threshold"]) for row in found][:-1] == np.unique(score).tolist()
    for row in found:
        counts = tuple(int(row[key]) for key in ("tp", "fp", "fn", "tn"))
        assert counts == figures(score, label, float(row["threshold"]))
    assert found[-1]["precision"] == ""


@pytest.fixture
def grouped(save):
    score, label = rows(7, 900, 3)
    camera = np.array(["a", "b", "c"])[np.arange(900) % 3]
    label = np.where((camera == "c") & (score > 0.6), np.arange(900) % 2, label)
    return save(score=score, label=label, camera=camera), score, label, camera


def test_groups_show_what_the_cut_off_does_and_which_break_the_bound(grouped):
    path, score, label, camera = grouped
    wish = Wish.parse(subject_to=("precision>=0.7",))
    result = run(path, wish, Conventions(), spec_of(path, groups=("camera",)))
    at = result["thresholds"][0]["threshold"]
    for part in result["groups"]:
        own = camera == part["slice"]["value"]
        tp, fp, fn, tn = figures(score[own], label[own], at)
        assert [part["confusion"][k] for k in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
        assert part["breaks"] == ([] if tp >= 0.7 * (tp + fp) else ["precision>=0.7"])
    assert result["groups"][2]["beyond_chance"] == ["precision>=0.7"]
    assert any("camera=c" in text for text in result["warnings"])


@pytest.mark.parametrize(("equal", "place"), [("recall", 2), ("fpr", 3)])
def test_equal_figures_agree_up_to_the_step_of_a_score(grouped, tmp_path, equal, place):
    path, score, label, camera = grouped
    output = str(tmp_path / "t.json")
    level = 0.8 if equal == "recall" else 0.2
    wish = Wish.parse(
        subject_to=(f"{equal}{'>=' if equal == 'recall' else '<='}{level}",),
        per_group="camera",
        equal=equal,
    )
    result = run(path, wish, output=output)
    by_value = {
        one["slice"]["value"]: one["threshold"]
        for one in result["thresholds"]
        if one["slice"]["kind"] == "group"
    }
    assert set(by_value) == {"a", "b", "c"}
    for value, at in by_value.items():
        own = camera == value
        counts = figures(score[own], label[own], at)
        share = counts[0 if equal == "recall" else 1] / (counts[place - 2] + counts[place])
        assert abs(share - level) < 0.05
        assert share >= level if equal == "recall" else share <= level
    loaded = load(output)
    thresholds = np.array([by_value[value] for value in camera])
    assert (loaded.decide(score, camera) == (score >= thresholds)).all()
    with pytest.raises(InputError, match="no groups are given"):
        loaded.decide(score)
    overall = result["thresholds"][0]["threshold"]
    assert (loaded.decide(score, ["new"] * 900) == (score >= overall)).all()


def test_refer_decides_by_the_band(save, tmp_path):
    score, label = rows(8, 2000, 3)
    output = str(tmp_path / "t.json")
    run(save(score=score, label=label), Wish.parse(cost="fp=1,fn=4,refer=0.3"), output=output)
    loaded = load(output)
    band = loaded.payload["thresholds"][0]["cost"]["band"]
    decided = loaded.decide(score)
    assert ((decided == REFER) == ((score >= band["low"]) & (score < band["high"]))).all()
    cost = np.where(decided == REFER, 0.3, np.where(decided == 1, 1 - label, 4 * label)).mean()
    assert cost == pytest.approx(band["cost"])
    assert loaded.refers


def multiclass(seed=0, n=400, k=4):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, k))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return z, p, (rng.uniform(size=(n, 1)) > p.cumsum(axis=1)).sum(axis=1)


@pytest.fixture
def arrays(tmp_path):
    def write(scores, labels):
        np.save(tmp_path / "z.npy", scores)
        np.save(tmp_path / "y.npy", labels)
        return spec_of(str(tmp_path / "z.npy"), labels=str(tmp_path / "y.npy"), logits=True)

    return write


def test_artifacts_without_weights_give_a_row_to_the_stronger_claim(arrays, tmp_path):
    z, p, label = multiclass()
    output = tmp_path / "t.json"
    run(None, spec=arrays(z, label), output=str(output))
    payload = json.loads(output.read_text())
    for item in payload["thresholds"]:
        del item["weight"]
    payload.pop("digest", None)
    output.write_text(json.dumps(payload))
    at = np.array([item["threshold"] for item in payload["thresholds"]])
    loaded = load(str(output))
    for row, decided in zip(p, loaded.decide(z), strict=True):
        claims = [k for k in range(4) if row[k] >= at[k]]
        expected = max(claims, key=lambda k: row[k] / at[k]) if claims else NONE
        assert decided == expected
    assert (loaded.decide(p, logits=False) == loaded.decide(z)).all()


def test_a_class_without_positives_gets_no_cut_off_and_is_never_decided(arrays, tmp_path):
    z, _, label = multiclass()
    keep = label != 2
    output = str(tmp_path / "t.json")
    result = run(None, spec=arrays(z[keep], label[keep]), output=output)
    assert result["thresholds"][2]["threshold"] is None
    assert any("never decided" in text for text in result["warnings"])
    assert 2 not in load(output).decide(z)


def test_the_artifact_keeps_its_schema_and_is_small(grouped, tmp_path):
    path, *_ = grouped
    output = tmp_path / "t.json"
    result = run(path, Wish.parse(subject_to=("recall>=0.8",), guarantee=0.9), output=str(output))
    Draft202012Validator(load_schema("thresholds")).validate(json.loads(output.read_text()))
    Draft202012Validator(load_schema("threshold")).validate(result)
    assert output.stat().st_size < 10_000


def test_the_same_input_gives_the_same_bytes(grouped, tmp_path):
    path, *_ = grouped
    made = []
    for name in ("a.json", "b.json"):
        run(path, Wish.parse(maximize="mcc"), Conventions(), output=str(tmp_path / name))
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_measure_counts_the_cut_offs_of_classes_on_its_own_rows(arrays, tmp_path):
    z, _, label = multiclass(0)
    output = str(tmp_path / "t.json")
    run(None, spec=arrays(z, label), output=output)
    z, p, label = multiclass(1)
    found = measure(arrays(z, label), QUIET, thresholds=output)
    for k, part in enumerate(found["classes"]):
        table = part["confusion"][0]
        counts = tuple(table[key] for key in ("tp", "fp", "fn", "tn"))
        assert counts == figures(p[:, k], (label == k).astype(int), table["threshold"])


def test_per_group_reads_saved_statistics_too(grouped, tmp_path):
    path, *_ = grouped
    stats = str(tmp_path / "stats.json")
    measure(spec_of(path, groups=("camera",)), QUIET, save_stats=stats)
    wish = Wish.parse(per_group="camera")
    assert run(stats, wish)["thresholds"] == run(path, wish)["thresholds"]
    with pytest.raises(InputError, match="no group 'site'"):
        run(stats, Wish.parse(per_group="site"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"guarantee": 0.95}, "nothing to promise"),
        ({"guarantee": 95.0, "subject_to": ("recall>=0.9",)}, "confidence"),
        ({"equal": "recall"}, "needs groups"),
        ({"equal": "fpr", "per_group": "g", "subject_to": ("recall>=0.9",)}, "its level"),
        ({"prior": (0.0,)}, "between 0 and 1"),
        ({"maximize": "f1", "cost": "fp=1,fn=1"}, "two objectives"),
    ],
)
def test_options_that_contradict_each_other(options, said):
    with pytest.raises(UsageError, match=said):
        Wish.parse(**options)


def test_large_logits_are_parted_and_decided_by_the_logit(save, tmp_path):
    logit, label = [38.0, 39, 40, 41, 42], [0, 0, 1, 1, 1]
    path = save(score=np.array(logit), label=np.array(label))
    output = str(tmp_path / "t.json")
    wish = Wish.parse("recall", ("precision>=0.95",))
    result = run(None, wish, spec=spec_of(path, logits=True), output=output)
    item = result["thresholds"][0]
    assert (item["threshold"], item["logit"]) == (1.0, 40.0)
    assert [item["confusion"][k] for k in ("tp", "fp", "fn", "tn")] == [3, 0, 0, 2]
    assert load(output).decide(logit).tolist() == [False, False, True, True, True]
    found = measure(spec_of(path, logits=True), QUIET, thresholds=output)
    assert found["decision"]["metrics"]["accuracy"]["value"] == 1


def test_scores_of_hundreds_taken_for_logits_are_searched_one_by_one(save):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    score = np.round(rng.normal(590 + 20 * label, 20))
    path = save(score=score, label=label)
    item = run(None, Wish.parse("youden"), spec=spec_of(path, logits=True))["thresholds"][0]
    best = max(
        (score[label == 1] >= t).mean() - (score[label == 0] >= t).mean() for t in np.unique(score)
    )
    assert item["value"]["value"] == pytest.approx(best)
    assert item["logit"] in score


def test_each_figure_stands_beside_that_of_rows_the_choice_has_not_seen(save):
    score, label = rows(5, 300, 2)
    path = save(score=score, label=label)
    wish = Wish.parse("recall", ("precision>=0.7",))
    result = run(path, wish, Conventions())
    item = result["thresholds"][0]
    crossed = item["cross_fitted"]
    for name in ("precision", "recall", "f1", "specificity", "fpr"):
        assert (item["confusion"][name]["low"], item["confusion"][name]["high"]) == (
            crossed[name]["low"],
            crossed[name]["high"],
        )
        assert crossed[name]["low"] <= crossed[name]["value"] <= crossed[name]["high"]
    assert item["confusion"]["precision"]["value"] >= 0.7
    assert "not-shown" in result["warning_codes"]
    certified = run(path, Wish.parse("recall", ("precision>=0.5",), guarantee=0.9), Conventions())
    assert "cross_fitted" not in certified["thresholds"][0]
