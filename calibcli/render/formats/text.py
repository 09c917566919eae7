"""Results as text for a terminal and for a pipe: one look gives the answer, the tables follow.

Both get the same characters; a terminal adds colour, folds sentences to its width, and shows only
the worst of very many classes. A pipe gets every row and every column, nothing cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.core.results.base import plain
from calibcli.render.tables import documents
from calibcli.render.tables.layout import paint, text_table, wrapped
from calibcli.render.words import names, verdicts, words
from calibcli.render.words.short import evidence_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.render.tables.documents import Told
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


def render_document(result: Told, *, color: bool = False, width: int | None = None) -> str:
    """Return a result of a command that chooses or compares as text."""
    told = documents.document(result)
    head = _painted(told.headline, "bold", color, width)
    for fact in told.facts:
        head += _painted(fact, "", color, width)
    head += _painted(documents.inputs_line(result.inputs), "dim", color, width)
    return _document([head, _warnings(result.warnings, color, width)], told.tables(), color, width)


render_fit = render_promotion = render_replay = render_threshold = render_document


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
    tables = documents.document(result).tables()
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
