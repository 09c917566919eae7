"""JSON Lines: objects in any order and of any depth, the same rows whatever the blocks are."""

from __future__ import annotations

import gzip
import io
import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibcli.errors import InputError
from calibcli.io.formats import ranges
from calibcli.io.formats.jsonl import head, reader
from calibcli.io.formats.sources import expand

RNG = np.random.default_rng(5)
N = 3_000
P = RNG.random(N)
Y = RNG.integers(0, 2, N)


def lines(rows, end="\n"):
    return "".join(json.dumps(row) + end for row in rows)


ROWS = [
    {"id": f"r{i}", "score": p, "label": int(y), "text": 'a "quote", \\ a\nline', "g": {"h": i % 3}}
    for i, (p, y) in enumerate(zip(P.tolist(), Y.tolist(), strict=True))
]


@pytest.mark.slow
@pytest.mark.parametrize("block", [300, 4_000, 2**22])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_the_same_rows_whatever_the_blocks(block, end, read, opened, write, monkeypatch):
    monkeypatch.setattr(reader, "_BLOCK", block)
    text = lines(ROWS, end)
    for name, content in (
        ("x.jsonl", text.encode()),
        ("x.ndjson", text.rstrip().encode()),
        ("x.json", b"\xef\xbb\xbf" + text.encode()),
        ("x.jsonl.gz", gzip.compress(text.encode())),
    ):
        path = write(name, content)
        if name == "x.json":  # a byte order mark is no brace, so its suffix must tell
            path = path.rename(path.with_suffix(".jsonl"))
        rows = read(path, groups=("g.h",), cluster="id")
        np.testing.assert_array_equal(rows.scores, P)
        np.testing.assert_array_equal(rows.labels, Y)
        assert rows.groups == [[str(i % 3) for i in range(N)]]
        assert len(set(rows.unit.tolist())) == N
        assert next(opened(path).batches()).first_row == 0


def test_parts_of_a_large_file(read, opened, write, monkeypatch):
    monkeypatch.setattr(ranges, "LARGE", 20_000)
    monkeypatch.setattr(ranges, "_CHUNK", 5_000)
    path = write("x.jsonl", lines(ROWS))
    data = opened(path)
    assert len(data.partitions) > 5
    assert sum(part.rows for part in data.partitions) == N
    np.testing.assert_array_equal(read(path).scores, P)
    for partition in reversed(data.partitions):
        for batch in partition.batches():
            np.testing.assert_array_equal(batch.scores, P[batch.first_row :][: len(batch)])


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"score": st.floats(0, 1) | st.integers(0, 1) | st.none()},
            optional={
                "label": st.sampled_from([0, 1, 0.0, 1.0, True, "1", "0"]),
                "more": st.recursive(st.integers() | st.text(max_size=3), st.lists, max_leaves=4),
            },
        ),
        min_size=1,
        max_size=30,
    )
)
def test_values_of_mixed_types_are_read_one_by_one(rows, read, write):
    path = write("x.jsonl", lines([{"score": 0.5, "label": 1}, *rows]))
    try:
        found = read(path, label="label", drop_invalid=True)
    except InputError as error:  # a label of -1 and the like cannot come
        raise AssertionError(error.message) from error
    kept = [row for row in [{"score": 0.5, "label": 1}, *rows] if row.get("label") is not None]
    np.testing.assert_array_equal(
        found.scores, [np.nan if row["score"] is None else row["score"] for row in kept]
    )
    assert found.labels.tolist() == [int(float(row["label"])) for row in kept]


def test_types_that_change_after_the_first_lines(read, write, monkeypatch):
    monkeypatch.setattr(head, "HEAD_BYTES", 100)
    monkeypatch.setattr(reader, "_BLOCK", 500)
    rows = [{"score": 0.5, "label": 1}] * 50 + [{"score": "0.25", "label": "0"}] * 50
    rows += [{"label": 1.0, "score": 1, "new": [1, "x"]}] * 50
    found = read(write("x.jsonl", lines(rows)))
    assert found.scores.tolist() == [0.5] * 50 + [0.25] * 50 + [1] * 50
    assert found.labels.tolist() == [1] * 50 + [0] * 50 + [1] * 50


