from __future__ import annotations

import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1), FIELD), min_size=1, max_size=8),
    name=FIELD.filter(lambda name: name.strip() and name not in {"score", "label"}),
)
def test_groups_and_names_of_any_text(rows, name, write, read):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["score", "label", name])
    writer.writerows(rows)
    path = write("x.csv", text.getvalue())
    found = read(path, groups=(name,), score="score", label="label")
    np.testing.assert_array_equal(found.scores, [score for score, _, _ in rows])
    np.testing.assert_array_equal(found.labels, [label for _, label, _ in rows])
    assert found.groups == [[group or "(missing)" for _, _, group in rows]]


@pytest.mark.parametrize(
    "text",
    [
        "score,label\n0.5,1\n0.25,0\n",
        "score,label\n0.5,1\n0.25,0",
        "score,label\r\n0.5,1\r\n0.25,0\r\n",
        "\ufeffscore,label\n0.5,1\n0.25,0\n",
        "score,label\n\n0.5,1\n\n\n0.25,0\n\n",
        '"score","label"\n"0.5","1"\n"0.25","0"\n',
        "score;label\n0.5;1\n0.25;0\n",
        "score\tlabel\n0.5\t1\n0.25\t0\n",
        "score|label\n0.5|1\n0.25|0\n",
        "score,label\n 0.5,1\n0.25 ,0\n",
        ",score,label\n1,0.5,1\n2,0.25,0\n",
        "label,score\n1,+5e-1\n0,.25\n",
    ],
    ids=repr,
)
def test_ways_to_write_the_same_table(text, write, read):
    rows = read(write("x.csv", text))
    np.testing.assert_array_equal(rows.scores, [0.5, 0.25])
    np.testing.assert_array_equal(rows.labels, [1, 0])


def test_tsv(write, read):
    rows = read(write("x.tsv", "score\tlabel\n0.5\t1\n"))
    np.testing.assert_array_equal(rows.scores, [0.5])


def test_infinities_and_missing_scores(write, read):
    text = "score,label\ninf,1\n-inf,0\n,1\nNA,0\nnan,1\n1e999,1\n5e-324,0\n"
    scores = read(write("x.csv", text), logits=True).scores
    np.testing.assert_array_equal(scores, [np.inf, -np.inf, np.nan, np.nan, np.nan, np.inf, 5e-324])


def test_line_ends_in_quotes_across_blocks(write, opened, monkeypatch):
    from calibcli.io.formats.delimited import reader

    monkeypatch.setattr(reader, "_BLOCK", 4_096)
    n = 3_000
    lines = "".join(f'0.5,{i % 2},"a\n{i}"\n' for i in range(n))
    data = opened(write("x.csv", "score,label,g\n" + lines), groups=("g",))
    found = [b.groups[0].values[c] for b in data.batches() for c in b.groups[0].codes]
    assert found == [f"a\n{i}" for i in range(n)]


def test_numbers_as_labels_and_text_as_scores_do_not_depend_on_the_block(write, read):
    # A type that is inferred from the first block would make these rows text or fail.
    n = 400_000
    label = ["0"] * n
    label[-1] = "1.0"
    score = ["1"] * n
    score[-1] = "0.5"
    text = "score,label\n" + "".join(f"{s},{y}\n" for s, y in zip(score, label, strict=True))
    rows = read(write("x.csv", text))
    assert (rows.scores[-1], rows.labels[-1], rows.labels.sum()) == (0.5, 1, 1)


def test_unused_columns_may_hold_anything(write, read):
    n = 200_000
    text = "note,score,label\n" + "1,0.5,1\n" * n + "text,0.5,0\n"
    assert read(write("x.csv", text)).scores.size == n + 1


def test_leading_zeros_stay_text(write, read):
    rows = read(
        write("x.csv", "score,label,zip\n.5,1,007\n.5,0,7\n"), groups=("zip",), cluster="zip"
    )
    assert rows.groups == [["007", "7"]]
    assert len(set(rows.unit.tolist())) == 2


def test_very_wide_rows(write, opened):
    k = 20_000
    head = ",".join(f"p_{i}" for i in range(k))
    row = ",".join(["0.00005"] * k)
    data = opened(write("x.csv", f"{head},label\n{row},3\n{row},19999\n"), scores=("p_*",))
    batches = list(data.batches())
    assert np.concatenate([b.labels for b in batches]).tolist() == [3, 19_999]
    assert batches[0].scores.shape[1] == k


def test_a_small_csv_imports_little(write):
    path = write("x.csv", "score,label,g,c\n" + "0.5,1,a,7\n0.25,0,b,8\n" * 500)
    code = f"""
import os, sys
from calibcli.io.rows.dataset import InputSpec, open_dataset
data = open_dataset(InputSpec(({str(path)!r},), groups=("g",), cluster="c"))
print(sum(map(len, data.batches())), flush=True)
heavy = ("pandas", "scipy", "sklearn", "pyarrow.parquet", "pyarrow.compute", "pyarrow.dataset",
         "pyarrow.fs", "rich", "typer")
print([name for name in heavy if name in sys.modules], flush=True)
os._exit(0)  # Arrow before 25 may abort a process that ends as soon as it has read
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"1000\n[]\n"
