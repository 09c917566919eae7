"""Cut-offs of labels with too many distinct scores to keep: those of a search over all of them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from calibcli.errors import AnswerNoError, InputError
from calibcli.io.rows.dataset import InputSpec
from calibcli.tasks.rows import breakpoints
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.fit.fitted import FitOptions
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.loaded.loading import load
from calibcli.workflows.threshold.threshold import Wish, threshold

QUIET = Conventions(confidence=None)
OBJECTIVES = (
    "f1",
    "fbeta:2",
    "youden",
    "balanced-accuracy",
    "accuracy",
    "mcc",
    "precision",
    "recall",
    "specificity",
    "npv",
    "dice",
    "iou",
)


def data(seed, n=240, labels=5):
    """Logits with many ties, and labels that they tell something about."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(n, labels)), 1)
    return z, (rng.uniform(size=z.shape) < 1 / (1 + np.exp(-z))).astype(np.int64)


def expit(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture
def save(tmp_path):
    def write(z, label, **more):
        np.save(tmp_path / "scores.npy", z)
        np.save(tmp_path / "labels.npy", label)
        paths = (str(tmp_path / "scores.npy"),)
        labels = str(tmp_path / "labels.npy")
        return InputSpec(paths=paths, labels=labels, task="multilabel", **more)

    return write


@pytest.fixture
def table(tmp_path):
    """Write scores with a column beside them."""

    def write(p, label, name, column, **more):
        path = tmp_path / "scores.csv"
        width = p.shape[1]
        names, truths = ([f"{kind}_{k}" for k in range(width)] for kind in "py")
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*names, *truths, name])
            rows = zip(p.tolist(), label.tolist(), column.tolist(), strict=True)
            writer.writerows([*map(repr, scores), *y, own] for scores, y, own in rows)
        return InputSpec(
            paths=(str(path),), scores=tuple(names), label="y_*", task="multilabel", **more
        )

    return write


@pytest.fixture
def cells(monkeypatch):
    """Set how many distinct scores a tally keeps; returns how often positives were collected."""
    calls = []
    count = breakpoints.count_at_positives

    def watched(*args, **more):
        calls.append(1)
        return count(*args, **more)

    monkeypatch.setattr(breakpoints, "count_at_positives", watched)

    def limit(many):
        calls.clear()
        monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", many)
        return calls

    return limit


def both(cells, spec, wish, conventions=QUIET, **more):
    """Choose on all distinct scores, and on the scores of positives."""
    calls = cells(1 << 18)
    exact = threshold(spec, conventions, wish, **more)
    assert not calls
    calls = cells(20)
    fast = threshold(spec, conventions, wish, **more)
    assert calls
    return exact, fast


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_choice_is_that_of_all_distinct_scores(save, cells, objective):
    for seed in range(3):
        spec = save(*data(seed), logits=True)
        exact, fast = both(cells, spec, Wish.parse(objective))
        assert fast["thresholds"] == exact["thresholds"]
        assert fast["warnings"] == exact["warnings"]


def test_best_f1_of_each_label_is_that_of_brute_force(save, cells):
    z, label = data(7)
    p = expit(z)
    cells(20)
    items = threshold(save(z, label, logits=True), QUIET, Wish.parse("f1"))["thresholds"]
    for k, item in enumerate(items):
        truth = label[:, k] == 1
        best = max(
            2 * (truth & on).sum() / (truth.sum() + on.sum())
            for on in (p[:, k] >= t for t in np.unique(p[:, k]))
        )
        assert item["value"]["value"] == pytest.approx(best, abs=1e-12)
        on = z[:, k] >= item["logit"]
        counts = [
            (on & truth).sum(),
            (on & ~truth).sum(),
            (~on & truth).sum(),
            (~on & ~truth).sum(),
        ]
        assert [item["confusion"][key] for key in ("tp", "fp", "fn", "tn")] == counts


@pytest.mark.parametrize(
    "bounds",
    [
        ("precision>=0.6",),
        ("recall>=0.8",),
        ("fpr<=0.2", "recall>=0.3"),
        ("alerts<=30",),
        ("npv>=0.6", "positive-rate<=0.6"),
        ("recall<=0.5",),
    ],
)
def test_choice_under_bounds_is_that_of_all_distinct_scores(save, cells, bounds):
    spec = save(*data(11), logits=True)
    exact, fast = both(cells, spec, Wish.parse("f1", bounds))
    assert fast["thresholds"] == exact["thresholds"]


def test_prior_shifts_the_same_candidates(save, cells):
    spec = save(*data(2), logits=True)
    exact, fast = both(cells, spec, Wish.parse(prior=(0.5, 0.2, 0.1, 0.1, 0.1)))
    assert fast["thresholds"] == exact["thresholds"]


def test_only_alerts_above_every_positive_meet_the_bound(save, cells):
    z, label = data(4)
    z[np.arange(5), np.arange(5)] = 9  # one highest score in each column
    label[0, 0] = 0  # the one alert that a bound of 1 allows in class 0 is wrong
    spec = save(z, label, logits=True)
    exact, fast = both(cells, spec, Wish.parse("precision", ("alerts<=1",)))
    assert fast["thresholds"] == exact["thresholds"]
    assert fast["thresholds"][0]["confusion"]["fp"] == 1


