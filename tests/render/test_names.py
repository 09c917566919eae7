import html as stdlib_html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.render.words import names

TEXTS = st.text(st.characters(), max_size=30)
FORMULA_STARTS = "=+-@＝＋－＠\t\r"  # noqa: RUF001


@given(TEXTS)
def test_visible_leaves_nothing_that_controls_a_terminal_or_reorders_a_line(text):
    shown = names.visible(text)
    unseen = [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    reordering = set(shown) & set(
        "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068"
    )
    assert not unseen
    assert not reordering
    shown.encode("utf-8")


@given(TEXTS)
def test_visible_changes_nothing_twice(text):
    once = names.visible(text)
    assert names.visible(once) == once


@pytest.mark.parametrize(
    "name", ["[red]x", "<script>", "=1+1", "a|b", "naïve", "日本語", "שלום", "👩‍🔬"]
)
def test_visible_shows_printable_names_as_they_are(name):
    assert names.visible(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("a\r\tb", r"a\r\tb"),
    ],
)
def test_visible_spells_out_the_rest(name, shown):
    assert names.visible(name) == shown


@given(TEXTS)
def test_html_has_no_markup_and_reads_back(text):
    safe = names.html(text)
    assert not set("<>\"'") & set(safe)
    assert stdlib_html.unescape(safe) == names.visible(text)


@given(TEXTS)
def test_csv_is_never_a_formula(text):
    cell = names.csv(text)
    assert cell.lstrip()[:1] not in set(FORMULA_STARTS) or not cell.strip()


def test_csv_leaves_ordinary_names_alone():
    assert names.csv("front camera") == "front camera"
    assert names.csv("a=1") == "a=1"


def test_columns_counts_what_a_terminal_draws():
    assert names.columns("abc") == 3
    assert names.columns("日本語") == 6
    assert names.columns("e\u0301") == 1
