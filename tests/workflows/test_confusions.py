"""Which class is taken for which, against a count by hand; where it is told, and where not."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rows():
    rng = np.random.default_rng(11)
    p = rng.dirichlet(np.full(4, 0.4), 700)
    y = np.array([rng.choice(4, p=0.6 * row + 0.1) for row in p])
    return p, y


def counted(p, y):
    found = np.zeros((p.shape[1], p.shape[1]), int)
    np.add.at(found, (y, p.argmax(1)), 1)
    return found


def files(write, p, y):
    return write("p.npy", p), "--labels", write("y.npy", y)


def test_every_row_is_counted_once(good, write, rows):
    p, y = rows
    told = good("measure", *files(write, p, y), "--all", "--format", "json").json["confusions"]
    by_hand = counted(p, y)
    assert told["matrix"]["counts"] == by_hand.tolist()
    assert told["n"] == 700
    assert told["rule"] == "most probable class"
    wrong = by_hand - np.diag(np.diag(by_hand))
    assert told["pairs"] == np.count_nonzero(wrong)
    first = told["worst"][0]
    assert first["count"] == wrong.max()
    row = by_hand[int(first["truth"])]
    assert first["count"] == row[int(first["decided"])]
    assert first["share"] == first["count"] / row.sum()
    counts = [one["count"] for one in told["worst"]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == wrong.sum()


def test_it_is_counted_only_where_all_is_asked_for(good, write, rows):
    given = files(write, *rows)
    assert "confusions" not in good("measure", *given, "--format", "json").json
    shown = good("measure", *given, "--all").out
    lines = shown.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("true "))
    for name, line in zip("0123", lines[at + 1 :], strict=False):
        assert line.startswith(name)
        assert "%" in line
    assert "| 0 |" in good("measure", *given, "--all", "--format", "md").out


def test_decisions_are_those_after_the_calibrator(good, write, rows, tmp_path):
    p, y = rows
    given = files(write, p, y)
    out = tmp_path / "c.json"
    good("fit", *given, "--method", "vector", "-o", out, "-q")
    good("apply", out, given[0], "-o", tmp_path / "q.npy", "-q")
    after = good("measure", *given, "--calibrator", out, "--all", "--format", "json", "-q").json
    by_hand = counted(np.load(tmp_path / "q.npy"), y)
    assert after["confusions"]["matrix"]["counts"] == by_hand.tolist()
    assert by_hand.tolist() != counted(p, y).tolist()


def test_of_many_classes_the_worst_twenty(good, write):
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.full(105, 0.05), 900)
    y = np.where(rng.random(900) < 0.5, p.argmax(1), rng.integers(0, 105, 900))
    given = files(write, p, y)
    told = good("measure", *given, "--all", "--no-ci", "--format", "json", "-q").json["confusions"]
    assert "matrix" not in told or told["matrix"] is None
    assert len(told["worst"]) == 20
    by_hand = counted(p, y)
    np.fill_diagonal(by_hand, 0)
    assert [one["count"] for one in told["worst"]] == sorted(by_hand.ravel())[::-1][:20]
    assert "of the true class" in good("measure", *given, "--all", "--no-ci", "-q").out


def test_pixels_are_decided_for_a_structure(good, write):
    rng = np.random.default_rng(6)
    p = np.moveaxis(rng.dirichlet(np.full(3, 0.5), (5, 6, 7)), -1, 1)
    y = rng.integers(0, 3, (5, 6, 7)).astype(np.uint8)
    given = (write("s.npy", p), "--labels", write("m.npy", y), "--task", "segmentation")
    told = good("measure", *given, "--all", "--format", "json", "-q").json["confusions"]
    by_hand = np.zeros((3, 3), int)
    np.add.at(by_hand, (y.ravel(), p.argmax(1).ravel()), 1)
    assert told["matrix"]["counts"] == by_hand.tolist()


def test_one_score_and_thresholds_have_none(good, write, rows, binary, tmp_path):
    path = write("b.csv", {"score": binary["score"], "label": binary["label"]})
    assert "confusions" not in good("measure", path, "--all", "--format", "json").json
    given, cuts = files(write, *rows), tmp_path / "t.json"
    good("threshold", *given, "-o", cuts, "-q")
    all_of_it = ("--thresholds", cuts, "--all", "--format", "json", "-q")
    found = good("measure", *given, *all_of_it).json
    assert "confusions" not in found
    assert found["decision"]["confusion_matrix"]["counts"]


def test_saved_statistics_have_no_rows_to_decide(good, write, rows, tmp_path):
    stats = tmp_path / "p.stats.json"
    good("measure", *files(write, *rows), "--save-stats", stats)
    assert "confusions" not in good("measure", stats, "--all", "--format", "json").json


def test_the_page_shows_them(good, write, rows, tmp_path):
    page = tmp_path / "r.html"
    good("report", *files(write, *rows), "-o", page, "-q")
    assert 'id="confusions"' in page.read_text()
