"""`--search NAME=V,V`: what is tried together with every cut-off."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_search(
    texts: Sequence[str], known: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, ...]]:
    """Return the values of each name, in the order given.

    Args:
        texts: such as nms-iou=0.3,0.5.
        known: the names there are, with the least and the largest value of each.

    Raises:
        UsageError: another form, an unknown name, a value that is none.
    """
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, mark, values = text.partition("=")
        name = name.strip()
        example = f"{next(iter(known))}=0.3,0.5,0.7"
        if not mark:
            raise UsageError(f"--search {text!r} names no values", f"for example {example}")
        if name not in known:
            hint = did_you_mean(name, known) or f"one of: {', '.join(known)}"
            raise UsageError(f"--search does not know {name!r}", hint)
        if name in found:
            raise UsageError(f"--search {name} is given twice", "join the values with commas")
        low, high = known[name]
        try:
            numbers = tuple(dict.fromkeys(float(one) for one in values.split(",")))
        except ValueError:
            numbers = ()
        if not numbers or not all(isfinite(one) and low <= one <= high for one in numbers):
            raise UsageError(
                f"--search {text!r}: values are numbers from {low:g} to {high:g}",
                f"for example {example}",
            )
        found[name] = numbers
    return found
