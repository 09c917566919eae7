"""Two models and two months of raw scores: what ranks better, what has moved, what is promoted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.comparison.at_cuts import AT_CUTS, paired_at
from calibcli.core.comparison.decided import Duel

N = 1500


def drawn(seed, n=N, slope=1.0, shift=0.0, level=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(shift, 1.3, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-slope * z - level))).astype(int)
    return {
        "score": np.round(600 + 40 * z).astype(int),
        "margin": np.round(z + rng.normal(0, 0.8, n), 3),
        "late": np.round(600 + 40 * (z + rng.normal(0, 0.3, n))).astype(int),
        "label": label,
        "site": np.where(np.arange(n) % 2, "a", "b"),
    }


NOW = drawn(5)
BEFORE = drawn(6, n=1200, shift=0.3, slope=0.6)


@pytest.fixture
def points(write):
    return write("points.csv", NOW)


@pytest.fixture
def before(write):
    return write("before.csv", BEFORE)


def placements(score, label):
    """Return how many of the other label each row beats (DeLong's components)."""
    up, down = score[label == 1][:, None], score[label == 0][None]
    wins = (up > down) + (up == down) / 2.0
    return wins.mean(axis=1), wins.mean(axis=0)


def de_long(one, two, label):
    """Return the difference of two AUC on the same rows and its standard error."""
    (a1, a0), (b1, b0) = placements(one, label), placements(two, label)
    ones, zeros = b1 - a1, b0 - a0
    spread = ones.var(ddof=1) / len(ones) + zeros.var(ddof=1) / len(zeros)
    return b1.mean() - a1.mean(), float(np.sqrt(spread))


@pytest.mark.parametrize("other", ["margin", "late"])
def test_auc_of_two_models_is_compared_as_by_de_long(other, points, good):
    """Each in a unit of its own: only the order counts."""
    found = good("measure", points, "--raw", "--versus", other, "--format", "json").json["versus"]
    gap, error = de_long(NOW["score"], NOW[other], NOW["label"])
    one = found["metrics"]["auc"]
    assert one["value"] == pytest.approx(gap, abs=1e-12)
    assert [one["low"], one["high"]] == pytest.approx(
        [gap - 1.96 * error, gap + 1.96 * error], abs=2e-5
    )
    assert set(found["metrics"]) == {"auc", "average_precision"}
    assert "first model ranks the rows better" in found["verdict"]


def figures(score, label, at):
    up = score >= at
    return {
        "precision": label[up].mean(), "recall": up[label == 1].mean(),
        "specificity": (~up[label == 0]).mean(), "fpr": up[label == 0].mean(),
        "positive_rate": up.mean(),
    }  # fmt: skip


def test_figures_at_cut_offs_are_paired(points, good, calibcli):
    line = ("measure", points, "--raw", "--versus", "late", "--threshold", "600",
            "--threshold", "640.5", "--group", "site")  # fmt: skip
    found = good(*line, "--format", "json").json["versus"]
    for at in (600, 640.5):
        sides = [figures(NOW[name], NOW["label"], at) for name in ("score", "late")]
        for name in sides[0]:
            one = found["metrics"][f"{name}@{at}"]
            assert (one["first"], one["second"]) == pytest.approx([s[name] for s in sides])
            assert one["low"] <= one["value"] <= one["high"]
    # Recall is a share of the positives: McNemar's variance, and one more row that differs.
    mine = NOW["label"] == 1
    a, b = NOW["score"][mine] >= 600, NOW["late"][mine] >= 600
    n, differ = mine.sum(), (a != b).sum()
    error = np.sqrt(differ / n**2 - (b.mean() - a.mean()) ** 2 / n + 1 / n**2)
    one = found["metrics"]["recall@600"]
    assert one["high"] - one["value"] == pytest.approx(1.96 * error, rel=2e-3)
    assert [part["slice"]["value"] for part in found["groups"]] == ["a", "b"]
    passing = ("versus.precision@600>0.05", "group.site.a.versus.fpr@640.5.low>0.1")
    failing = ("versus.auc<0", "versus.recall@600.high<1")
    ran = calibcli(*line, *(x for gate in (*passing, *failing) for x in ("--fail-if", gate)), "-q")
    assert ran.code == 1
    assert ran.out.count("FAIL") == len(failing)
    assert ran.out.count("pass ") == len(passing)
    assert calibcli(*line, "--fail-if", "versus.precision>0.1").code == 2  # which cut-off?
    ran = calibcli(*line, "--fail-if", "versus.nll>0.1")
    assert (ran.code, "names no figure" in ran.err) == (2, True)


def test_models_that_decide_alike_are_not_told_to_be_the_same_for_sure():
    label = np.repeat([1, 0], [40, 160])
    up = np.arange(200) < 60
    counts = np.bincount(label * 4 + up * 3, minlength=8)
    cell = np.flatnonzero(counts)
    duel = Duel(
        np.zeros(len(cell), np.int64), cell // 4, cell // 2 % 2, cell % 2,
        np.zeros(len(cell), np.int64), counts[cell].astype(float), counts[cell].astype(float),
        1, exclusive=False, clustered=False,
    )  # fmt: skip
    found = {name: paired_at(duel, figure, 0.95) for name, figure in AT_CUTS.items()}
    rows = -np.log(0.025)  # no event in n rows: at most so many of them
    assert found["recall"].high == pytest.approx(rows / 40, rel=1e-3)
    assert found["fpr"].low == pytest.approx(-rows / 160, rel=1e-3)
    assert all(one.value == 0.0 for one in found.values())
    assert paired_at(duel, AT_CUTS["recall"], None).low is None


def test_what_has_moved_between_two_months(points, before, good, calibcli, write):
    line = ("measure", points, "--raw", "--reference", before, "--threshold", "600")
    found = good(*line, "--format", "json").json["drift"]["metrics"]
    # Distances and the test of the curve need only the order: those of any increasing map.
    sides = [{**one, "score": 1 / (1 + np.exp(-(one["score"] - 600) / 40))}
             for one in (NOW, BEFORE)]  # fmt: skip
    paths = [write(f"p{k}.csv", one) for k, one in enumerate(sides)]
    plain = good("measure", paths[0], "--reference", paths[1], "--score", "score",
                 "--format", "json").json["drift"]["metrics"]  # fmt: skip
    for name in ("psi", "ks", "js", "prevalence", "auc", "estimated_prevalence"):
        assert _known(found[name]) == pytest.approx(_known(plain[name]), rel=1e-9), name
    assert {"mean_score", "ece", "brier", "slope", "expected_ece"}.isdisjoint(found)
    for name, value in figures(NOW["score"], NOW["label"], 600).items():
        one = found[f"{name}@600"]
        was = figures(BEFORE["score"], BEFORE["label"], 600)[name]
        assert (one["current"], one["reference"]) == pytest.approx((value, was))
        assert one["low"] < value - was < one["high"]
    gates = ("drift.psi>0.2", "drift.recall@600.high<-0.5", "drift.auc.p<1e-30")
    assert calibcli(*line, *(x for g in gates for x in ("--fail-if", g)), "-q").code == 0
    assert calibcli(*line, "--fail-if", "drift.precision@600.high>0", "-q").code == 1


def test_scores_without_labels_have_drift(points, before, write, calibcli):
    bare = write("bare.csv", {"score": NOW["score"]})
    line = (
        "measure",
        bare,
        "--raw",
        "--reference",
        before,
        "--threshold",
        "600",
        "--by",
        "rows:500",
    )
    ran = calibcli(*line, "--format", "json")
    moved, figures_ = ran.json["drift"]["metrics"], ran.json["overall"]["metrics"]
    assert moved["positive_rate@600"]["current"] == pytest.approx((NOW["score"] >= 600).mean())
    assert "recall@600" not in moved
    assert figures_["mean_score"]["value"] is None  # a mean of what stands for them tells nothing
    series = ran.json["series"]
    assert list(series["periods"][0]["metrics"]) == ["n"]
    assert series["rule"].startswith("bad where PSI is surely above")
    assert "next: " not in calibcli(*line).out


def _known(one):
    return {name: value for name, value in one.items() if value is not None}


def test_a_calibrator_is_what_has_been(points, before, good, calibcli, tmp_path):
    out = tmp_path / "cal.json"
    good("fit", before, "--raw", "--score", "score", "--method", "platt", "-o", out, "-q")
    line = ("measure", points, "--score", "score", "--threshold", "600")
    by_rows = good(*line, "--raw", "--reference", before, "--format", "json").json["drift"]
    told = good(*line, "--raw", "--reference", out, "--format", "json").json["drift"]
    for name in ("psi", "auc", "recall@600"):
        assert _known(told["metrics"][name]) == pytest.approx(
            _known(by_rows["metrics"][name]), rel=1e-6
        )
    ran = calibcli("measure", points, "--score", "score", "--reference", out)
    assert (ran.code, ran.err.splitlines()[-1]) == (2, "hint: add --raw")
    # After a calibrator there are probabilities, and all that is told of them.
    both = good("measure", points, "--calibrator", out, "--reference", before, "--versus", "late",
                "--format", "json", "-q").json  # fmt: skip
    assert both["drift"]["calibrated"]["metrics"]["ece"]["low"] is not None
    assert both["versus"]["note"] == "raw scores are compared as they are, not after the calibrator"


def test_statistics_of_probabilities_are_no_reference(points, write, good, calibcli, tmp_path):
    p = write("p.csv", {"score": np.linspace(0.1, 0.9, 50), "label": np.arange(50) % 2})
    good("measure", p, "--save-stats", tmp_path / "s.json", "-q")
    ran = calibcli("measure", points, "--raw", "--score", "score", "--reference",
                   tmp_path / "s.json")  # fmt: skip
    assert (ran.code, "statistics of probabilities" in ran.err) == (3, True)


def test_pages_show_the_comparison(points, before, good, tmp_path):
    page = tmp_path / "r.html"
    line = ("report", points, "--raw", "--versus", "late", "--reference", before,
            "--threshold", "600", "--group", "site", "-o", page, "-q")  # fmt: skip
    good(*line)
    text = page.read_text()
    assert "precision@600" in text
    assert "ranks the rows better" in text
    assert 'id="drift"' in text


# -- promotion -------------------------------------------------------------------------------------


@pytest.fixture
def nights(write):
    """The same rows as points and as logits, which any map of logits sees alike."""

    def run(seed, **how):
        one = drawn(seed, **how)
        label = one["label"]
        raw = write(f"raw{seed}.csv", {"score": one["score"], "label": label})
        z = (one["score"] - 608) / 32  # the scale that the first night is read on
        return raw, write(f"logits{seed}.csv", {"score": z, "label": label})

    return run


def test_a_raw_map_is_promoted_as_that_of_logits_is(nights, calibcli, tmp_path):
    paths = {kind: tmp_path / f"{kind}.json" for kind in ("--raw", "--logits")}
    first, second = nights(1), nights(2, level=0.9)
    for night, code in ((first, 0), (second, 0), (second, 1)):
        told = {}
        for file, (kind, path) in zip(night, paths.items(), strict=True):
            ran = calibcli("fit", file, kind, "--method", "platt", "--promote-over", path,
                           "--fail-if", "calibrated.ece>0.2", "--format", "json", "-q")  # fmt: skip
            assert ran.code == code, ran.err
            told[kind] = ran.json["comparison"]
        if night is second:
            raw, logits = told["--raw"], told["--logits"]
            for name in ("champion", "challenger", "difference", "low", "high"):
                assert raw[name] == pytest.approx(logits[name], abs=1e-6)
    scale = json.loads(paths["--raw"].read_text())["input"]["raw"]
    assert (scale["location"], scale["scale"]) == (608.0, 32.0)


def test_the_first_raw_map_is_held_against_the_share_of_label_1(nights, calibcli, tmp_path):
    raw, _ = nights(1)
    ran = calibcli("fit", raw, "--raw", "--promote-over", tmp_path / "c.json", "--format", "json")
    share = drawn(1)["label"].mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert ran.json["comparison"]["champion"] == pytest.approx(entropy, abs=1e-9)
    assert "against the share of label 1" in ran.json["reason"]
    again = calibcli("fit", raw, "--promote-over", tmp_path / "c.json")  # it knows what it reads
    assert again.code == 1
    upside = calibcli("fit", raw, "--raw", "--descending", "--promote-over", tmp_path / "c.json")
    assert (upside.code, "leave out --descending" in upside.err) == (2, True)


def test_cut_offs_in_the_unit_of_the_scores_are_promoted(nights, calibcli, tmp_path):
    out = tmp_path / "cut.json"
    line = ("threshold", "--format", "json", "-q", "--promote-over", out)
    first, second = nights(1)[0], nights(2, level=0.9)[0]
    assert calibcli(*line, first, "--raw", "--maximize", "youden").code == 0
    at = json.loads(out.read_text())["thresholds"][0]["threshold"]
    found = calibcli(*line, second).json["comparison"]
    score, label = drawn(2, level=0.9)["score"], drawn(2, level=0.9)["label"]
    up = score >= at
    assert found["champion"] == pytest.approx(up[label == 1].mean() - up[label == 0].mean())
    for more in (("--cost", "fp=1,fn=4"), ("--equal", "tpr", "--per-group", "label")):
        ran = calibcli(*line, second, *more)
        assert ran.code == 2


def test_both_are_promoted_together(nights, calibcli, good, tmp_path):
    cal, cut = tmp_path / "cal.json", tmp_path / "cut.json"
    first, second = nights(1)[0], nights(2, level=0.9)[0]
    good("fit", first, "--raw", "--method", "platt", "-o", cal, "-q")
    good("threshold", first, "--calibrator", cal, "--maximize", "youden", "-o", cut, "-q")
    ran = calibcli("fit", second, "--promote-over", cal, "--thresholds", cut, "--format", "json",
                   "--max-shift", "odds=inf", "-q")  # fmt: skip
    assert (ran.code, ran.json["decision"]) == (0, "promoted")
    back = calibcli("fit", "--rollback", cal, "--thresholds", cut, "--format", "json")
    assert back.code == 0
