"""`measure --evidence`: one error rate over all nights, kept in a small file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibcli.core.comparison.evidence import Evidence, Promise, rate_gains, unspent
from calibcli.core.comparison.evidence_by_unit import after_units
from calibcli.core.numeric.scales import expit
from tests.nights import left

PROMISES = ("--promise", "ece<=0.05", "--promise", "precision>=0.6")


@pytest.fixture
def night(write):
    def run(seed, level=0.0, n=1000):
        rng = np.random.default_rng(seed)
        z = rng.normal(-0.3, 1.5, n)
        label = (rng.random(n) < expit(z + level)).astype(int)
        return write(f"night{seed}.csv", {"score": np.round(expit(z), 5), "label": label})

    return run


@pytest.fixture
def weigh(calibcli, tmp_path):
    def run(rows, *more):
        place = tmp_path / "year.json"
        ran = calibcli(
            "measure", rows, "--no-ci", "--evidence", place, *(more or PROMISES), "--format", "json"
        )
        return ran, json.loads(ran.out)["evidence"] if ran.out else None, place

    return run


def test_good_nights_pass_and_a_drift_is_found(weigh, night):
    for seed in range(3):
        ran, told, place = weigh(night(seed), *PROMISES, "--fail-if", "evidence.ece.p<0.05")
        assert ran.code == 0, ran.err
        assert told["nights"] == seed + 1
        assert [one["p"] for one in told["promises"]] == [1.0, 1.0]
    gates = ("--fail-if", "evidence.ece.p<0.05", "--fail-if", "evidence.precision.p<0.05")
    for seed in range(3, 9):
        ran, told, _ = weigh(night(seed, level=-1.2), *PROMISES, *gates)
        if ran.code:
            break
    assert ran.code == 1
    assert "calibcli: gate 'evidence." in ran.err
    kept = json.loads(place.read_text())
    assert len(kept["nights"]) == len(set(kept["nights"])) == told["nights"]


def test_a_night_counts_once(weigh, night, calibcli, tmp_path):
    _, first, place = weigh(night(1))
    before = place.read_bytes()
    _, again, _ = weigh(night(1))
    assert (first["counted"], again["counted"]) == (True, False)
    assert again["promises"] == first["promises"]
    assert place.read_bytes() == before
    lines = night(1).read_text().splitlines()
    other = tmp_path / "sorted.csv"
    other.write_text("\n".join([lines[0], *sorted(lines[1:])]) + "\n")
    assert not weigh(other)[1]["counted"], "the same rows in another order"
    assert left(place.parent) == ["year.json"]


def test_what_cannot_be_evaluated_keeps_nothing(weigh, night):
    ran, _, place = weigh(night(1), *PROMISES, "--fail-if", "evidence.recall.p<0.05")
    assert ran.code == 2
    assert "names no figure of this result: 'recall'" in ran.err
    assert not place.exists()


def test_the_bounds_of_thresholds_are_promised(good, calibcli, night, tmp_path):
    cuts, place = tmp_path / "cuts.json", tmp_path / "year.json"
    good("threshold", night(1), "--subject-to", "precision>=0.7", "-o", cuts)
    told = good(
        "measure", night(2), "--thresholds", cuts, "--evidence", place, "--tolerance", "0.04",
        "--format", "json",
    ).json["evidence"]  # fmt: skip
    assert [one["promise"] for one in told["promises"]] == ["ece<=0.04", "precision>=0.7"]
    text = good(
        "measure", night(3), "--thresholds", cuts, "--evidence", place, "--tolerance", "0.04"
    ).out
    assert "precision>=0.7 is not shown to be broken over 2 nights: evidence" in text
    ran = calibcli("measure", night(3), "--thresholds", cuts, "--evidence", place)
    assert ran.code == 3
    assert "year.json is evidence on ece<=0.04, precision>=0.7 in 15 equal-width bins" in ran.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--promise", "auc>=0.5"), "no promise: 'auc>=0.5'"),
        (("--binning", "mass"), "bins that are the same every night"),
        (("--weight", "score"), "--evidence is of rows that count once"),
        (("--promise", "recall>=0.5", "--threshold", "0.2", "--threshold", "0.5"), "one cut-off"),
        (("--promise", "ece<=0.1", "--promise", "ece<=0.2"), "two promises are about one figure"),
    ],
)
def test_what_has_no_meaning_is_refused(calibcli, scores, tmp_path, more, said):
    ran = calibcli("measure", scores, "--evidence", tmp_path / "year.json", *more)
    assert ran.code == 2
    assert said in ran.err
    assert not list(tmp_path.glob("*year*"))


def test_a_promise_needs_evidence(calibcli, scores):
    ran = calibcli("measure", scores, "--promise", "ece<=0.1")
    assert ran.code == 2
    assert "--evidence FILE" in ran.err


def test_employment_is_found_in_its_first_bad_chunk(calibcli, shared_data, tmp_path):
    """5,000 rows at a time; the AUC of chunk 27 falls from 0.90 to 0.80."""
    from pyarrow import parquet

    table = parquet.read_table(shared_data / "employment" / "production_2016_2018.parquet")
    gates = {
        "auc": "auc.high<0.85",
        "precision": "precision.high<0.7",
        "year": "evidence.precision.p<0.05",
    }
    how = ("--score", "predicted_probability", "--label", "employed")
    how += ("--promise", "ece<=0.05", "--promise", "precision>=0.75")
    how += ("--evidence", tmp_path / "year.json", "--format", "json")
    first: dict[str, int] = {}
    for chunk in range(23, 29):
        place = tmp_path / f"chunk{chunk}.parquet"
        parquet.write_table(table.slice(5000 * chunk, 5000), place)
        fails = (x for gate in gates.values() for x in ("--fail-if", gate))
        ran = calibcli("measure", place, *how, *fails)
        passed = {gate["expr"]: gate["passed"] for gate in json.loads(ran.out)["gates"]}
        for name, gate in gates.items():
            if not passed[gate]:
                first.setdefault(name, chunk)
    assert first == dict.fromkeys(gates, 27)


@pytest.fixture
def of_sites(write):
    """Rows of sites; in `bad` ones labels come less often than their scores say."""

    def run(seed, sites, bad=(), n=400):
        rng = np.random.default_rng(seed)
        site = np.repeat(sites, n)
        z = rng.normal(0.0, 1.5, len(site))
        label = (rng.random(len(site)) < expit(z - 1.5 * np.isin(site, bad))).astype(int)
        patient = np.arange(len(site)) // 4 + 1_000_000 * seed
        return write(
            f"sites{seed}.csv",
            {"score": np.round(expit(z), 4), "label": label, "site": site, "patient": patient},
        )

    return run


@pytest.mark.parametrize("more", [(), ("--cluster", "patient")])
def test_the_broken_group_is_named_and_the_others_are_not(weigh, of_sites, more):
    gates = ("--fail-if", "worst(group.site).evidence.ece.p<0.05")
    how = ("--promise", "ece<=0.08", "--promise", "precision>=0.6", "--group", "site", *more)
    for seed in range(8):
        sites = ["a", "b", "c", *(["d"] if seed > 1 else [])]
        ran, told, place = weigh(of_sites(seed, sites, bad=["b"]), *how, *gates)
        if ran.code:
            break
    assert ran.code == 1
    assert "worst(group.site).evidence.ece.p<0.05" in ran.err
    p = {one["slice"]["value"]: one["promises"][0]["p"] for one in told["groups"]}
    assert p["b"] < 0.05
    assert all(p[name] > 0.05 for name in p if name != "b")
    kept = {one["value"]: one for one in json.loads(place.read_text())["groups"]}
    assert {name: one["late"] for name, one in kept.items()} == {"a": 0, "b": 0, "c": 0} | (
        {"d": 1} if "d" in kept else {}
    )
    # A night without the group keeps its alarm, and gates on tonight's figures still work.
    ran, told, _ = weigh(of_sites(20, ["a", "c"]), *how, "--fail-if", "worst(group.site).ece>0.5")
    assert ran.code == 0, ran.err
    assert {one["slice"]["value"] for one in told["groups"]} >= {"a", "b", "c"}
    ran, _, _ = weigh(of_sites(21, ["a"]), *how, "--fail-if", "group.site.b.evidence.ece.p<0.05")
    assert ran.code == 1


def test_a_gate_on_the_evidence_of_a_group_is_of_the_night_not_of_its_periods(weigh, of_sites):
    how = ("--promise", "precision>=0.9", "--group", "site", "--by", "rows:400")
    gates = ("--fail-if", "group.site.b.evidence.precision.p<0.05", "--fail-if", "ece>0.9")
    ran, _, _ = weigh(of_sites(3, ["a", "b"], bad=["b"]), *how, *gates)
    assert ran.code == 1, ran.err
    assert "group.site.b.evidence.precision.p<0.05" in ran.err
    assert [period["bad"] for period in ran.json["series"]["periods"]] == [False, False]


def test_rows_of_a_unit_are_no_independent_evidence(weigh, write):
    """Each patient is wholly right or wrong: forty rows tell no more than one."""
    rng = np.random.default_rng(4)
    label = np.repeat(rng.random(25) < 0.4, 40).astype(int)
    rows = write("p.csv", {"score": [0.5] * 1000, "label": label, "patient": np.arange(1000) // 40})
    p = []
    before = write(
        "q.csv",
        {"score": [0.5] * 1000, "label": [0, 1, 1, 1] * 250, "patient": np.arange(1000) // 40},
    )
    for more in ((), ("--cluster", "patient")):
        for night in (before, rows):
            _, told, place = weigh(night, "--promise", "precision>=0.55", *more)
        p.append(told["promises"][0]["p"])
        place.unlink()
    assert p[0] < 0.01
    assert p[1] > 0.2


def labels_of(write, name, score, label):
    """Write rows of several labels: scores (n, K) and labels (n, K)."""
    columns = {f"p_{k}": one for k, one in enumerate(np.round(score, 4).T)}
    return write(name, columns | {f"y_{k}": one for k, one in enumerate(label.T)})


LABELS = ("--scores", "p_*", "--label", "y_*", "--task", "multilabel", "--threshold", "0.5")


def test_labels_of_a_row_are_no_independent_evidence(weigh, write):
    """All labels of a row are right or wrong together: forty labels tell no more than one."""
    rng = np.random.default_rng(4)
    score = np.full((25, 40), 0.5)
    before = np.tile([0, 1, 1, 1], 250).reshape(25, 40)
    agreeing = np.repeat(rng.random(25) < 0.4, 40).astype(int).reshape(25, 40)
    p, promise = [], ("--promise", "precision>=0.55")
    for one in (before, agreeing):
        _, told, place = weigh(labels_of(write, "rows.csv", score, one), *LABELS, *promise)
    p.append(told["promises"][0]["p"])
    place.unlink()
    for one in (before, agreeing):  # a pair a row, and what was a row is a patient
        columns = {"score": score.ravel(), "label": one.ravel(), "patient": np.arange(1000) // 40}
        _, told, _ = weigh(write("pairs.csv", columns), *promise, "--cluster", "patient")
    p.append(told["promises"][0]["p"])
    assert min(p) > 0.2
    assert p[0] == pytest.approx(p[1], abs=0.1)  # other units share a bucket


def test_a_drift_of_labels_is_found(weigh, write):
    promises = (*LABELS, "--promise", "ece<=0.05", "--promise", "precision>=0.6")
    rng = np.random.default_rng(0)
    found = None
    for night in range(16):
        z = rng.normal(-0.5, 1.5, (1000, 3))
        level = 0.0 if night < 6 else -1.2
        shared = rng.random((1000, 1)) < 0.5  # half of the rows have labels that go together
        draw = np.where(shared, rng.random((1000, 1)), rng.random((1000, 3)))
        label = (draw < expit(z + level)).astype(int)
        ran, told, _ = weigh(labels_of(write, "night.csv", expit(z), label), *promises)
        assert ran.code == 0, ran.err
        p = {one["figure"]: one["p"] for one in told["promises"]}
        if night < 6:
            assert set(p.values()) == {1.0}
        found = found or (night if max(p.values()) < 0.05 else None)
    assert found is not None


def test_labels_need_a_cut_off_for_a_rate(calibcli, write, tmp_path):
    rows = labels_of(write, "night.csv", np.full((9, 2), 0.5), np.eye(9, 2, dtype=int))
    ran = calibcli(
        "measure", rows, *LABELS, "--threshold", "0.2", "--evidence", tmp_path / "year.json",
        "--promise", "recall>=0.5",
    )  # fmt: skip
    assert ran.code == 2
    assert "one cut-off" in ran.err


def test_boxes_are_weighed_by_image(good, tmp_path):
    promises = ("--promise", "ece<=0.05", "--promise", "precision>=0.7", "--promise", "recall>=0.5")
    for name in ("calibration", "test"):  # the first night tells how much images have at stake
        told = good(
            "measure", f"sample_data/detection_{name}.json", "--task", "detection", "--no-ci",
            "--ground-truth", f"sample_data/detection_{name}_truth.json",
            "--evidence", tmp_path / "year.json", *promises, "--format", "json",
        ).json["evidence"]  # fmt: skip
        if name == "calibration":
            assert {one["p"] for one in told["promises"]} == {1.0}
    p = {one["figure"]: one["p"] for one in told["promises"]}
    assert p["ece"] < 0.001
    assert p["precision"] < 0.001
    assert p["recall"] == 1.0


def test_a_detector_has_no_true_negatives_to_promise(calibcli, tmp_path):
    ran = calibcli(
        "measure", "sample_data/detection_test.json", "--task", "detection", "--ground-truth",
        "sample_data/detection_test_truth.json", "--no-ci", "--evidence", tmp_path / "year.json",
        "--promise", "fpr<=0.5",
    )  # fmt: skip
    assert ran.code == 2
    assert "a detector has none" in ran.err
    assert not (tmp_path / "year.json").exists()


@pytest.mark.parametrize("structures", [0, 2])
def test_masks_that_are_cleaned_are_weighed_by_image(structures, good, tmp_path, monkeypatch):
    """The capital is that of bets on the masks that `apply` writes, an image a unit."""
    monkeypatch.chdir(tmp_path)
    shape = (40, 12, 12) if not structures else (40, structures, 12, 12)
    task = ("--task", "segmentation")
    for seed, name in enumerate(("chosen", "first", "second")):
        rng = np.random.default_rng(seed)
        spots = np.zeros(shape)
        spots[..., 2:8, 3:9] = rng.random((*shape[:-2], 1, 1)) < 0.7
        label = (rng.random(shape) < 0.1 + 0.75 * spots).astype(np.uint8)
        score = np.clip(0.2 + 0.55 * spots + rng.normal(0, 0.15, shape), 0.01, 0.99)
        np.save(f"{name}.npy", score.astype(np.float32))
        np.save(f"{name}_labels.npy", label)
    chosen = ("chosen.npy", "--labels", "chosen_labels.npy", *task)
    good("threshold", *chosen, "--search", "min-area=9", "-o", "cuts.json")
    promise = Promise.parse("precision>=0.9")
    past = Evidence.none(promise, 0)
    for name in ("first", "second"):
        used = (f"{name}.npy", "--labels", f"{name}_labels.npy", *task, "--thresholds", "cuts.json")
        told = good(
            "measure", *used, "--no-ci", "--evidence", "year.json", "--promise", str(promise),
            "--format", "json",
        ).json["evidence"]["promises"]  # fmt: skip
        cuts = json.loads(Path("cuts.json").read_text())
        alert = masks(np.load(f"{name}.npy"), cuts)
        label = np.load(f"{name}_labels.npy").astype(bool)
        right, wrong = ((alert & one).reshape(40, -1).sum(axis=1) for one in (label, ~label))
        past = after_units(past, np.stack([right, wrong], axis=1).astype(float), promise)
    assert told[0]["value"] == pytest.approx(np.exp(past.log_e), rel=1e-9)
    assert told[0]["p"] < 1.0


def masks(score, cuts):
    """Return what is decided: regions of few pixels are left out, an oracle by SciPy."""
    from scipy.ndimage import label as regions

    flat = score if score.ndim == 4 else score[:, None]
    found = np.zeros(flat.shape, bool)
    for k, one in enumerate(cuts["thresholds"]):
        for image, own in enumerate(flat[:, k] >= np.float32(one["threshold"])):
            names, _ = regions(own, np.ones((3, 3)))
            large = np.bincount(names.ravel()) >= one["min_area"]
            found[image, k] = large[names] & own
    return found.reshape(score.shape)


DAMAGED = {
    "late": lambda kept: kept["groups"][0].update(late=7),
    "group twice": lambda kept: kept["groups"].append(kept["groups"][0]),
    "more nights than there were": lambda kept: kept["groups"][0].update(nights=10**30),
    "night twice": lambda kept: kept["nights"].append(kept["nights"][0]),
    "no night": lambda kept: kept["nights"].clear(),
    "less than there was": lambda kept: kept["promises"][0].update(highest=-1e308),
    "no double": lambda kept: kept["promises"][0]["logs"].__setitem__(0, 10**400),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_file_that_does_not_fit_is_not_whole(what, weigh, of_sites):
    from calibcli.io.artifacts.artifacts import write_artifact

    _, _, place = weigh(of_sites(1, ["a", "b"]), "--promise", "ece<=0.08", "--group", "site")
    kept = json.loads(place.read_text())
    DAMAGED[what](kept)
    body = {k: v for k, v in kept.items() if k not in ("schema", "version", "digest")}
    write_artifact(str(place), "evidence", body)
    before = place.read_bytes()
    ran, _, _ = weigh(of_sites(2, ["a"]), "--promise", "ece<=0.08", "--group", "site")
    assert ran.code == 3
    kind = "a whole evidence file: Number out of range" if what == "no double" else "whole"
    assert f"year.json is not {kind}" in ran.err
    assert place.read_bytes() == before


def test_cut_offs_by_group_are_counted_each_in_its_group(good, calibcli, of_sites, tmp_path):
    cuts, place = tmp_path / "cuts.json", tmp_path / "year.json"
    how = ("--per-group", "site", "--subject-to", "recall>=0.7", "--no-ci", "-o", cuts)
    good("threshold", of_sites(1, ["a", "b"], bad=["b"], n=900), *how)
    given = ("measure", of_sites(2, ["a", "b"], bad=["b"]), "--thresholds", cuts, "--no-ci")
    told = good(*given, "--evidence", place, "--group", "site", "--format", "json").json
    counts = told["decision"]["confusion"]
    promise = Promise.parse("recall>=0.7")
    gains = rate_gains(counts["tp"], counts["fn"], promise)
    kept = next(one for one in json.loads(place.read_text())["promises"] if "recall" in str(one))
    assert kept["logs"] == pytest.approx((np.log(unspent(0) - unspent(1)) + gains).tolist())
    ran = calibcli(*given, "--evidence", tmp_path / "other.json")
    assert ran.code == 2
    assert "has a cut-off for each site" in ran.err
    assert "--group site" in ran.err


def test_boxes_of_groups_of_images_have_evidence_of_their_own(good, tmp_path, root):
    for name in ("calibration", "test"):
        truth = json.loads((root / f"sample_data/detection_{name}_truth.json").read_text())
        table = tmp_path / f"{name}.csv"
        rows = [f"{one['id']},{'ab'[k % 2]}\n" for k, one in enumerate(truth["images"])]
        table.write_text("image,site\n" + "".join(rows))
        told = good(
            "measure", f"sample_data/detection_{name}.json", "--task", "detection", "--no-ci",
            "--ground-truth", f"sample_data/detection_{name}_truth.json", "--images", table,
            "--group", "site", "--evidence", tmp_path / "year.json",
            "--promise", "precision>=0.7", "--format", "json",
        ).json["evidence"]  # fmt: skip
    assert [one["slice"]["value"] for one in told["groups"]] == ["a", "b"]
    assert told["promises"][0]["p"] < 0.001
    assert all(0.001 < one["promises"][0]["p"] < 0.5 for one in told["groups"])
