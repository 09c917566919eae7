"""Results as text for a terminal and for a pipe: one look gives the answer, the tables follow.

Both get the same characters; a terminal adds colour, folds sentences to its width, and shows only
the worst of very many classes. A pipe gets every row and every column, nothing cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.core.results.base import plain
from calibcli.render.tables import documents, promotion, replay
from calibcli.render.tables.layout import paint, text_table, wrapped
from calibcli.render.words import names, verdicts, words
from calibcli.render.words.short import evidence_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.replay import ReplayResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.core.results.threshold import ThresholdResult
    from calibcli.render.tables.layout import Style, Table

SLICES_ON_SCREEN: Final = 20


def render_measure(result: MeasureResult, *, color: bool = False, width: int | None = None) -> str:
    """Return a measure result as text.

    `color` adds SGR codes. `width` is the terminal's; None (a pipe) leaves nothing out.
    """
    headline = paint(documents.measure_headline(result), "bold", color)
    facts = "   ".join([headline, *documents.measure_facts(result)])
    answer = verdicts.verdict(result)
    verdict = _painted(answer.headline, answer.tone, color, width)
    for detail in answer.details:
        verdict += wrapped(detail, width)
    head = [
        [
            facts,
            *_painted(words.conventions(result), "dim", color, width),
            *_painted(words.other_binning(result), "dim", color, width),
            *_painted(documents.inputs_line(result.inputs), "dim", color, width),
            *_painted(words.made_by(result), "dim", color, width),
        ],
        verdict,
        [line for text, _ in evidence_lines(result) for line in _painted(text, "", color, width)],
        _warnings(result.warnings, color, width),
    ]
    limit = SLICES_ON_SCREEN if width is not None else None
    return _document(head, documents.measure_tables(result, limit=limit), color, width)


def render_fit(result: FitResult, *, color: bool = False, width: int | None = None) -> str:
    """Return a fit result as text: the method, before and after, the candidates."""
    from calibcli.render.tables import decisions

    head = _painted(documents.fit_headline(result), "bold", color, width)
    head += _painted(words.after_words(result.after.kind), "", color, width)
    parameters = decisions.parameters_words(result.calibrator)
    head += _painted(parameters, "", color, width)
    head += _painted(documents.inputs_line(result.inputs), "dim", color, width)
    blocks = [head, _warnings(result.warnings, color, width)]
    return _document(blocks, documents.fit_tables(result), color, width)


def render_promotion(
    result: PromotionResult, *, color: bool = False, width: int | None = None
) -> str:
    """Return what became of a challenger as text: the decision, its reason, the checks."""
    head = _painted(promotion.headline(result), "bold", color, width)
    for fact in promotion.facts(result):
        head += _painted(fact, "", color, width)
    head += _painted(documents.inputs_line(result.inputs), "dim", color, width)
    blocks = [head, _warnings(result.warnings, color, width)]
    return _document(blocks, promotion.tables(result), color, width)


def render_replay(result: ReplayResult, *, color: bool = False, width: int | None = None) -> str:
    """Return what each way of refitting would have cost as text."""
    head = _painted(replay.headline(result), "bold", color, width)
    head += _painted(replay.facts(result), "", color, width)
    head += _painted(documents.inputs_line(result.inputs), "dim", color, width)
    blocks = [head, _warnings(result.warnings, color, width)]
    return _document(blocks, replay.tables(result), color, width)


def render_threshold(
    result: ThresholdResult, *, color: bool = False, width: int | None = None
) -> str:
    """Return a threshold result as text: each cut-off exactly, what it reaches, and how sure."""
    from calibcli.render.tables import decisions

    head = _painted(decisions.thresholds_headline(result), "bold", color, width)
    head += _painted(decisions.kind_words(result), "", color, width)
    head += _painted(documents.inputs_line(result.inputs), "dim", color, width)
    blocks = [head, _warnings(result.warnings, color, width)]
    return _document(blocks, documents.threshold_tables(result), color, width)


def render_apply(result: ApplyResult, *, color: bool = False, width: int | None = None) -> str:
    """Return a short summary of what apply wrote: one `name  value` line each."""
    skipped = {"schema", "version", "calibcli", "params", "inputs", "warnings", "warning_codes"}
    skipped |= {"gates"}
    said = [
        (key, str(value))
        for key, value in plain(result).items()
        if key not in skipped and value is not None and not isinstance(value, dict)
    ]
    size = max((names.columns(key) for key, _ in said), default=0)
    lines = [
        f"{paint(key, 'dim', color)}{' ' * (size - names.columns(key))}  {names.visible(value)}"
        for key, value in said
    ]
    tables = documents.apply_tables(result)
    return _document([lines, _warnings(result.warnings, color, width)], tables, color, width)


def _painted(text: str, style: Style, color: bool, width: int | None) -> list[str]:
    """Return raw `text` made safe, folded and painted; no line for no text."""
    return [
        paint(line, style, color) for line in wrapped(names.visible(text), width) if line.strip()
    ]


def _warnings(warnings: Sequence[str], color: bool, width: int | None) -> list[str]:
    lines: list[str] = []
    for warning in warnings:
        lines += _painted(f"warning: {warning}", "warn", color, width)
    return lines


def _document(
    head: Sequence[Sequence[str]], tables: Sequence[Table], color: bool, width: int | None
) -> str:
    blocks = [*head, *(text_table(table, color=color, width=width) for table in tables)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
