"""Dumps that must never take the champion's place."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit
from tests.nights import SURE, left


def lines(path, keep):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:keep]))
    return path


BAD = {
    "empty": lambda path: path.write_text(""),
    "header only": lambda path: lines(path, 1),
    "cut in a row": lambda path: path.write_text(path.read_text().rpartition(",")[0]),
    "one class": lambda path: path.write_text(path.read_text().replace(",1\n", ",0\n")),
    "another column": lambda path: path.write_text(path.read_text().replace("score,", "prob,")),
    "no label": lambda path: path.write_text(path.read_text().replace("label", "bought")),
    "logits": lambda path: path.write_text(path.read_text().replace("\n0.", "\n4.")),
    "three classes": lambda path: path.write_text(
        "p_a,p_b,p_c,label\n" + "0.2,0.3,0.5,a\n0.6,0.2,0.2,b\n0.1,0.8,0.1,c\n" * 500
    ),
    "missing scores": lambda path: path.write_text(path.read_text().replace("\n0.1", "\nnan")),
    "binary rubbish": lambda path: path.write_bytes(bytes(range(256)) * 50),
}


@pytest.mark.parametrize("damage", BAD)
def test_a_bad_dump_replaces_nothing(damage, promote, current, dump, valid):
    before = current.read_bytes()
    night = dump(slope=0.35, level=0.5)
    BAD[damage](night)
    ran = promote(night)
    told = valid(ran.out)
    assert (ran.code, told["decision"]) == (3, "refused")
    assert ran.err.startswith(f"calibcli: error: {told['reason']}\n")
    assert current.read_bytes() == before
    assert left(current.parent) == ["current.json"]


KEPT = {
    "few rows": ({"n": 900}, "900 rows, fewer than --min-rows 1,000"),
    "few positives": ({"slope": 0.1, "level": -4.5}, "fewer than --min-positives 50"),
    "scores moved": ({"shift": 2.0}, "the scores have shifted: PSI"),
    "labels moved": ({"level": 2.5}, "the odds of label 1 have changed by"),
}


@pytest.mark.parametrize("night", KEPT)
def test_too_little_or_shifted_data_replaces_nothing(night, promote, current, dump, valid):
    before = current.read_bytes()
    options, reason = KEPT[night]
    ran = promote(dump(**options))
    told = valid(ran.out)
    assert (ran.code, told["decision"]) == (1, "kept")
    assert reason in told["reason"]
    assert told["challenger"] is None
    assert current.read_bytes() == before


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_scores_that_are_stuck_at_one_value(share, promote, current, dump, valid):
    night = dump(slope=0.6, level=0.2)
    head, *rows = night.read_text().splitlines()
    stuck = [f"0.001,{row[-1]}" for row in rows[: int(share * len(rows))]]
    night.write_text("\n".join([head, *stuck, *rows[len(stuck) :]]))
    before = current.read_bytes()
    assert "the scores have shifted" in valid(promote(night).out)["reason"]
    assert current.read_bytes() == before


@pytest.mark.parametrize("clusters", [40, 400])
def test_noise_of_few_clusters_is_no_shift(clusters, calibcli, write, tmp_path, valid):
    """Eight rows of each of few clusters differ from other clusters; nothing has changed."""
    rng = np.random.default_rng(6)
    path = tmp_path / "current.json"

    def night(name):
        z = rng.normal(-0.8, 1.6, clusters).repeat(8) + rng.normal(0, 0.1, clusters * 8)
        label = (rng.random(clusters) < expit(0.6 * z[::8])).repeat(8).astype(int)
        return write(name, {"score": expit(z), "label": label, "id": np.arange(len(z)) // 8})

    run = (*SURE, "--cluster", "id", "--promote-over", path, "--min-rows", 100, "--format", "json")
    calibcli("fit", night("first.csv"), *run[:4], "-o", path)
    told = valid(calibcli("fit", night("second.csv"), *run).out)
    assert {one["name"]: one["passed"] for one in told["checks"]}["psi"]


@pytest.mark.parametrize("labels", ["shuffled", "made from the scores"])
def test_labels_that_do_not_follow_the_scores_as_before(labels, promote, current, dump, valid):
    """A join that went wrong leaves scores and prevalence as they were."""
    night = dump(slope=0.6, level=0.2)
    head, *rows = night.read_text().splitlines()
    score, label = np.array([row.split(",") for row in rows], dtype=float).T
    rng = np.random.default_rng(0)
    found = rng.permutation(label) if labels == "shuffled" else score > 0.4
    text = [f"{s},{int(y)}" for s, y in zip(score, found, strict=True)]
    night.write_text("\n".join([head, *text]))
    before = current.read_bytes()
    ran = promote(night)
    assert ran.code == 1
    assert "the AUC has changed by" in valid(ran.out)["reason"]
    assert current.read_bytes() == before


def test_limits_are_what_they_are_said_to_be(promote, dump, valid):
    night = dump(level=2.5, slope=0.35, n=600)
    assert promote(night).code == 1
    told = valid(promote(night, "--min-rows", 600, "--max-shift", "odds=inf,psi=1,auc=inf").out)
    assert told["decision"] == "promoted"
    assert {one["name"]: one["limit"] for one in told["checks"]} == {
        "rows": 600,
        "positives": 50,
        "psi": 1.0,
        "odds": None,
        "auc": None,
    }


@pytest.mark.parametrize("edit", [lambda t: t[:-30], lambda t: t.replace('"A": -0', '"A": -1')])
def test_a_champion_that_is_damaged_is_not_replaced(edit, promote, current, dump):
    changed = edit(current.read_text())
    assert changed != current.read_text()
    current.write_text(changed)
    assert promote(dump(slope=0.35, level=0.5)).code == 3
    assert current.read_text() == changed


def test_logits_do_not_replace_a_map_of_probabilities(promote, current, write):
    rng = np.random.default_rng(0)
    z = rng.normal(size=2000)
    night = write("z.csv", {"score": z, "label": (rng.random(2000) < expit(z)).astype(int)})
    ran = promote(night, "--logits")
    assert ran.code == 3
    assert "fitted on probabilities" in ran.err
