"""The rows that are most confidently wrong."""

from __future__ import annotations

from calibcli.core.results.base import Number, Record, always


class WorstRow(Record, frozen=True, kw_only=True):
    """A row and what was said of it.

    Attributes:
        path: the file, as it may be shown; `row` its row there, from 1 on.
        key: its `--key`, as text; several columns are joined by a comma.
        score: as the file has it: of the label, or of the class that was predicted.
        probability: after the calibrator, if one was given.
        predicted: the class; of binary scores 0 or 1, of labels the one that is wrong.
        label: what was true.
        wrong: the probability that was given to what was false.
    """

    path: str
    row: int
    key: str | None = None
    score: float
    probability: float | None = None
    predicted: Number | str
    label: Number | str
    wrong: float


class Worst(Record, frozen=True):
    """The worst rows, the worst first, and how many rows there are in all that are wrong."""

    rows: tuple[WorstRow, ...] = always(())
    wrong: int = 0
