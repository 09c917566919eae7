"""The reliability diagram as text: right places, right width, characters that can be shown."""

from __future__ import annotations

import re

import pytest

from calibcli.render.formats.plot import HEIGHT, render_plot
from tests.render.whole import measured

SGR = re.compile(r"\x1b\[\d+m")


def row(low, high, score, frequency, count, reach=0.05):
    return {
        "low": low, "high": high, "count": count, "score": score, "frequency": frequency,
        "frequency_low": max(frequency - reach, 0), "frequency_high": min(frequency + reach, 1),
        "gap": frequency - score,
    }  # fmt: skip


def result(bins, after=None):
    part = {"slice": {"kind": "overall"}, "metrics": {"ece": {"value": 0.0412}}, "bins": bins}
    if after is not None:
        part["calibrated"] = {"metrics": {"ece": {"value": 0.01}}, "bins": after}
    return measured({"overall": part})


def canvas(text):
    """Return the inside of the first diagram, the highest frequency first."""
    return [line[6:] for line in text.splitlines()[1 : 1 + HEIGHT]]


def test_each_bin_stands_at_its_score_and_frequency():
    bins = [row(0, 0.5, 0.25, 0.5, 100), row(0.5, 1, 1.0, 1.0, 300)]
    text = render_plot(result(bins), width=80)
    inside = canvas(text)
    side = 56
    middle = (HEIGHT - 1) // 2
    assert inside[middle][round(0.25 * (side - 1))] == "●"
    assert inside[0][side - 1] == "○"  # on the line: the score is within the interval
    assert "ECE 0.0412" in text.splitlines()[0]


def test_the_histogram_shows_where_the_rows_are_and_never_hides_a_bin():
    bins = [row(0, 0.5, 0.2, 0.2, 1), row(0.5, 1, 0.8, 0.8, 100_000)]
    bars = render_plot(result(bins), width=80).splitlines()[HEIGHT + 2][6:]
    assert set(bars[:28]) == {"▁"}
    assert set(bars[28:]) == {"█"}


@pytest.mark.parametrize("width", [30, 60, 80, 200])
@pytest.mark.parametrize("both", [False, True])
def test_no_line_is_wider_than_the_terminal_and_colour_changes_no_character(width, both):
    bins = [row(i / 10, (i + 1) / 10, i / 10 + 0.05, i / 10, 10 + i) for i in range(10)]
    made = result(bins, bins if both else None)
    plain = render_plot(made, width=width)
    assert max(map(len, plain.splitlines())) <= max(width, 31)
    colored = render_plot(made, width=width, color=True)
    assert "\x1b[" in colored
    bare = [line.rstrip() for line in SGR.sub("", colored).splitlines()]
    assert bare == plain.splitlines()


def test_a_plain_terminal_gets_ascii_only():
    bins = [row(0, 0.5, 0.25, 0.5, 100), row(0.5, 1, 0.9, 0.9, 300)]
    assert render_plot(result(bins, bins), ascii_only=True).isascii()


def test_nothing_to_draw_is_an_empty_diagram():
    assert "●" not in render_plot(result([])).splitlines()[5]
