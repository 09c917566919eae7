"""Confusions of several classes: a matrix with their names, or of many the worst pairs."""

from __future__ import annotations

from calibcli.render.tables.judged import decision_tables
from tests.render.whole import measured


def tables(truth, counts):
    decision = {
        "metrics": {"accuracy": {"value": 0.5, "low": None, "high": None}},
        "classes": [{"name": name} for name in truth],
        "confusion_matrix": {"truth": truth, "decisions": truth, "counts": counts},
    }
    return decision_tables(measured({"decision": decision}))


def test_few_classes_are_a_matrix_with_their_names():
    table = tables(["cat", "dog"], [[8, 2], [1, 9]])[1]
    assert [column.title for column in table.columns] == ["true", "cat", "dog"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["cat", "8", "2"],
        ["dog", "1", "9"],
    ]


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    names = [f"c{k}" for k in range(200)]
    counts = [[0] * 200 for _ in names]
    for k in range(200):
        counts[k][k] = 90
        counts[k][(k + 1) % 200] = 10 if k == 7 else k % 3
    table = tables(names, counts)[1]
    assert len(table.rows) == 20
    assert [cell.text for cell in table.rows[0]] == ["c7", "c8", "10", "10%"]
    # k % 3 is 1 for 67 classes and 2 for 66; class 7 is among the ones of 1.
    assert table.caption == "The 20 of 133 confusions that occur most often"
    assert all(row[0].text != row[1].text for row in table.rows)


def test_nothing_confused_is_no_table():
    names = [f"c{k}" for k in range(30)]
    counts = [[5 * (i == j) for j in range(30)] for i in range(30)]
    assert tables(names, counts)[1] is None
