"""A reliability diagram as text, for a terminal: `measure --plot`.

One character cell is far coarser than the intervals of a large sample, so the table of bins stays
the place of the numbers; this shows the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from calibcli.render.tables.layout import paint, wrapped
from calibcli.render.words import bins as regions
from calibcli.render.words import figures
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.render.tables.layout import Style
    from calibcli.render.words.bins import Filled
    from calibcli.tasks.words import Words

HEIGHT: Final = 17
NARROWEST: Final = 24
WIDEST: Final = 56
_MARGIN: Final = 6


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters of a diagram; `bars` go from nothing to full."""

    off: str
    on: str
    line: str
    whisker: str
    bars: str
    rule: str
    wall: str
    corner: str


UNICODE: Final = Marks("●", "○", "·", "│", " ▁▂▃▄▅▆▇█", "─", "┤", "└")
ASCII: Final = Marks("#", "o", ".", ":", " .:-=+*%@", "-", "|", "+")


def render_plot(
    result: MeasureResult,
    *,
    color: bool = False,
    width: int | None = None,
    ascii_only: bool = False,
) -> str:
    """Return the reliability diagram of all rows, after calibration beside before.

    Args:
        result: a measure result.
        color: whether to add SGR codes.
        width: columns of the terminal; None takes 80.
        ascii_only: whether the terminal shows ASCII only.
    """
    marks = ASCII if ascii_only else UNICODE
    overall, task = result.overall, words_of(result.task)
    after = overall.calibrated
    titled = [("", overall)] if after is None else [("before", overall), ("after", after)]
    whole = width or 80
    beside = len(titled) == 2 and whole >= 2 * (NARROWEST + _MARGIN) + 3
    room = (whole - 3) // 2 if beside else whole
    side = max(min(room - _MARGIN - 1, WIDEST), NARROWEST)
    blocks = [_block(part, title, task, side, marks, color) for title, part in titled]
    if beside:
        lines = [f"{a}   {b}".rstrip() for a, b in zip(*blocks, strict=True)]
    else:
        lines = [line.rstrip() for block in blocks for line in (*block, "")][:-1]
    legend = (
        f"{marks.off} off the line by more than the interval ({marks.whisker}), "
        f"{marks.on} not; below: rows in each bin"
    )
    if not regions.has_intervals(overall.bins):
        legend = f"{marks.on} bins; below: rows in each bin"
    told = [paint(line, "dim", color) for line in wrapped(legend, width)]
    return "\n".join([*lines, *told]) + "\n"


def _block(
    part: SliceResult, title: str, task: Words, side: int, marks: Marks, color: bool
) -> list[str]:
    """Return lines of one width: a title, the diagram, its axis, the histogram."""
    bins = regions.filled(part.bins)
    grid: list[list[tuple[str, Style]]] = [[(" ", "")] * side for _ in range(HEIGHT)]

    def put(x: float, y: float, char: str, style: Style) -> None:
        grid[HEIGHT - 1 - round(_unit(y) * (HEIGHT - 1))][round(_unit(x) * (side - 1))] = (
            char,
            style,
        )

    for i in range(2 * side):
        at = i / (2 * side - 1)
        put(at, at, marks.line, "dim")
    for b in bins:
        low, high = b.frequency_low, b.frequency_high
        if low is not None and high is not None:
            first, last = (round(_unit(v) * (HEIGHT - 1)) for v in (low, high))
            for step in range(first, last + 1):
                put(b.score, step / (HEIGHT - 1), marks.whisker, "dim")
    for b in bins:
        off = regions.miss(b) > 1
        put(b.score, b.frequency, marks.off if off else marks.on, "bad" if off else "bold")
    head = f"{task.frequency}  {title}".rstrip()
    ece = f"ECE {figures.named('ece', part.ece)}"
    space = max(side + _MARGIN - len(head) - len(ece), 1)
    lines = [head + " " * space + ece]
    for row, cells in enumerate(grid):
        tick = _tick(1 - row / (HEIGHT - 1)) if row % ((HEIGHT - 1) // 4) == 0 else ""
        wall = marks.wall if tick or marks is ASCII else "│"
        lines.append(f"{tick:>4} {wall}" + "".join(paint(c, style, color) for c, style in cells))
    lines.append(f"{'':4} {marks.corner}{marks.rule * side}")
    lines.append(f"{'':6}{_bars(bins, side, marks)}")
    lines.append(f"{'':6}0{task.score:^{side - 2}}1")
    wide = side + _MARGIN
    # Painted lines are of full width already; the others are padded to it.
    return [line if "\x1b" in line else line.ljust(wide) for line in lines]


def _bars(bins: Sequence[Filled], side: int, marks: Marks) -> str:
    most = max((b.count for b in bins), default=1)
    cells = [0.0] * side
    for b in bins:
        first, last = (
            round(b.low * side),
            max(round(b.high * side), round(b.low * side) + 1),
        )
        for i in range(first, min(last, side)):
            cells[i] = max(cells[i], b.count / most)
    top = len(marks.bars) - 1
    # A bin with rows is never drawn as empty.
    return "".join(marks.bars[max(round(v * top), 1) if v > 0 else 0] for v in cells)


def _unit(x: float) -> float:
    return min(max(x, 0.0), 1.0)


def _tick(at: float) -> str:
    return f"{at:.2f}".rstrip("0").rstrip(".")
