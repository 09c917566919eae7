import re

from hypothesis import given
from hypothesis import strategies as st

from calibcli.render.tables.layout import Cell, Column, Table, text_table, wrapped

WORDS = st.text("abc日é[]<>= 0.", max_size=12).map(str.strip)
ROWS = st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=6)
SGR = re.compile(r"\x1b\[\d+m")


def made(rows):
    columns = (Column("name", left=True), Column("value", "interval", rank=1), Column("n", rank=2))
    cells = tuple((Cell(a), Cell(b, c, "bad"), Cell(c)) for a, b, c in rows)
    return Table("t", columns, cells)


@given(ROWS)
def test_a_pipe_gets_every_cell_whole(rows):
    lines = text_table(made(rows))
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        assert all(text in line for text in row)


@given(ROWS, st.integers(5, 60))
def test_colour_changes_no_character(rows, width):
    plain = text_table(made(rows), width=width)
    colored = text_table(made(rows), color=True, width=width)
    assert [SGR.sub("", line) for line in colored] == plain
    assert not any("\x1b" in line for line in plain)


@given(ROWS)
def test_no_line_ends_in_blanks(rows):
    assert all(line == line.rstrip() for line in text_table(made(rows)))


def test_right_aligned_values_end_in_the_same_column():
    rows = (("a", "1.5", "x"), ("longer name", "123.25", "y"))
    lines = text_table(made(rows))
    assert lines[1].index("1.5") + 3 == lines[2].index("123.25") + 6


def test_wide_characters_are_counted_as_two_columns():
    lines = text_table(made((("日本", "1", ""), ("abcd", "2", ""))))
    assert lines[1].index("1") + 2 == lines[2].index("2")


def test_a_narrow_screen_loses_details_then_columns_and_says_so():
    table = made((("a", "0.1", "[0.0, 0.2]"),))
    assert "[0.0, 0.2]" in text_table(table, width=60)[1]
    lines = text_table(table, width=14)
    assert "0.1" in lines[1]
    assert "no room for n" in " ".join(lines)


@given(
    st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=20), st.integers(8, 30)
)
def test_wrapped_keeps_every_word_and_the_width(words, width):
    lines = wrapped(" ".join(words), width)
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)
