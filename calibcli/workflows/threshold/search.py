"""`--search NAME=V,V`: what is tried together with every cut-off."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from calibcli.core.segmentation.regions import CONNECTIVITIES
from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NMS = "nms-iou"
_YES = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Values:
    """Which values a name takes.

    Attributes:
        low, high: the least and the largest.
        whole: whether they are whole numbers; `words` yes and no stand for 1 and 0.
        example: for hints.
    """

    low: float
    high: float
    example: str
    whole: bool = False
    words: bool = False

    def read(self, text: str) -> float | None:
        """Return a value, None where it is none."""
        if self.words:
            return _YES.get(text.lower())
        try:
            value = float(text)
        except ValueError:
            return None
        fits = isfinite(value) and self.low <= value <= self.high
        return value if fits and (not self.whole or value.is_integer()) else None

    def described(self) -> str:
        """Return what values there are, in words."""
        if self.words:
            return "values are yes and no"
        if self.whole:
            return "values are whole numbers of pixels"
        return f"values are numbers from {self.low:g} to {self.high:g}"


BOXES = {NMS: Values(0.0, 1.0, "nms-iou=0.3,0.5,0.7")}
MASKS = {
    "min-area": Values(0.0, float(1 << 40), "min-area=0,20,50", whole=True),
    "fill-holes": Values(0.0, 1.0, "fill-holes=yes,no", words=True),
}


def parse_search(texts: Sequence[str], known: Mapping[str, Values]) -> dict[str, tuple[float, ...]]:
    """Return the values of each name, in the order given.

    Args:
        texts: such as nms-iou=0.3,0.5.
        known: the names there are.

    Raises:
        UsageError: another form, an unknown name, a value that is none.
    """
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, mark, values = text.partition("=")
        name = name.strip().replace("_", "-")
        if not mark:
            example = next(iter(known.values())).example
            raise UsageError(f"--search {text!r} names no values", f"for example {example}")
        if name not in known:
            hint = did_you_mean(name, known) or f"one of: {', '.join(known)}"
            raise UsageError(f"--search does not know {name!r}", hint)
        if name in found:
            raise UsageError(f"--search {name} is given twice", "join the values with commas")
        own = known[name]
        parts = [own.read(one.strip()) for one in values.split(",")]
        numbers = tuple(dict.fromkeys(one for one in parts if one is not None))
        if None in parts or not numbers:
            raise UsageError(f"--search {text!r}: {own.described()}", f"for example {own.example}")
        found[name] = numbers
    return found


@dataclass(frozen=True, slots=True)
class RegionWish:
    """What is searched beside the threshold of a mask.

    Attributes:
        areas: least areas, pixels; `fills` whether holes are filled.
        connectivity: 4 or 8.
        background: the structure that gets what no other claims.
    """

    areas: tuple[int, ...] = (0,)
    fills: tuple[bool, ...] = (False,)
    connectivity: int = 8
    background: str | None = None

    @property
    def cleans(self) -> bool:
        """Whether masks are cleaned by region in some candidate."""
        return any(self.fills) or max(self.areas) > 1

    @classmethod
    def parse(
        cls, search: tuple[str, ...], connectivity: int | None, background: str | None
    ) -> RegionWish:
        """Understand `--search min-area=0,20,50` and `--search fill-holes=yes,no`.

        Raises:
            UsageError: options that cannot be understood.
        """
        if connectivity is not None and connectivity not in CONNECTIVITIES:
            raise UsageError(f"--connectivity {connectivity}", "4: over edges; 8: over corners too")
        found = parse_search(search, MASKS)
        return cls(
            tuple(sorted(map(int, found.get("min-area", (0.0,))))),
            tuple(sorted(map(bool, found.get("fill-holes", (0.0,))))),
            8 if connectivity is None else connectivity,
            background,
        )