def test_bound_out_of_reach_is_refused_with_the_same_best_value(save, cells, tmp_path):
    z, label = data(5)
    spec, output = save(z, label, logits=True), tmp_path / "thresholds.json"
    said = []
    for many in (1 << 18, 20):
        cells(many)
        with pytest.raises(AnswerNoError) as error:
            threshold(
                spec, QUIET, Wish.parse("f1", ("precision>=0.999", "recall>=0.9")),
                output=str(output),
            )  # fmt: skip
        said.append(str(error.value))
    assert said[0] == said[1]
    assert not output.exists()


@pytest.mark.parametrize("kind", ["count", "weight"])
def test_counts_and_weights(table, cells, kind):
    z, label = data(6)
    mass = np.random.default_rng(6).integers(0, 4, len(z))
    spec = table(expit(z), label, "w", mass * (0.25 if kind == "weight" else 1), **{kind: "w"})
    for objective in OBJECTIVES:
        conventions = Conventions() if objective == "iou" else QUIET
        exact, fast = both(cells, spec, Wish.parse(objective), conventions)
        for one, other in zip(exact["thresholds"], fast["thresholds"], strict=True):
            assert other["threshold"] == one["threshold"]
            assert other["n"] == one["n"]
            for name, figure in one["confusion"].items():
                if isinstance(figure, dict):  # folds are dealt from other cells
                    assert other["confusion"][name]["value"] == pytest.approx(figure["value"])
                else:
                    assert other["confusion"][name] == pytest.approx(figure)


def test_weights_that_do_not_add_up_exactly(table, cells):
    z, label = data(8)
    spec = table(expit(z), label, "w", np.random.default_rng(8).gamma(1, 1, len(z)), weight="w")
    exact, fast = both(cells, spec, Wish.parse("f1"))
    for one, other in zip(exact["thresholds"], fast["thresholds"], strict=True):
        assert other["threshold"] == one["threshold"]
        assert other["confusion"]["tn"] == pytest.approx(one["confusion"]["tn"])


def test_scores_go_through_the_calibrator_first(save, cells, tmp_path):
    spec = save(*data(9), logits=True)
    path = str(tmp_path / "calibrator.json")
    fit(spec, QUIET, FitOptions(method="platt"), output=path)
    exact, fast = both(cells, spec, Wish.parse("f1"), calibrator=path)
    assert fast["thresholds"] == exact["thresholds"]


def test_thresholds_decide_what_was_counted(save, cells, tmp_path):
    z, label = data(10)
    path = str(tmp_path / "thresholds.json")
    cells(20)
    spec = save(expit(z), label)
    items = threshold(spec, QUIET, Wish.parse("f1"), output=path)["thresholds"]
    decided = np.asarray(load(path).decide(np.load(spec.paths[0])))
    for k, item in enumerate(items):
        assert (decided[:, k] & (label[:, k] == 1)).sum() == item["confusion"]["tp"]
        assert (decided[:, k] & (label[:, k] == 0)).sum() == item["confusion"]["fp"]


def test_tally_that_gives_up_late_is_counted_again(save, cells, monkeypatch):
    monkeypatch.setattr(breakpoints, "PROBED", 0)
    spec = save(*data(12), logits=True)
    exact, fast = both(cells, spec, Wish.parse("f1"))
    assert fast["thresholds"] == exact["thresholds"]


def test_blocks_and_threads_change_nothing(save, cells, monkeypatch):
    spec = save(*data(13), logits=True)
    cells(20)
    whole = threshold(spec, QUIET, Wish.parse("f1"), threads=1)
    monkeypatch.setattr(breakpoints, "BLOCK", 35)
    again = threshold(spec, QUIET, Wish.parse("f1"), threads=3)
    assert again["thresholds"] == whole["thresholds"]


def test_weights_beyond_any_sum_are_refused(table, cells):
    z, label = data(8)
    calls = cells(20)
    spec = table(expit(z), label, "w", np.full(len(z), 1e99), weight="w")
    with pytest.raises(InputError, match="1e100"):
        threshold(spec, QUIET, Wish.parse("f1"))
    assert calls


def test_label_without_positives_gets_no_cut_off(save, cells):
    z, label = data(14)
    label[:, 3] = 0
    exact, fast = both(cells, save(z, label, logits=True), Wish.parse("f1"))
    assert fast["thresholds"] == exact["thresholds"]
    assert fast["thresholds"][3]["threshold"] is None
    assert fast["warnings"] == exact["warnings"]


def test_rows_without_a_score_are_left_out(save, cells):
    z, label = data(15)
    z[3, 1] = np.nan
    exact, fast = both(cells, save(z, label, logits=True, drop_invalid=True), Wish.parse("f1"))
    assert fast["thresholds"] == exact["thresholds"]
    assert any("1 rows without a usable score" in warning for warning in fast["warnings"])


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish.parse(subject_to=("recall>=0.1",), guarantee=0.9), "must not depend on the labels"),
        (Wish.parse("f1", ("positive-rate>=0.01",)), "more false positives can help"),
        (Wish.parse("f1", ("fpr>=0.001",)), "more false positives can help"),
        (Wish.parse(cost="fp=1,fn=4"), "closed form"),
    ],
)
def test_grid_is_kept_and_named_where_positives_are_not_enough(save, cells, wish, why):
    calls = cells(20)
    result = threshold(save(*data(16), logits=True), QUIET, wish)
    assert not calls
    assert any("of a grid of scores" in text and why in text for text in result["warnings"])


def test_exact_tallies_are_not_warned_about(save, cells):
    cells(1 << 18)
    wish = Wish.parse(subject_to=("recall>=0.1",), guarantee=0.9)
    result = threshold(save(*data(16), logits=True), QUIET, wish)
    assert not any("grid" in warning for warning in result["warnings"])
