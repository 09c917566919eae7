"""Decimal commas and percentages, and what is no number however it looks."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from calibcli.errors import InputError


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("score;label\n0,7733;1\n,25;0\n1;1\n1,5e-1;1\n", [0.7733, 0.25, 1, 0.15]),
        ("score\tlabel\n0,5\t1\n0,25\t0\n", [0.5, 0.25]),
        ('score,label\n"0,5",1\n"0,25",0\n', [0.5, 0.25]),
        ("score,label\n77.3%,1\n12 %,0\n5%,1\n", [0.773, 0.12, 0.05]),
        ("score;label\n77,3 %;1\n12%;0\n", [0.773, 0.12]),
        ("score;label\n0.5;1\n0.25;0\n", [0.5, 0.25]),
        ("score,note,label\n0.5,100%,1\n0.25,a,0\n", [0.5, 0.25]),
    ],
)
def test_numbers_as_they_are_written(text, scores, read, opened, write):
    path = write("x.csv", text)
    np.testing.assert_array_equal(read(path).scores, scores)
    (batch,) = opened(path, keep=True).batches()
    np.testing.assert_array_equal(batch.scores, scores)
    (first, *_), *_ = list(csv.reader(text.splitlines()[1:], delimiter=text[5]))
    assert batch.table.to_pylist()[0]["score"] == first


def test_a_percentage_is_the_nearest_double(read, write):
    values = [f"{k / 100:.2f}" for k in range(10_001)]
    path = write("x.csv", "score,label\n" + "".join(f"{v}%,1\n" for v in values))
    np.testing.assert_array_equal(read(path).scores, [float(f"{v}e-2") for v in values])


def test_missing_values_among_them(read, write):
    for text in ("0,5;1\nNA;1\n;0\n", "5%;1\nNone;1\nnull;0\n"):
        rows = read(write("x.csv", "score;label\n" + text))
        assert np.isnan(rows.scores).tolist() == [False, True, True]


@pytest.mark.parametrize("missing", ["None", "NONE", "none", "NA", "n/a", "N/A", "<NA>", "Nan"])
def test_what_stands_for_a_missing_score(missing, read, write):
    for suffix in ("csv", "tsv"):
        mark = "," if suffix == "csv" else "\t"
        text = f"score{mark}label\n0.5{mark}1\n{missing}{mark}0\n"
        assert np.isnan(read(write(f"x.{suffix}", text)).scores).tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "row", "problem"),
    [
        ("0.5;1\n" * 2 + "\uff10.\uff15;1\n", 3, "not a number"),
        ("0.5;1\n" * 30_000 + "0,5;1\n" * 2, 30_001, r"not a number \(and 1 more\)"),
        ("0,5;1\n" * 30_000 + "0.5;1\n", 30_001, "a decimal point, where the rows before"),
        ("5%;1\n" * 30_000 + "0.5;1\n" * 3, 30_001, r"not a percentage.* \(and 2 more\)"),
        ("0,5;1\n" * 30_000 + "x;1\n", 30_001, "not a number"),
    ],
)
def test_what_is_written_otherwise_is_told_with_its_row(rows, row, problem, read, write):
    with pytest.raises(InputError, match=rf"column 'score' of .*, row {row:,}: {problem}"):
        read(write("x.csv", "score;label\n" + rows))


def test_commas_that_may_set_thousands_apart_are_not_guessed(read, write):
    with pytest.raises(InputError, match=r"column 'score' of .*, row 1: not a number"):
        read(write("x.csv", 'score,label\n"1,234",1\n"2,000",0\n'))
