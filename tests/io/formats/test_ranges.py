"""A large CSV file in parts is the same rows as in one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibcli.errors import InputError
from calibcli.io.formats import ranges

HEADER = "score,label,g\n"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(ranges, "LARGE", 100)
    monkeypatch.setattr(ranges, "_CHUNK", 37)


LINE = st.builds(
    "{:.3f},{},{}".format,
    st.floats(0, 1),
    st.integers(0, 1),
    st.sampled_from(["a", "bb", "é" * 9, "", '"quo,ted"', '"two\nlines"', "x" * 120]),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(LINE, min_size=1, max_size=40),
    end=st.sampled_from(["\n", "\n", "\n", "\r\n"]),
    blank=st.sampled_from(["", "", "", "\n"]),
    last=st.booleans(),
)
def test_parts_are_the_rows_of_the_whole(lines, end, blank, last, write, opened, monkeypatch):
    text = HEADER.strip() + end + (end + blank).join(lines) + (end if last else "")
    path = write("x.csv", text)
    in_parts = opened(path, groups=("g",))
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "LARGE", 2**40)
        whole = opened(path, groups=("g",))
    assert len(whole.partitions) == 1
    simple = '"' not in text and "\r" not in text and not blank
    if len(in_parts.partitions) > 1:
        assert simple
        assert in_parts.inputs[0]["rows"] == len(lines)
    rows = []
    for data in (in_parts, whole):
        found = []
        for partition in data.partitions:
            at = partition.first_row
            for batch in partition.batches():
                assert batch.first_row == at
                at += len(batch)
                groups = [batch.groups[0].values[c] for c in batch.groups[0].codes]
                found += zip(batch.scores, batch.labels, groups, strict=True)
            assert partition.rows in (None, at - partition.first_row)
        rows.append(found)
    assert rows[0] == rows[1]


def test_a_simple_file_is_cut(write, opened):
    path = write("x.csv", HEADER + "0.5,1,a\n" * 100)
    data = opened(path)
    assert len(data.partitions) > 5
    assert sum(p.rows for p in data.partitions) == 100
    tsv = write("x.tsv", HEADER.replace(",", "\t") + "0.5\t1\ta\n" * 100)
    assert len(opened(tsv).partitions) > 5


@pytest.mark.parametrize(
    "text",
    [
        HEADER + '0.5,1,"a"\n' * 50,
        HEADER.replace("\n", "\r\n") + "0.5,1,a\r\n" * 50,
        HEADER + "0.5,1,a\n\n" * 50,
        HEADER + "\n" + "0.5,1,a\n" * 50,
        "\n" + HEADER + "0.5,1,a\n" * 50,
        'score,label,"g\nh"\n' + "0.5,1,a\n" * 50,
    ],
    ids=repr,
)
def test_a_file_whose_lines_may_be_no_rows_is_not_cut(text, write, opened):
    data = opened(write("x.csv", text))
    assert len(data.partitions) == 1
    assert sum(len(batch) for batch in data.batches()) == 50


def test_a_byte_order_mark_before_a_cut_file(write, read):
    rows = read(write("x.csv", "\ufeff" + HEADER + "0.5,1,a\n" * 100))
    assert rows.scores.size == 100


def test_errors_in_later_parts_name_the_row_of_the_file(write, opened):
    good = "0.5,1,a\n" * 60
    data = opened(write("x.csv", HEADER + good + "oops,1,a\n" + good + "oops,1,a\n"))
    for partition in data.partitions[-1:], data.partitions:
        with pytest.raises(InputError, match=r"row 61: not a number \(and 1 more\)"):
            [list(p.batches()) for p in partition]
    data = opened(write("y.csv", HEADER + good + "0.5,1\n" + good))
    with pytest.raises(InputError, match="row 61: 2 values, the header names 3 columns"):
        list(data.batches())


def test_labels_of_a_cut_file_need_no_count(write, read):
    scores = write("x.csv", "score\n" + "0.5\n" * 200)
    labels = write("y.csv", "label\n" + "1\n0\n" * 100)
    np.testing.assert_array_equal(read(scores, labels=str(labels)).labels, [1, 0] * 100)
