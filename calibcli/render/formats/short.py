"""A result in at most some fifteen lines of eighty columns; `--all` has the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.render.formats.screen import Asked, Screen
from calibcli.render.tables import paired, segmentation, serial, slices
from calibcli.render.tables.drifted import drift_tables as drift_of
from calibcli.render.words import names, short, verdicts, words
from calibcli.render.words.lines import ASIDE, DETAIL, KEPT, MORE, Line, ranked
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.envelope import Envelope
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.threshold import ThresholdResult

_FIGURES = ("nll", "brier", "ece", "auc", "average_precision")
_DRIFT = ("psi", "reliability_p", "ece", "auc", "prevalence", "accuracy", "class_psi")
"""Figures that count most, in that order."""
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
    screen = Screen(
        list(_lines(result, columns, folding=fold is not None)),
        result.warnings,
        result.warning_codes,
        result.gates,
        hint,
        short.more_line(result),
        fold,
        color,
    )
    screen.tables = _asked(result, notes=fold is None)
    return screen.text()


def render_fit(
    result: FitResult, *, color: bool = False, width: int | None = None, hint: str = ""
) -> str:
    """Return a fit result in few lines: what it did, why this method, what is left to mend."""
    from calibcli.render.words import short_fit

    columns, fold = _columns(width)
    shown = [*short_fit.lines(result, columns), Line(_files(result), "dim", ASIDE)]
    return _written(result, shown, short_fit.more_line(result), hint, fold, color=color)


def render_threshold(
    result: ThresholdResult, *, color: bool = False, width: int | None = None, hint: str = ""
) -> str:
    """Return a threshold result in few lines: the cut-off, what it finds, and how sure that is."""
    from calibcli.render.words import short_cuts

    columns, fold = _columns(width)
    read = ": ".join(filter(None, [_files(result), short_cuts.rows_words(result)]))
    shown = [*short_cuts.lines(result, columns), Line(read, "dim", ASIDE)]
    return _written(result, shown, short_cuts.more_line(result), hint, fold, color=color)


def _written(
    result: FitResult | ThresholdResult,
    shown: Sequence[Line],
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
    codes = result.warning_codes
    return Screen(list(shown), result.warnings, codes, result.gates, hint, more, fold, color).text()


def _columns(width: int | None) -> tuple[int, int | None]:
    """Return the columns, and where to fold: a pipe gets a sentence a line, for `grep`."""
    columns = max(width or short.WIDTH, 40)
    return columns, None if width is None else columns


def _asked(result: MeasureResult, *, notes: bool) -> list[Asked]:
    """Return the tables that an option has asked for, and which of their rows count most.

    Without `notes` what is said of a drift stands above its table only.
    """
    found: list[Asked | None] = [
        *(Asked.of(one if notes else replace(one, note=""), _DRIFT) for one in drift_of(result)),
        _periods(result),
        Asked.of(paired.versus_table(result), _FIGURES),
        Asked.of(paired.calibrated_table(result), _FIGURES),
        Asked.of(segmentation.at_table(result) or slices.at_table(result)),
    ]
    return [table for table in found if table is not None]


def _periods(result: MeasureResult) -> Asked | None:
    """Return the table of periods: bad ones count most, then changed ones, then the latest."""
    found, table = result.series, serial.series_table(result)
    if found is None or table is None:
        return None
    order = sorted(
        range(len(found.periods)),
        key=lambda i: (not found.periods[i].bad, not found.periods[i].changed, -i),
    )
    first = [i for i, one in enumerate(found.periods) if one.bad][:1]
    order = [*first, *(i for i in order if i not in first)]
    return Asked(table, tuple(order))


def _lines(result: MeasureResult, columns: int, *, folding: bool) -> Iterator[Line]:
    params, task, overall = result.conventions, words.task_of(result), result.overall
    answer, last = verdicts.slice_verdict(overall, params, task), overall.last
    what = words_of(result.task).rows
    told = f"{short.count(overall.rows)} {what}"
    if overall.ece is not None and overall.ece.value is not None:
        told = f"ECE {short.with_interval(overall.ece)}   {told}"
    gap = columns - len(told)
    yield Line(f"{answer.phrase:<{gap}}{told}" if len(answer.phrase) < gap else told, answer.tone)
    if answer.tone == "warn":
        yield Line(answer.headline, "", MORE)
    first = KEPT if last is overall else MORE
    yield from ranked(short.region_lines(answer.regions, what), first, ASIDE)
    if last is not overall:
        answer = verdicts.slice_verdict(last, params, task)
        said = f", ECE {short.with_interval(last.ece)}" if last.ece is not None else ""
        phrase = f"{answer.phrase[:1].lower()}{answer.phrase[1:]}"
        yield Line(f"calibrated: {phrase}{said}", answer.tone)
        yield from ranked(short.region_lines(answer.regions, what), DETAIL, ASIDE)
    yield Line(short.bias_line(last.metrics), "", ASIDE)
    yield Line("   ".join(short.headline_figures(last.metrics, raw=params.raw is not None)))
    cuts, chosen = short.cut_lines(last, below=params.falling), short.chosen_line(result)
    yield from ranked([*cuts[:1], *([chosen] if chosen else [])], KEPT, DETAIL)
    yield from ranked(cuts[1:], MORE, MORE)
    yield Line(short.decision_line(result), "", DETAIL)
    yield from ranked(short.structure_lines(result), DETAIL, MORE)
    yield from ranked(short.worst_lines(result), DETAIL, MORE)
    if result.drift is not None:
        yield Line(f"Against the reference {names.visible(result.drift.verdict)}.")
    for text, tone in short.evidence_lines(result):
        yield Line(text, tone, MORE if tone == "good" else KEPT)
    made_so, files = names.visible(words.conventions(result)), _files(result)
    apart = folding and len(made_so) + len(files) + 2 > columns
    for line in [made_so, files] if apart else [f"{made_so}; {files}"]:
        yield Line(line, "dim", ASIDE)
    made = words.made_by(result)
    if made:
        yield Line(names.visible(made), "dim", ASIDE)


def _files(result: Envelope) -> str:
    paths = [one.path.rpartition("/")[2] for one in result.inputs]
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return names.visible(f"{paths[0]}{more}") if paths else ""
