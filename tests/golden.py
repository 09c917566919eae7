"""Compares printed text so that nothing hangs on the last digits of another processor's floats.

`exp`, `log` and sums of products round differently on another processor, or in another release of
NumPy, so a number that is printed in full may differ by a few units in its last place. It matches
within 1e-9 of its value. A number that is printed with few digits has been rounded, which hides
such a difference, so its text must be equal: a tolerance of a unit would let real changes pass.
"""

from __future__ import annotations

import doctest
import re
from itertools import zip_longest

# A number that stands alone: `v1.5`, `p90` and `1.2.3` are words.
NUMBER = re.compile(r"(?<![\w.])[-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)")
TOKENS = re.compile(rf"(?P<number>{NUMBER.pattern})|(?P<gap>[-─━═=]{{2,}}|\s+)|(?P<other>.)")
# Digits from which on a number counts as printed in full: `repr` of a float has up to 17.
FULL = 12
RELATIVE = 1e-9
# What is left where numbers of about 1 cancel.
NOTHING = 1e-12


def same_number(printed: str, expected: str) -> bool:
    """Whether two numbers are the same text, or the same float but for its last digits."""
    if printed == expected:
        return True
    if max(map(significant, (printed, expected))) < FULL:
        return False
    one, two = (float(text.replace("−", "-")) for text in (printed, expected))
    return abs(one - two) <= max(RELATIVE * max(abs(one), abs(two)), NOTHING)


def significant(number: str) -> int:
    """Return how many significant digits a number is printed with.

    >>> significant("0.00120"), significant("1e-17"), significant("0.30000000000000004")
    (3, 1, 17)
    """
    digits = re.sub(r"[eE].*|\D", "", number)
    return len(digits.lstrip("0"))


def same(printed: str, expected: str) -> bool:
    """Whether two texts are equal but for the last digits of floats.

    Where such a number is longer or shorter, so may be the column that holds it: runs of blanks
    and the rules of tables then match at any length.
    """
    differences = _differences(printed, expected)
    return differences is not None and ("width" not in differences or "length" in differences)


def matches(printed: str, expected: str) -> bool:
    """Whether a text is the `same` as an example; there, a line `...` stands for any lines."""
    lines, wanted = (re.sub(" +$", "", text, flags=re.M) for text in (printed, expected))
    filled = _filled(wanted.split("\n"), lines.split("\n"))
    return filled is not None and same(lines, "\n".join(filled))


def _filled(wanted: list[str], lines: list[str]) -> list[str] | None:
    """Return the lines of an example with those that its `...` stand for, None if they differ."""
    if not wanted:
        return None if lines else []
    line, *rest = wanted
    for skipped in range(len(lines) + 1) if line == "..." else (0,):
        if line == "...":
            found, then = lines[:skipped], lines[skipped:]
        elif lines and _differences(lines[0], line) is not None:
            found, then = [line], lines[1:]
        else:
            return None
        tail = _filled(rest, then)
        if tail is not None:
            return found + tail
    return None


def _differences(printed: str, expected: str) -> set[str] | None:
    """Return what differs harmlessly: digits, the length of a number, the width of a gap.

    None if anything else does.
    """
    differences: set[str] = set()
    if printed == expected:
        return differences
    for one, two in zip_longest(TOKENS.finditer(printed), TOKENS.finditer(expected)):
        if one is None or two is None or (kind := one.lastgroup) != two.lastgroup:
            return None
        if one[0] == two[0]:
            continue
        if kind == "number" and same_number(one[0], two[0]):
            differences.add("digits" if len(one[0]) == len(two[0]) else "length")
        elif kind == "gap" and shape(one[0]) == shape(two[0]):
            differences.add("width")
        else:
            return None
    return differences


def shape(gap: str) -> list[str]:
    """Return a gap with its runs of one character shortened to that character, lines kept."""
    return [part[:1] for part in gap.split("\n")]


class Checker(doctest.OutputChecker):
    """Checks the output of a doctest as `same` does."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Whether what was printed is what the example says."""
        return super().check_output(want, got, optionflags) or same(got, want)
