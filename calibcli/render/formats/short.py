"""A result in at most some fifteen lines of eighty columns; `--all` has the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables import drifted, paired, segmentation, serial, slices
from calibcli.render.tables.layout import paint, text_table, wrapped
from calibcli.render.words import names, short, verdicts, words
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from calibcli.core.results.envelope import Envelope, GateResult
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.threshold import ThresholdResult
    from calibcli.render.tables.layout import Style, Table

_WARNINGS = 3
_NEW = " NEW"  # names files that are to be put there


def render_measure(
    result: MeasureResult, *, color: bool = False, width: int | None = None, hint: str = ""
) -> str:
    """Return a measure result in few lines.

    Args:
        result: what was measured.
        color: whether to add SGR codes.
        width: of the terminal; 80 columns for a pipe.
        hint: the command to type next.
    """
    columns, fold = _columns(width)
    blocks = [_painted(_lines(result, columns, folding=fold is not None), fold, color)]
    blocks += [text_table(table, color=color, width=width) for table in _asked(result)]
    last = _last(result.gates, short.more_line(result), hint, fold, color=color)
    if len(blocks) == 1:
        return "\n".join([*blocks[0], *last]) + "\n"
    return "\n\n".join("\n".join(block) for block in [*blocks, last]) + "\n"


def render_fit(
    result: FitResult, *, color: bool = False, width: int | None = None, hint: str = ""
) -> str:
    """Return a fit result in few lines: what it did, why this method, what is left to mend."""
    from calibcli.render.words import short_fit

    columns, fold = _columns(width)
    shown = [*short_fit.lines(result, columns), (_files(result), "dim")]
    return _written(result, shown, short_fit.more_line(result), hint, fold, color=color)


def render_threshold(
    result: ThresholdResult, *, color: bool = False, width: int | None = None, hint: str = ""
) -> str:
    """Return a threshold result in few lines: the cut-off, what it finds, and how sure that is."""
    from calibcli.render.words import short_cuts

    columns, fold = _columns(width)
    read = ": ".join(filter(None, [_files(result), short_cuts.rows_words(result)]))
    shown = [*short_cuts.lines(result, columns), (read, "dim")]
    return _written(result, shown, short_cuts.more_line(result), hint, fold, color=color)


def _written(
    result: FitResult | ThresholdResult,
    shown: Sequence[tuple[str, Style]],
    more: str,
    hint: str,
    fold: int | None,
    *,
    color: bool,
) -> str:
    """Return a result that is kept in a file; nothing follows where a gate has kept it out."""
    if not all(gate.passed for gate in result.gates):
        hint = ""
    if _NEW in hint:
        more = f"NEW: other data than this; {more}"
    lines = _painted([*shown, *_warned(result.warnings)], fold, color)
    return "\n".join([*lines, *_last(result.gates, more, hint, fold, color=color)]) + "\n"


def _columns(width: int | None) -> tuple[int, int | None]:
    """Return the columns, and where to fold: a pipe gets a sentence a line, for `grep`."""
    columns = max(width or short.WIDTH, 40)
    return columns, None if width is None else columns


def _last(
    gates: Sequence[GateResult], more: str, hint: str, fold: int | None, *, color: bool
) -> list[str]:
    """Return the gates, what to type next, and what `--all` would add."""
    last = _painted(short.gate_lines(gates), fold, color)
    if hint:
        # What is to be typed is not folded at spaces: a shell would run each line.
        last.append(f"next: {hint}")
    return [*last, *_painted([(f"({more})", "dim")], fold, color)]


def _painted(lines: Iterable[tuple[str, Style]], columns: int | None, color: bool) -> list[str]:
    found = []
    for text, style in lines:
        for place, line in enumerate(_folded(text, columns)):
            indent = "  " if place and not line.startswith(" ") else ""
            found += [paint(indent + line, style, color)] if line else []
    return found


def _folded(text: str, columns: int | None) -> list[str]:
    """Return a line, or where it is too long its parts, which leave room for an indent."""
    whole = wrapped(text, columns)
    return whole if columns is None or len(whole) == 1 else wrapped(text, columns - 2)


def _asked(result: MeasureResult) -> list[Table]:
    """Return the tables that an option has asked for, which are shown as a whole."""
    found = [
        *drifted.drift_tables(result),
        serial.series_table(result),
        paired.versus_table(result),
        paired.calibrated_table(result),
        segmentation.at_table(result) or slices.at_table(result),
    ]
    return [table for table in found if table is not None]


def _lines(result: MeasureResult, columns: int, *, folding: bool) -> Iterator[tuple[str, Style]]:
    params, task, overall = result.conventions, words.task_of(result), result.overall
    answer, last = verdicts.slice_verdict(overall, params, task), overall.last
    what = words_of(result.task).rows
    told = f"{short.count(overall.rows)} {what}"
    if overall.ece is not None and overall.ece.value is not None:
        told = f"ECE {short.with_interval(overall.ece)}   {told}"
    gap = columns - len(told)
    yield f"{answer.phrase:<{gap}}{told}" if len(answer.phrase) < gap else told, answer.tone
    if answer.tone == "warn":
        yield answer.headline, ""
    for line in short.region_lines(answer.regions, what):
        yield line, ""
    if last is not overall:
        answer = verdicts.slice_verdict(last, params, task)
        said = f", ECE {short.with_interval(last.ece)}" if last.ece is not None else ""
        yield f"calibrated: {answer.phrase[:1].lower()}{answer.phrase[1:]}{said}", answer.tone
        for line in short.region_lines(answer.regions, what):
            yield line, ""
    bias = short.bias_line(last.metrics)
    if bias:
        yield bias, ""
    yield "   ".join(short.headline_figures(last.metrics, raw=params.raw is not None)), ""
    cuts, chosen = short.cut_lines(last, below=params.falling), short.chosen_line(result)
    for line in [*cuts[:1], *([chosen] if chosen else []), *cuts[1:]]:
        yield line, ""
    decided = short.decision_line(result)
    if decided:
        yield decided, ""
    for line in short.structure_lines(result):
        yield line, ""
    for line in short.worst_lines(result):
        yield line, ""
    if result.drift is not None:
        yield f"Against the reference {names.visible(result.drift.verdict)}.", ""
    yield from short.evidence_lines(result)
    made_so, files = names.visible(words.conventions(result)), _files(result)
    apart = folding and len(made_so) + len(files) + 2 > columns
    for line in [made_so, files] if apart else [f"{made_so}; {files}"]:
        yield line, "dim"
    made = words.made_by(result)
    if made:
        yield names.visible(made), "dim"
    yield from _warned(result.warnings)


def _warned(warnings: Sequence[str]) -> Iterator[tuple[str, Style]]:
    for text in warnings[:_WARNINGS]:
        yield f"warning: {names.visible(text)}", "warn"
    if len(warnings) > _WARNINGS:
        yield f"and {len(warnings) - _WARNINGS} more warnings", "warn"


def _files(result: Envelope) -> str:
    paths = [one.path.rpartition("/")[2] for one in result.inputs]
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return names.visible(f"{paths[0]}{more}") if paths else ""
