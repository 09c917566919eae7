"""Figures of several classes against scikit-learn, plain loops, and the truth of a simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from sklearn import metrics as sk

from calibcli.core.metrics import multiclass
from calibcli.core.metrics.binary import View
from calibcli.core.statistics import row_sample
from calibcli.core.statistics.curves import Binning
from calibcli.tasks.collect import Layout, Scope
from calibcli.tasks.pairs import pairs_of

BINS = 15


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def draw(p, rng):
    return (rng.uniform(size=(len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)


def case(seed, n=500, k=5, *, ties=False, dtype=np.float64):
    """Rows of over-confident probabilities and labels; with ties, of one decimal."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.3, (n, k))
    label = draw(softmax(z), rng)
    p = softmax(1.8 * z)
    if ties:
        p = np.round(p, 1)
        p[:, -1] = np.round(1 - p[:, :-1].sum(axis=1), 10)
        bad = (p < 0).any(axis=1)
        p[bad] = np.eye(k)[0]
    return p.astype(dtype), label


@pytest.fixture
def figures(good, write):
    def run(p, label, *options):
        ran = good(
            "measure", write("p.npy", p), "--labels", write("y.npy", label), *options,
            "--format", "json", "--no-ci", "--quiet",
        )  # fmt: skip
        return ran.json

    return run


def bins_of(score, edges=None):
    edges = np.arange(BINS + 1) / BINS if edges is None else edges
    return np.clip(np.searchsorted(edges, score, side="left") - 1, 0, len(edges) - 2)


def gaps(score, truth):
    """Yield (share of rows, frequency - mean score) of each non-empty bin, by the definition."""
    which = bins_of(score)
    for b in np.unique(which):
        inside = which == b
        yield inside.mean(), truth[inside].mean() - score[inside].mean()


def ece(score, truth):
    return sum(share * abs(gap) for share, gap in gaps(score, truth))


