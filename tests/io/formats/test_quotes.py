"""Quotes that are not closed swallow rows: they are found; what is written well is left alone."""

from __future__ import annotations

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.errors import InputError
from calibcli.io.formats.delimited import quotes
from calibcli.io.formats.delimited.reader import CsvReader
from calibcli.io.formats.source import Source


def rows_of(text: bytes, delimiter: str = ",") -> int:
    source = Source("x.csv", "csv", data=text)
    checked = quotes.QuoteChecked(source, delimiter)
    while checked.read(7):
        pass
    return CsvReader.open(source).count()


BODY = "".join(f"0.{i % 10},{i % 2},ok\n" for i in range(5000))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('score,label,note\n0.5,1,ok\n0.3,0,"oops\n' + BODY, 2),
        ('score,label,note\n0.5,1,ok\n0.3,0,"oops\n' + BODY + '0.4,1,"fine"\n' + BODY, 2),
        ('score,label,note\n0.5,1,"a\nb"\n\n0.3,0,"oops\n' + BODY + '0.4,1,"x"', 2),
        ('score,label,note\n0.3,0,"oops""\n' + BODY + '0.3,0,""', 1),
        ('score,label,note\n"0.3,0,oops\n' + BODY, 1),
    ],
)
def test_an_unclosed_quote_is_told_with_its_row(text, row, read, write, tmp_path):
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(text.encode()))
    for path in (write("x.csv", text), tmp_path / "z.csv.gz"):
        with pytest.raises(InputError, match=rf"a quote that opens in row {row} is not closed"):
            read(path)


def test_an_unclosed_quote_in_the_header(read, write):
    with pytest.raises(InputError, match="a quote in its first line is not closed"):
        read(write("x.csv", 'score,label,"note\n0.5,1,a\n0.4,0,b\n'))


def test_quotes_that_swallow_nothing_are_read_as_ever(read, write):
    text = (
        'score,label,note\n0.5,1,"two\nlines"\n0.25,0,5" pipe\n0.125,1,"5"" pipe"\n'
        '0.75,0,"x"y\n0.0,0,\n1.0,1,"last"'
    )
    rows = read(write("x.csv", text))
    np.testing.assert_array_equal(rows.scores, [0.5, 0.25, 0.125, 0.75, 0, 1])


@given(
    st.lists(st.text('a,;"\n ', max_size=6), min_size=1, max_size=12),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_is_written_by_the_rules_passes(notes, quoting, delimiter):
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["score", "label", "note"])
    writer.writerows([0.5, 1, note] for note in notes)
    assert rows_of(text.getvalue().encode(), delimiter) == len(notes)


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=3, max_size=9), st.data())
def test_one_quote_too_few_loses_no_row_silently(notes, data):
    lines = [f'0.5,1,"{note}"' for note in notes]
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = lines[at][:-1] if data.draw(st.booleans()) else lines[at].replace('"', "", 1)
    text = "\n".join(["score,label,note", *lines, "0.5,0,end", ""]).encode()
    try:
        rows = rows_of(text)
    except InputError as error:
        rows = len(notes) + 1 if f"row {at + 1} is" in error.message else 0
    assert rows == len(notes) + 1
