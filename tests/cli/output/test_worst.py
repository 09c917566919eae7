"""`measure --worst N`: the rows that are most confidently wrong."""

from __future__ import annotations

import numpy as np
import pytest


def test_the_worst_rows_are_those_of_a_sort(good, write):
    rng = np.random.default_rng(5)
    p = rng.uniform(size=5000).round(3)
    y = (rng.uniform(size=5000) < p).astype(int)
    path = write("x.csv", {"score": p, "label": y})
    for threads in ("1", "2"):
        worst = good(
            "measure", path, "--worst", "7", "--format", "json", "--threads", threads
        ).json["worst"]
        wrong = np.abs(p - y)
        order = np.argsort(-wrong, kind="stable")[:7]
        assert [row["row"] - 1 for row in worst["rows"]] == order.tolist()
        assert [row["score"] for row in worst["rows"]] == p[order].tolist()
        assert [row["label"] for row in worst["rows"]] == y[order].tolist()
        assert [row["wrong"] for row in worst["rows"]] == pytest.approx(wrong[order].tolist())
        assert worst["wrong"] == (wrong > 0.5).sum()


def test_several_classes(good, write):
    rng = np.random.default_rng(6)
    p = rng.dirichlet(np.ones(3), 400)
    y = rng.integers(0, 3, 400)
    table = {f"p_{name}": p[:, k] for k, name in enumerate("abc")}
    path = write("x.csv", {**table, "label": np.array(list("abc"))[y]})
    rows = good("measure", path, "--scores", "p_*", "--worst", "5", "--format", "json").json
    wrong = np.where(p.argmax(1) == y, 0, p.max(1))
    order = np.argsort(-wrong, kind="stable")[:5]
    shown = rows["worst"]["rows"]
    assert [row["row"] - 1 for row in shown] == order.tolist()
    assert [row["predicted"] for row in shown] == [("abc")[k] for k in p[order].argmax(1)]
    assert [row["label"] for row in shown] == [("abc")[k] for k in y[order]]


def test_labels_of_a_row_are_apart(good, write):
    p = np.array([[0.9, 0.2], [0.6, 0.99], [0.1, 0.5]])
    y = np.array([[1, 1], [0, 0], [0, 1]])
    given = (write("p.npy", p), "--labels", write("y.npy", y), "--task", "multilabel")
    rows = good("measure", *given, "--worst", "9", "--format", "json", "-q").json["worst"]
    assert [(row["row"], row["predicted"]) for row in rows["rows"]] == [
        (2, "1"),
        (1, "not 1"),
        (2, "0"),
    ]


def test_rows_are_named_by_their_key_and_ranked_after_a_calibrator(calibcli, good, write, tmp_path):
    rng = np.random.default_rng(7)
    z = rng.normal(0, 3, 2000)
    y = (rng.uniform(size=2000) < 1 / (1 + np.exp(-z / 3))).astype(int)
    ids = [f"case-{i}" for i in range(2000)]
    scores = write("s.csv", {"id": ids, "logit": z})
    labels = write("l.csv", {"id": ids[::-1], "label": y[::-1]})
    given = (scores, "--labels", labels, "--key", "id", "--logits")
    good("fit", *given, "--method", "temperature", "-o", tmp_path / "c.json")
    ran = calibcli(
        "measure", *given, "--calibrator", tmp_path / "c.json", "--worst", "2", "--format", "json"
    )
    wrong = np.where(y == 1, -z, z)
    order = np.argsort(-wrong, kind="stable")[:2]
    rows = ran.json["worst"]["rows"]
    assert [row["key"] for row in rows] == [ids[i] for i in order]
    assert all(0.5 < row["wrong"] < 0.99 for row in rows)
    table = good("measure", *given, "--worst", "2").out
    assert ids[order[0]] in table


@pytest.mark.parametrize("form", ["table", "md", "csv"])
def test_every_form_that_shows_rows_has_them(good, scores, form):
    assert "predicted" in good("measure", scores, "--worst", "2", "--format", form).out


def test_there_are_no_rows_in_statistics(calibcli, good, scores, tmp_path):
    stats = tmp_path / "s.json"
    good("measure", scores, "--save-stats", stats)
    ran = calibcli("measure", stats, "--worst", "3")
    assert ran.code == 2
    assert "saved statistics hold none" in ran.err
