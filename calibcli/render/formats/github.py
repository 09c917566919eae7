"""Annotations of a GitHub Actions step: workflow commands, one a line, that a name cannot forge.

A failed gate is an error, a warning a warning, the headline a notice. GitHub shows ten of a kind
for a step, so what is beyond is counted in the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from calibcli.core.results.threshold import ThresholdResult
from calibcli.render.formats import markdown
from calibcli.render.formats.junit import failure_words
from calibcli.render.tables import documents, promotion
from calibcli.render.words import names, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.render.tables.documents import Gated, Other

_MOST: Final = 10
MOST_SUMMARY: Final = 1_000_000
"""Bytes of a job summary; GitHub drops one of more than a mebibyte."""


def render_measure(result: MeasureResult) -> str:
    """Return the annotations of a measure result."""
    return _gated(
        result, f"{documents.measure_summary(result)}. {verdicts.verdict(result).headline}"
    )


def render_promotion(result: PromotionResult) -> str:
    """Return the annotations of a promotion: the decision, and each gate and check that failed."""
    failed = [failure_words(gate) for gate in result.gates if not gate.passed]
    failed += [one.reason or one.name for one in result.checks if not one.passed]
    return _commands(result, promotion.headline(result), failed)


def render_document(result: Other) -> str:
    """Return the annotations of a result of any other command."""
    return _gated(result, documents.document(result).headline)


render_apply = render_fit = render_threshold = render_document


def render_error(command: str, message: str, *, no: bool) -> str:
    """Return the annotation of a run that has no result."""
    word = "no" if no else "error"
    return _command("error", "calibcli", f"{command}: {word}: {message}") + "\n"


def _gated(result: Gated, told: str) -> str:
    """Return the annotations of a result that gates may stand beside."""
    gates = result.gates
    if not gates:
        return _commands(result, told, [])
    failed = [failure_words(gate) for gate in gates if not gate.passed]
    counts = f" Gates: {len(gates) - len(failed)} passed, {len(failed)} failed."
    return _commands(result, f"{told.removesuffix('.')}.{counts}", failed)


def summary(kind: str, result: Gated) -> str:
    """Return the job summary: the Markdown of a result, or its head where that is too long."""
    text = str(getattr(markdown, f"render_{kind}")(result))
    if len(text.encode()) <= MOST_SUMMARY:
        return text
    slim: dict[str, Any] = {"groups": (), "classes": ()}
    if isinstance(result, ThresholdResult):
        slim = {"groups": (), "thresholds": result.thresholds[:1]}
    note = "Classes and groups are left out: the summary would be too long for GitHub."
    return f"{getattr(markdown, f'render_{kind}')(structs.replace(result, **slim))}\n{note}\n"


def _commands(result: Gated, told: str, failed: Sequence[str]) -> str:
    title = "calibcli"
    tags = result.conventions.tags
    if tags:
        title += " " + " ".join(f"{key}={value}" for key, value in tags.items())
    lines = [_command("notice", title, told)]
    for kind, texts in (("error", failed), ("warning", result.warnings)):
        more = len(texts) - _MOST
        shown = list(texts[:_MOST])
        if more > 0:
            shown[-1] = f"{shown[-1]} (and {more} more)"
        lines += [_command(kind, title, text) for text in shown]
    return "".join(f"{line}\n" for line in lines)


def _command(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """Escape as actions/toolkit does; `visible` has spelt out the line ends before."""
    return names.visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
