"""Numbers to text, one rule for every format that people read.

Four decimals for metrics, whole counts without separators, and never a rounding that changes the
meaning: a small value is not printed as 0.0000 and a value below one not as 1.0000. JSON and CSV
carry the exact numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.figures import Confusion, Interval

NONE: Final = "-"
COUNTS: Final = frozenset({"n", "images", "ground_truth"})
"""Metrics that are whole numbers."""


def metric(value: float | None) -> str:
    """Return four decimals, or scientific notation where four decimals would say nothing.

    >>> metric(0.04123), metric(0.0), metric(3.2e-9), metric(0.99999), metric(None)
    ('0.0412', '0.0000', '3.2e-09', '>0.9999', '-')
    """
    if value is None:
        return NONE
    if value != 0 and abs(value) < 0.00005:
        return f"{value:.1e}"
    if 0.99995 <= value < 1:
        return ">0.9999"
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4e}"


def signed(value: float | None) -> str:
    """Return a difference with its sign.

    >>> signed(0.02), signed(-0.02), signed(0.0)
    ('+0.0200', '-0.0200', '0.0000')
    """
    if value is None:
        return NONE
    return f"+{metric(value)}" if value > 0 else metric(value)


def count(value: float | None) -> str:
    """Return a whole number, or one decimal when weights made it fractional.

    >>> count(1000000), count(12.0), count(12.34), count(None)
    ('1000000', '12', '12.3', '-')
    """
    if value is None:
        return NONE
    return str(int(value)) if value == int(value) else f"{value:.1f}"


def short(value: float | None) -> str:
    """Return a bin edge or a cut-off to six digits without trailing zeros.

    >>> short(0.5), short(1 / 3), short(1.0)
    ('0.5', '0.333333', '1')
    """
    return NONE if value is None else f"{value:.6g}"


def edge(value: float) -> str:
    """Return a bin's edge in a sentence: four digits.

    >>> edge(4 / 15)
    '0.2667'
    """
    return f"{value:.4g}"


def percent(value: float | None) -> str:
    """Return a share in whole percent; a part that rounds to nothing or all is told from it.

    >>> percent(0.873), percent(0.999), percent(0.0)
    ('87%', '>99%', '0%')
    """
    if value is None:
        return NONE
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{100 * value:.0f}%"


def exact(value: float | None) -> str:
    """Return the shortest text that reads back as the same float64.

    >>> exact(0.1 + 0.2)
    '0.30000000000000004'
    """
    return NONE if value is None else repr(value)


def interval(figure: Interval | None) -> str:
    """Return `[low, high]`, or nothing where there is no interval.

    >>> from calibcli.core.results.figures import Figure
    >>> interval(Figure(0.04, 0.03, 0.05))
    '[0.0300, 0.0500]'
    """
    return "" if figure is None else ends(figure.low, figure.high)


def ends(low: float | None, high: float | None) -> str:
    """Return an interval by its ends, or nothing where one of them is missing."""
    return "" if low is None or high is None else f"[{metric(low)}, {metric(high)}]"


def signed_ends(low: float | None, high: float | None) -> str:
    """Return the interval of a difference by its ends."""
    return f"[{signed(low)}, {signed(high)}]"


def priced(table: Confusion, prices: Mapping[str, float]) -> tuple[str, str] | None:
    """Return what 1,000 rows cost at a cut-off, and the prices; None where that is not known."""
    if table.tn is None or not table.rows:
        return None
    total = sum(price * (table.counts[kind] or 0) for kind, price in prices.items())
    units = ", ".join(f"{kind.upper()} {short(p)}" for kind, p in prices.items() if p)
    return f"{1000 * total / table.rows:.0f}", units


def valued(name: str, value: float | None) -> str:
    """Return a value of the metric `name`: whole counts, decimals for all others."""
    return count(value) if name in COUNTS else metric(value)


def named(name: str, figure: Interval | None) -> str:
    """Return the value of the metric `name`."""
    return NONE if figure is None else valued(name, figure.value)


def with_interval(figure: Interval | None) -> str:
    """Return `0.0412 [0.0300, 0.0500]`, or `- (one class only)`."""
    if figure is None:
        return NONE
    text = metric(figure.value)
    if figure.value is None and figure.reason:
        return f"{text} ({figure.reason})"
    bounds = interval(figure)
    return f"{text} {bounds}" if bounds else text


def bin_label(low: float, high: float, *, first: bool, last: bool, closed: str = "right") -> str:
    """Return the interval that a bin is, with the ends that belong to it.

    >>> bin_label(0.0, 0.25, first=True, last=False)
    '[0, 0.25]'
    >>> bin_label(0.25, 0.5, first=False, last=False)
    '(0.25, 0.5]'
    """
    left = "[" if closed == "left" or first else "("
    right = "]" if closed != "left" or last else ")"
    return f"{left}{edge(low)}, {edge(high)}{right}"
