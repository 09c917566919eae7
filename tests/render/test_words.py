import pytest

from calibcli.render.words import words
from tests.render.whole import conventions


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"bins": [15], "binning": "width"}, "15 equal-width bins, (lo, hi]"),
        ({"bins": 10, "binning": "mass", "closed": "left"}, "10 equal-mass bins, [lo, hi)"),
        ({"edges": [0, 0.25, 0.5, 1]}, "3 bins with given edges, (lo, hi]"),
    ],
)
def test_conventions_are_in_words(params, expected):
    assert words.bins_words(conventions(params)) == expected
