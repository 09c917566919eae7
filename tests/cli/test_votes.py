"""Labels that are votes: k of n annotators are k rows of label 1 and n - k of label 0."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

ROWS = 120


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    p = np.round(rng.uniform(0.02, 0.98, ROWS), 3)
    n = rng.integers(1, 6, ROWS)
    return {"id": np.arange(ROWS), "score": p, "label": rng.binomial(n, p), "n": n}


@pytest.fixture
def overall(good):
    def run(*arguments):
        ran = good("measure", *arguments, "--quiet", "--format", "json")
        return {k: v["value"] for k, v in ran.json["overall"]["metrics"].items()}, ran.json

    return run


def expanded(columns):
    """One row a vote, with the id of its row."""
    rows = [
        (i, p, int(vote < k))
        for i, p, k, n in zip(*columns.values(), strict=True)
        for vote in range(n)
    ]
    return dict(zip(("id", "score", "label"), zip(*rows, strict=True), strict=True))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_votes_are_the_rows_of_annotators(suffix, columns, overall, write):
    votes, _ = overall(write(f"votes.{suffix}", columns), "--votes", "n")
    rows, _ = overall(write("rows.csv", expanded(columns)), "--cluster", "id")
    assert votes == pytest.approx(rows, abs=1e-12)
    assert votes["n"] == columns["n"].sum()
    plain, _ = overall(write("once.csv", expanded(columns)))
    assert plain["ece"] == pytest.approx(votes["ece"])


def test_votes_about_a_row_are_one_unit(columns, overall, write):
    """Annotators who agree tell no more than one of them."""
    rng = np.random.default_rng(1)
    truth = (rng.random(ROWS) < columns["score"]).astype(int)
    alone = write("one.csv", {"score": columns["score"], "label": truth})
    agreed = write("nine.csv", {"score": columns["score"], "label": 9 * truth})
    one, nine = overall(alone)[1], overall(agreed, "--votes", 9)[1]
    width = [
        found["overall"]["metrics"]["brier"]["high"] - found["overall"]["metrics"]["brier"]["low"]
        for found in (one, nine)
    ]
    assert width[1] == pytest.approx(width[0], rel=0.3)
    assert nine["params"]["votes"] == "9"


def test_shares_are_weights(columns, overall, write):
    share = columns["label"] / columns["n"]
    path = write("shares.csv", {"score": columns["score"], "label": share})
    found, _ = overall(path, "--votes", 1)
    assert found["n"] == pytest.approx(ROWS)
    assert found["prevalence"] == pytest.approx(share.mean())
    p = columns["score"]
    assert found["brier"] == pytest.approx((share * (1 - p) ** 2 + (1 - share) * p**2).mean())


def test_what_is_to_be_typed_next_counts_votes_too(columns, good, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write("votes.csv", columns | {"score": columns["score"] ** 4})
    out = good("measure", path, "--votes", "n").out
    typed = out.partition("next: calibcli ")[2].partition("(--all")[0].replace("\\\n", " ")
    assert "--votes n" in " ".join(typed.split())
    good(*shlex.split(typed))
    assert (tmp_path / "calibrator.json").exists()


def test_a_map_is_that_of_the_rows_of_annotators(columns, calibcli, good, write, tmp_path):
    import calibcli as package

    votes, rows = write("votes.csv", columns), write("rows.csv", expanded(columns))
    good("fit", votes, "--votes", "n", "--method", "beta", "-o", tmp_path / "a.json")
    good("fit", rows, "--cluster", "id", "--method", "beta", "-o", tmp_path / "b.json")
    a, b = (package.load(tmp_path / f"{name}.json").apply([0.1, 0.5, 0.9]) for name in "ab")
    np.testing.assert_allclose(a, b, rtol=1e-6)
    assert calibcli("threshold", votes, "--votes", "n", "--maximize", "f1").code == 0


@pytest.mark.parametrize(
    ("label", "votes", "code", "message"),
    [
        ([1, 4, 0], "3", 3, "row 2: not a whole number of votes up to all of them"),
        ([1, 0.5, 0], "3", 3, "row 2: not a whole number"),
        ([1, -0.5, 0], "1", 3, "row 2: not a share"),
        ([1, "", 0], "3", 3, "a missing label"),
        ([1, 1, 0], "0", 2, "a whole number of 1 or more"),
        ([1, 1, 0], "nobody", 3, "no column 'nobody'"),
        ([1, 0.5, 0], None, 3, "--votes 1"),
    ],
)
def test_what_is_no_vote(label, votes, code, message, calibcli, write):
    path = write("x.csv", {"score": [0.1, 0.5, 0.9], "label": label})
    ran = calibcli("measure", path, *(() if votes is None else ("--votes", votes)))
    assert (ran.code, message in ran.err) == (code, True), ran.err


def test_a_missing_vote_can_be_dropped(overall, write):
    path = write("x.csv", {"score": [0.1, 0.5, 0.9], "label": [1, "", 2]})
    assert overall(path, "--votes", 2, "--drop-invalid")[0]["n"] == 4


def test_votes_are_for_one_score_a_row(calibcli, write):
    path = write("x.csv", {"a": [0.1, 0.5], "b": [0.9, 0.5], "c": [0, 0], "label": [0, 1]})
    ran = calibcli("measure", path, "--scores", "a,b,c", "--votes", 3)
    assert (ran.code, "--votes is for one score a row" in ran.err) == (2, True)
