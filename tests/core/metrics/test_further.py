"""The further figures against scikit-learn, SciPy's optimiser, brute force and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from calibcli.core.metrics import intervals, multiclass
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import ALL, FURTHER, METRICS, SMOOTH
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats


def view_of(score, label, **options) -> View:
    return View(ScoreStats.from_arrays(score, label, **options), Binning())


def value(name, score, label, **options) -> float:
    return ALL[name](view_of(score, label, **options))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    score = np.round(rng.beta(0.7, 1.4, 900), 2).clip(0.01, 0.99)
    label = (rng.random(900) < expit(0.7 * logit(score) + 0.3)).astype(int)
    return score, label, rng.integers(1, 4, 900).astype(float)


def isotonic(score, label):
    return IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(score)


def test_slope_and_intercept_maximise_the_likelihood(rows):
    score, label, _ = rows
    z = logit(score)

    def loss(slope, level):
        return np.logaddexp(0.0, (1 - 2 * label) * (level + slope * z)).sum()

    free = minimize(lambda b: loss(*b), [1.0, 0.0], method="Nelder-Mead", tol=1e-10)
    held = minimize(lambda b: loss(1.0, b[0]), [0.0], method="Nelder-Mead", tol=1e-10)
    assert value("calibration_slope", score, label) == pytest.approx(free.x[0], abs=1e-5)
    assert value("calibration_intercept", score, label) == pytest.approx(held.x[0], abs=1e-5)


def test_observed_over_expected(rows):
    score, label, weight = rows
    expected = (weight @ label) / (weight @ score)
    assert value("oe_ratio", score, label, weight=weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("ici", np.mean),
        ("e50", lambda d: np.quantile(d, 0.5, method="inverted_cdf")),
        ("e90", lambda d: np.quantile(d, 0.9, method="inverted_cdf")),
    ],
)
def test_distances_to_the_isotonic_fit(rows, name, summary):
    score, label, _ = rows
    distance = np.abs(isotonic(score, label) - score)
    assert value(name, score, label) == pytest.approx(summary(distance), abs=1e-9)


def test_both_sides_make_ece(rows):
    score, label, _ = rows
    over, under = (value(f"{side}_confidence", score, label) for side in ("over", "under"))
    assert over + under == pytest.approx(METRICS["ece"](view_of(score, label)), abs=1e-14)
    assert under - over == pytest.approx(label.mean() - score.mean(), abs=1e-12)
    assert value("over_confidence", np.full(4, 0.75), [1, 1, 0, 0]) == pytest.approx(0.25)
    assert value("under_confidence", np.full(4, 0.75), [1, 1, 0, 0]) == 0.0


def test_terms_of_the_log_loss(rows):
    score, label, _ = rows
    fitted = isotonic(score, label).clip(1e-15, 1 - 1e-15)
    mis, dis, unc = (
        value(f"nll_{term}", score, label)
        for term in ("miscalibration", "discrimination", "uncertainty")
    )
    base = log_loss(label, np.full(len(label), label.mean()))
    assert unc == pytest.approx(base, abs=1e-12)
    assert mis == pytest.approx(log_loss(label, score) - log_loss(label, fitted), abs=1e-9)
    assert dis == pytest.approx(base - log_loss(label, fitted), abs=1e-9)
    assert mis - dis + unc == pytest.approx(log_loss(label, score), abs=1e-12)


def test_skill_is_what_is_saved_of_the_prevalence(rows):
    score, label, _ = rows
    share = np.full(len(label), label.mean())
    saved = 1 - log_loss(label, score) / log_loss(label, share)
    assert value("nll_skill", score, label) == pytest.approx(saved, abs=1e-12)
    saved = 1 - ((score - label) ** 2).mean() / ((share - label) ** 2).mean()
    assert value("brier_skill", score, label) == pytest.approx(saved, abs=1e-12)
    assert value("nll_skill", share, label) == pytest.approx(0.0, abs=1e-12)


def test_cllr(rows):
    score, label, _ = rows
    ratio = score / (1 - score) / (label.mean() / (1 - label.mean()))
    positive = np.log2(1 + 1 / ratio[label == 1]).mean()
    negative = np.log2(1 + ratio[label == 0]).mean()
    assert value("cllr", score, label) == pytest.approx((positive + negative) / 2, abs=1e-12)
    assert value("cllr", np.full(len(label), label.mean()), label) == pytest.approx(1.0, abs=1e-12)


def test_least_cllr_is_that_after_pav_with_equal_priors(rows):
    from sklearn.isotonic import IsotonicRegression

    score, label, _ = rows
    weight = np.where(label == 1, 0.5 / label.sum(), 0.5 / (1 - label).sum())
    fit = IsotonicRegression().fit_transform(score, label, sample_weight=weight)
    said = np.where(label == 1, fit, 1 - fit)
    wanted = float(-(weight * np.log2(said)).sum())
    assert value("cllr_min", score, label) == pytest.approx(wanted, abs=1e-9)
    assert value("cllr_min", score**3, label) == pytest.approx(wanted, abs=1e-9)
    assert wanted <= value("cllr", score, label)
    assert value("cllr_min", np.full(len(label), 0.3), label) == pytest.approx(1.0, abs=1e-12)
    assert value("cllr_min", label * 0.5 + 0.2, label) == pytest.approx(0.0, abs=1e-12)


def test_risk_over_coverage(rows):
    score, label, _ = rows
    sureness, wrong = np.maximum(score, 1 - score), (score >= 0.5) != label
    kept = sureness[:, None] >= sureness[None, :] - 1e-9
    risk = (kept * wrong[:, None]).sum(axis=0) / kept.sum(axis=0)
    assert value("aurc", score, label) == pytest.approx(risk.mean(), abs=1e-12)


def test_p_of_labels_drawn_row_by_row(rows):
    score = rows[0]
    rng = np.random.default_rng(0)
    label = (rng.random(len(score)) < expit(logit(score) * 0.93 + 0.1)).astype(int)
    view = view_of(score, label)
    bins = View(view.stats, Binning("mass", 20)).bins
    home = bins.index[np.searchsorted(np.unique(score), score)]
    size = np.bincount(home)

    def distance(labels):
        gap = np.bincount(home, labels - score) / size
        return size @ gap**2

    drawn = [distance(rng.random(len(score)) < score) for _ in range(4000)]
    expected = np.mean(np.array(drawn) >= distance(label))
    assert 0.03 < expected < 0.97
    assert ALL["miscalibration_p"](view) == pytest.approx(expected, abs=0.035)


def test_p_keeps_its_level():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        score = rng.beta(0.5, 3.0, 200)
        found.append(value("miscalibration_p", score, rng.random(200) < score))
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.055)
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_the_derivatives(rows, name):
    score, label, weight = rows
    view = view_of(score, label, weight=weight)
    whole = ALL[name](view)
    slope = FURTHER[name].gradient(view, whole)
    sums = view.stats.pos @ slope[0] + view.stats.neg @ slope[1]
    assert sums == pytest.approx(0.0, abs=1e-6)  # of all rows together: weights have no unit
    cells = np.unique(score)
    for at in (5, 340, 610):
        grown = weight.copy()
        grown[at] += 1e-4
        step = (ALL[name](view_of(score, label, weight=grown)) - whole) / 1e-4
        own = slope[1 - label[at]][np.searchsorted(cells, score[at])]
        assert step == pytest.approx(own, rel=2e-3, abs=2e-6)


def test_intervals_cover():
    rng = np.random.default_rng(2)
    held = dict.fromkeys((*SMOOTH[:3], "brier_skill", "nll_skill", "cllr", "cllr_min", "aurc"), 0)
    held |= {"over_confidence": 0}

    def sample(n):
        score = rng.beta(1.0, 3.0, n)
        return score, rng.random(n) < expit(0.8 * logit(score) - 0.2)

    large = view_of(*sample(400_000))
    truth = {name: ALL[name](large) for name in held}
    for _ in range(200):
        found = intervals.measure(view_of(*sample(250)), names=held)
        for name, (_, low, high, _) in found.items():
            held[name] += low <= truth[name] <= high
    assert min(held.values()) >= 182, held


def test_figures_of_several_classes():
    rng = np.random.default_rng(4)
    p = rng.dirichlet([0.6, 0.4, 1.0], 500)
    label = np.array([rng.choice(3, p=one) for one in p])
    top = p.argmax(axis=1)
    right = top == label
    found = multiclass.measure(
        View(ScoreStats.from_arrays(p.max(axis=1), right), Binning(), confidence=True),
        [view_of(p.max(axis=1)[top == k], right[top == k]) for k in range(3)],
        [view_of(p[:, k], label == k) for k in range(3)],
    )
    share = np.bincount(label) / 500
    saved = 1 - log_loss(label, p) / log_loss(label, np.tile(share, (500, 1)))
    assert found["nll_skill"][0] == pytest.approx(saved, abs=1e-12)
    one_hot = np.eye(3)[label]
    saved = 1 - ((p - one_hot) ** 2).sum() / ((share - one_hot) ** 2).sum()
    assert found["brier_skill"][0] == pytest.approx(saved, abs=1e-12)
    risk = np.cumsum(~right[np.argsort(-p.max(axis=1))]) / np.arange(1, 501)
    assert found["aurc"][0] == pytest.approx(risk.mean(), abs=1e-12)
    for name in ("nll_skill", "brier_skill", "aurc", "calibration_slope", "oe_ratio"):
        assert found[name][1] < found[name][0] < found[name][2]


def test_figures_that_the_data_do_not_have_say_why():
    found = intervals.measure(view_of([0.2, 0.4], [1, 1]), names=FURTHER)
    for name in ("calibration_slope", "brier_skill", "cllr"):
        assert found[name][0] is None
        assert found[name][3]
    clustered = view_of([0.2, 0.4, 0.6], [0, 1, 1], cluster=np.array([1, 1, 2]))
    assert ALL["oe_ratio"](clustered) == pytest.approx(2 / 1.2)
    found = intervals.measure(clustered, names=["miscalibration_p", "ici"])
    assert found["miscalibration_p"][3] == "rows come in clusters"
    assert found["ici"][0] is not None
    assert found["ici"][3]