def corp(score, truth):
    """Return (miscalibration, discrimination, uncertainty) of Brier by isotonic regression."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit(score, truth).predict(score)
    rate = truth.mean()
    whole, best, base = (np.mean((f - truth) ** 2) for f in (score, fitted, rate))
    return whole - best, base - best, base


@pytest.mark.parametrize(
    "rows",
    [case(0), case(1, k=2), case(2, n=37, k=3), case(3, ties=True), case(4, dtype=np.float32)],
    ids=["plain", "two", "few", "ties", "float32"],
)
def test_every_figure_against_an_oracle(figures, rows):
    given, y = rows
    found = {
        name: figure["value"] for name, figure in figures(given, y)["overall"]["metrics"].items()
    }
    p = given.astype(np.float64)
    n, k = p.shape
    truth = np.eye(k)[y]
    top = p.argmax(axis=1)
    confidence, right = p.max(axis=1), (top == y).astype(float)
    both = [j for j in range(k) if 0 < truth[:, j].sum() < n]
    own = [ece(p[:, j], truth[:, j]) for j in range(k)]
    parts = np.array([corp(p[:, j], truth[:, j]) for j in range(k)]).sum(axis=0)
    order = np.argsort(confidence, kind="stable")
    ends = np.append(np.diff(confidence[order]) > 0, True)
    walk = np.cumsum((right - confidence)[order])[ends] / n
    lean = 1 - 2 * confidence
    z = ((right - confidence) * lean).sum() / np.sqrt(
        (lean**2 * confidence * (1 - confidence)).sum()
    )
    expected = {
        "n": n,
        "accuracy": sk.accuracy_score(y, top),
        "mean_score": confidence.mean(),
        "ece": ece(confidence, right),
        "mce": max(abs(gap) for _, gap in gaps(confidence, right)),
        "ace": np.mean([abs(gap) for _, gap in gaps(confidence, right)]),
        "classwise_ece": np.mean(own),
        "top_label_ece": sum(
            (top == j).mean() * ece(confidence[top == j], right[top == j]) for j in np.unique(top)
        ),
        "ks": abs(walk).max(),
        "kuiper": max(walk.max(), 0) - min(walk.min(), 0),
        "brier": ((p - truth) ** 2).sum(axis=1).mean(),
        "brier_miscalibration": parts[0],
        "brier_discrimination": parts[1],
        "brier_uncertainty": parts[2],
        "nll": -np.log(np.clip(p[np.arange(n), y], 1e-15, 1 - 1e-15)).mean(),
        "auc": np.mean([sk.roc_auc_score(truth[:, j], p[:, j]) for j in both]),
        "average_precision": np.mean(
            [
                sk.average_precision_score(truth[:, j], p[:, j])
                for j in range(k)
                if truth[:, j].any()
            ]
        ),
        "spiegelhalter_z": z,
        "spiegelhalter_p": 2 * scipy_stats.norm.sf(abs(z)),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name
    total = found["brier_miscalibration"] - found["brier_discrimination"]
    assert total + found["brier_uncertainty"] == pytest.approx(found["brier"], abs=1e-12)


def test_scikit_learn_agrees_on_whole_rows(figures):
    p, y = case(10, n=800)
    found = figures(p, y)["overall"]["metrics"]
    assert found["nll"]["value"] == pytest.approx(sk.log_loss(y, p, labels=range(5)), rel=1e-12)
    auc = sk.roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert found["auc"]["value"] == pytest.approx(auc, rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_a_class_against_the_rest_is_a_binary_score(figures, good, write, ties):
    p, y = case(11, ties=ties)
    for k, one in enumerate(figures(p, y)["classes"]):
        alone = good(
            "measure", write("s.npy", p[:, k]), "--labels", write("t.npy", (y == k).astype(int)),
            "--format", "json", "--no-ci", "--quiet",
        ).json["overall"]  # fmt: skip
        assert one["metrics"] == alone["metrics"]
        assert one["bins"] == alone["bins"]
        assert one["confusion"] == alone["confusion"]


def test_ties_of_the_largest_go_to_the_first_class(figures):
    p = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    found = figures(np.repeat(p, 40, axis=0), np.repeat([0, 1, 0], 40))
    assert found["overall"]["metrics"]["accuracy"]["value"] == 1


def test_several_labels_are_binary_scores_of_their_own(good, write):
    rng = np.random.default_rng(12)
    p = rng.uniform(size=(300, 3))
    y = (rng.uniform(size=(300, 3)) < p).astype(int)
    labels = ("--labels", write("y.npy", y))
    result = good("measure", write("p.npy", p), *labels, "--format", "json").json
    assert result["task"] == "multilabel"
    overall = {name: figure["value"] for name, figure in result["overall"]["metrics"].items()}
    assert overall["n"] == 900
    assert overall["ece"] == pytest.approx(ece(p.reshape(-1), y.reshape(-1)), abs=1e-12)
    assert overall["auc"] == pytest.approx(
        sk.roc_auc_score(y.reshape(-1), p.reshape(-1)), abs=1e-12
    )
    for k, one in enumerate(result["classes"]):
        found = one["metrics"]
        assert found["auc"]["value"] == pytest.approx(sk.roc_auc_score(y[:, k], p[:, k]), abs=1e-12)
        assert found["ece"]["value"] == pytest.approx(ece(p[:, k], y[:, k]), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_binary_figures_against_scikit_learn(good, write, ties):
    rng = np.random.default_rng(13)
    p = rng.uniform(size=700)
    y = (rng.uniform(size=700) < p**1.5).astype(int)
    p = np.round(p, 2) if ties else p
    ran = good("measure", write("s.npy", p), "--labels", write("y.npy", y), "--format", "json")
    found = {name: figure["value"] for name, figure in ran.json["overall"]["metrics"].items()}
    expected = {
        "brier": sk.brier_score_loss(y, p),
        "nll": -np.mean(np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-15, 1))),
        "auc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "ece": ece(p, y),
        "prevalence": y.mean(),
        "mean_score": p.mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name
    table = ran.json["overall"]["confusion"][0]
    tn, fp, fn, tp = sk.confusion_matrix(y, p >= 0.5).ravel().tolist()
    assert (table["tp"], table["fp"], table["fn"], table["tn"]) == (tp, fp, fn, tn)
    assert table["f1"]["value"] == pytest.approx(sk.f1_score(y, p >= 0.5), rel=1e-12)


# -- intervals -------------------------------------------------------------------------------------

SHOWN = (
    "accuracy", "mean_score", "nll", "brier", "auc", "average_precision", "ece", "classwise_ece",
    "top_label_ece", "brier_uncertainty",
)  # fmt: skip


def measured(p, label):
    """Return every figure with its interval, of rows in memory."""
    k = p.shape[1]
    layout = Layout("multiclass", tuple(map(str, range(k))))
    scope = Scope(layout, grouped=False, hopeless=set())
    scope.add(pairs_of("multiclass", p, label, logits=False), None, np.arange(len(p)) * 7919 % 64)
    rows = scope.population()
    binning = Binning("width", BINS)
    views = [[View(one, binning) for one in family] for family in (rows.top, rows.classes)]
    return multiclass.measure(View(rows.pairs, binning), *views)


def truths(z, scale):
    """Return the figures of the population, with label probabilities in place of labels."""
    q, p = softmax(z), softmax(scale * z)
    n, k = p.shape
    top = p.argmax(axis=1)
    confidence, right = p.max(axis=1), q[np.arange(n), top]
    auc, precision = [], []
    for j in range(k):
        order = np.argsort(-p[:, j])
        up, down = q[order, j].cumsum(), (1 - q[order, j]).cumsum()
        auc.append(np.trapezoid(up / up[-1], down / down[-1]))
        precision.append((q[order, j] / up[-1] * up / (up + down)).sum())
    rate = q.mean(axis=0)
    return {
        "accuracy": right.mean(),
        "mean_score": confidence.mean(),
        "nll": -(q * np.log(p)).sum(axis=1).mean(),
        "brier": ((p**2).sum(axis=1) + 1 - 2 * (p * q).sum(axis=1)).mean(),
        "auc": np.mean(auc),
        "average_precision": np.mean(precision),
        "ece": ece(confidence, right),
        "classwise_ece": np.mean([ece(p[:, j], q[:, j]) for j in range(k)]),
        "top_label_ece": sum(
            (top == j).mean() * ece(confidence[top == j], right[top == j]) for j in range(k)
        ),
        "brier_uncertainty": (rate * (1 - rate)).sum(),
    }


def test_honest_scores_are_not_miscalibrated_by_corp_where_no_class_is_beyond_chance():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(12):
        z = rng.normal(0, 1.3, (50, 3))
        found = measured(softmax(z), draw(softmax(z), rng))
        if found["classwise_ece"][1] == 0.0:
            assert found["brier_miscalibration"][1] == 0.0
        alarms += found["brier_miscalibration"][1] > 0.0
    assert alarms <= 2  # before, a fifth of the draws


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "tilt"), [(1.0, 0.0), (1.8, 1.5)])
def test_intervals_hold_the_truth_as_often_as_they_promise(scale, tilt):
    """4 classes, 400 rows: calibrated, and over-confident with rare classes."""
    rng = np.random.default_rng(14)
    lean = tilt * np.arange(4) / 3
    wide = rng.normal(0, 1.2, (400_000, 4)) - lean
    truth = truths(wide, scale)
    runs = 60
    held = dict.fromkeys(SHOWN, 0)
    for _ in range(runs):
        z = rng.normal(0, 1.2, (400, 4)) - lean
        found = measured(softmax(scale * z), draw(softmax(z), rng))
        for name in SHOWN:
            _, low, high, _ = found[name]
            held[name] += low - 1e-12 <= truth[name] <= high + 1e-12
    # So few of that many 95% intervals hold the truth once in 2,000 simulations.
    floor = scipy_stats.binom.ppf(0.0005, runs, 0.95)
    assert {name: count for name, count in held.items() if count < floor} == {}


def test_log_loss_and_brier_are_exact_also_in_a_grid(good, write, monkeypatch, tmp_path):
    monkeypatch.setattr("calibcli.core.statistics.counting.tally.EXACT_CELLS", 64)
    rng = np.random.default_rng(12)
    z = rng.normal(0, 3, (900, 6)).astype(np.float32)
    label = draw(softmax(z.astype(np.float64) / 2), rng)
    files = [write("z.npy", z), "--labels", write("y.npy", label), "--logits", "--quiet"]
    saved = tmp_path / "s.json"
    ran = good("measure", *files, "--no-ci", "--save-stats", saved, "--format", "json").json
    assert ran["params"]["cells"].startswith("grid")
    p = softmax(z.astype(np.float64))
    loss, brier = sk.log_loss(label, p), ((p - np.eye(6)[label]) ** 2).sum(axis=1).mean()
    again = good("measure", saved, "--no-ci", "--format", "json", "--quiet").json
    intervals = good("measure", *files, "--format", "json").json
    for found in (ran, again, intervals):
        figures = found["overall"]["metrics"]
        assert figures["nll"]["value"] == pytest.approx(loss, abs=1e-12)
        assert figures["brier"]["value"] == pytest.approx(brier, abs=1e-12)
    low, high = (intervals["overall"]["metrics"]["nll"][end] for end in ("low", "high"))
    assert low < loss < high


@pytest.mark.parametrize("most", [None, 300, 60])
def test_a_group_has_the_intervals_of_its_rows_by_themselves(good, tmp_path, monkeypatch, most):
    """Of a sample of the rows nearly: its group's where they are many, else all of it."""
    rng = np.random.default_rng(7)
    n, k = 1500, 5
    z = rng.normal(0, 1.5, (n, k))
    frame = pd.DataFrame(z, columns=[f"z{j}" for j in range(k)])
    frame["y"] = (z / 1.5 + rng.gumbel(size=z.shape)).argmax(axis=1)
    frame["site"] = np.where(rng.random(n) < 0.4, "a", "b")
    if most is not None:
        monkeypatch.setattr(row_sample, "MOST_VALUES", most * k)
        monkeypatch.setattr(row_sample, "LEAST_ROWS", 1)
    paths = {"all": tmp_path / "all.csv", "a": tmp_path / "a.csv"}
    frame.to_csv(paths["all"], index=False)
    frame[frame.site == "a"].to_csv(paths["a"], index=False)
    asked = ("--scores", "z*", "--label", "y", "--logits", "--format", "json", "--quiet")
    together = good("measure", paths["all"], *asked, "--group", "site").json["groups"]
    found = next(one["metrics"] for one in together if one["slice"]["value"] == "a")
    alone = good("measure", paths["a"], *asked).json["overall"]["metrics"]
    for name in ("brier", "nll", "auc", "average_precision", "brier_skill", "classwise_ece"):
        assert found[name]["value"] == pytest.approx(alone[name]["value"], rel=1e-12)
        for end in ("low", "high"):
            gap = found[name][end] - alone[name][end]
            width = alone[name]["high"] - alone[name]["low"]
            assert abs(gap) <= (1e-9 if most is None else 0.12) * width
