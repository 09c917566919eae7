"""Where a column is: in the scores, or in the file beside them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Place:
    """A column, of the scores or of the labels file; `unit` is what its times are cut to.

    With `every` it is no column but the number of the row, cut to chunks of so many.
    """

    name: str
    side: bool = False
    unit: str | None = None
    every: int = 0