def test_rows_of_scores(read, opened, write):
    p = RNG.dirichlet(np.ones(3), 40)
    y = RNG.integers(0, 3, 40)
    names = ["cat", "dog", "owl"]
    for shape in (
        lambda row: row.tolist(),
        lambda row: dict(zip(names, row.tolist(), strict=True)),
        lambda row: [{"label": n, "prob": v} for n, v in zip(names, row.tolist(), strict=True)],
    ):
        path = write(
            "x.jsonl",
            lines({"probs": shape(a), "label": int(b)} for a, b in zip(p, y, strict=True)),
        )
        np.testing.assert_array_equal(read(path).scores, p)
        np.testing.assert_array_equal(read(path).labels, y)
    assert opened(path).classes == tuple(names)


@pytest.mark.parametrize("flag", [False, "False"])
def test_log_likelihoods_of_choices_as_evaluation_harnesses_write_them(flag, read, write):
    logits = np.round(RNG.normal(0, 3, (60, 4)), 4)
    y = RNG.integers(0, 4, 60)
    rows = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        value = str if isinstance(flag, str) else float
        rows.append(
            {"doc_id": 1, "doc": {"q": "?", "a": ["x", 1]}, "target": str(label),
             "filtered_resps": [[value(z), flag] for z in row], "acc": 1.0}
        )  # fmt: skip
    path = write("samples.jsonl", lines(rows))
    found = read(path, scores=("filtered_resps.*.0",), label="target", logits=True)
    np.testing.assert_array_equal(found.scores, logits)
    np.testing.assert_array_equal(found.labels, y)


def test_not_a_number_and_infinity_as_python_writes_them(read, write):
    path = write("x.jsonl", '{"score": NaN, "label": 1}\n{"score": -Infinity, "label": 0}\n')
    np.testing.assert_array_equal(read(path, logits=True).scores, [np.nan, -np.inf])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ('[{"score": 0.5}]', "is one JSON array"),
        ('{"score": 0.5, "label": 1}\n{"score": 0.5\n', "row 2: not a JSON object on one line"),
        ('{\n "score": 0.5\n}\n', "row 1: not a JSON object on one line"),
        ('{"score": 0.5, "label": 1}\n' * 5000 + "[1]\n", "row 5,001: not a JSON object"),
        ('{"score": 0.5, "label": 1}\n' * 5000 + '{"score": "x", "label": 1}\n',
         "column 'score' of .*, row 5,001: not a number"),
        ('{"score": 0.5, "label": 1}\n{"score": {"a": 1}}\n', "column 'score' of .*, row 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_row(text, problem, read, write):
    with pytest.raises(InputError, match=problem):
        read(write("x.jsonl", text))
    if problem.startswith("row"):
        with pytest.raises(InputError, match=problem):
            read(write("z.jsonl.gz", gzip.compress(text.encode())))


def test_text_that_is_not_utf_8_and_a_truncated_file(read, write):
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read(write("x.jsonl", b'{"score": 0.5, "label": "\xff"}\n'))
    whole = gzip.compress(lines(ROWS).encode())
    with pytest.raises(InputError, match="truncated JSON Lines file"):
        read(write("x.jsonl.gz", whole[: len(whole) // 2]))


def test_standard_input_and_json_files_that_hold_lines(read, write, monkeypatch):
    text = lines(ROWS[:9])
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    np.testing.assert_array_equal(read("-").scores, P[:9])
    assert expand([str(write("x.json", text))])[0].kind == "jsonl"
    assert expand([str(write("dump", text))])[0].kind == "jsonl"
    for other in (
        '{"schema": "calibcli/stats", "version": 1}',
        '{"images": [], "annotations": []}',
    ):
        assert expand([str(write("x.json", other))])[0].kind == "stats"


def test_all_columns_are_kept_for_an_output(opened, write):
    path = write("x.jsonl", lines(ROWS[:5]))
    (batch,) = opened(path, keep=True).batches()
    assert batch.table.to_pylist() == ROWS[:5]
    path = write("x.jsonl", lines([{"score": 0.5, "label": 1, "x": [1, "a"]}]))
    with pytest.raises(InputError, match=r"field 'x' of .* values of different types"):
        list(opened(path, keep=True).batches())


def test_files_of_other_types_beside(read, write):
    a = write("a.jsonl", {"score": P[:5], "label": Y[:5]})
    b = write("b.csv", {"label": Y[5:9], "score": P[5:9]})
    np.testing.assert_array_equal(read(a, b).scores, P[:9])
