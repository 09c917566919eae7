"""The words of a result: its conventions, the names of its slices, what a figure is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.words import figures, names
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Bin, BinnedEce, Figure
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.tasks.words import Words

LOSSES: Final = {"nll": "log loss", "brier": "Brier score", "cost": "cost"}
"""What is compared between maps, by its name in results."""


def made_by(result: MeasureResult) -> str:
    """Return whose scores were measured, where their files say it; empty where they do not.

    Digests are shown by their first twelve digits.
    """
    scores = tuple(result.conventions.score)
    told = []
    for one in result.inputs:
        made = one.applied
        if made is None:
            continue
        if made.made(scores):
            said = f"calibrated by {short_digest(made.calibrator)}"
            told.append(
                f"{said}, decided by {short_digest(made.thresholds)}" if made.thresholds else said
            )
        elif made.calibrator is not None:
            told.append(f"scores before the calibrator {short_digest(made.calibrator)}")
        elif made.thresholds is not None:
            told.append(f"decided by {short_digest(made.thresholds)}")
    return "; ".join(dict.fromkeys(told))


def short_digest(digest: str | None) -> str:
    """Return the first twelve digits of a digest."""
    return "" if digest is None else digest.removeprefix("sha256:")[:12]


def bins_words(conventions: Conventions, bins: Sequence[Bin] = ()) -> str:
    """Return the binning in words, for example `15 equal-width bins, (lo, hi]`."""
    ends = "[lo, hi)" if conventions.closed == "left" else "(lo, hi]"
    number = conventions.headline_bins or len(bins)
    if conventions.edges:
        return f"{len(conventions.edges) - 1} bins with given edges, {ends}"
    if conventions.binning == "mass":
        used = f", {len(bins)} used" if bins and number and len(bins) != number else ""
        return f"{number} equal-mass bins{used}, {ends}"
    return f"{number} equal-width bins, {ends}"


def binning_words(row: BinnedEce) -> str:
    """Return one row of `ece_by_bins` in words, for example `15 equal-mass bins (14 used)`."""
    kinds = {"width": "equal-width ", "mass": "equal-mass "}
    text = f"{row.bins} {kinds.get(row.binning, '')}bins"
    if row.binning == "edges":
        text += " with given edges"
    return text if row.used == row.bins else f"{text} ({row.used} used)"


def other_binning(result: MeasureResult) -> str:
    """Return ECE under the one other binning of a result; with several there is a table."""
    rows, after = result.overall.ece_by_bins, result.overall.calibrated
    if len(rows) != 2:
        return ""
    text = f"with {binning_words(rows[1])}: ECE {figures.with_interval(rows[1].ece)}"
    if after is None or len(after.ece_by_bins) != 2:
        return text
    return f"{text} to {figures.with_interval(after.ece_by_bins[1].ece)}"


def sentence(text: str) -> str:
    """Return a text as a sentence: a capital first, a full stop last; nothing of nothing."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def odds(conventions: Conventions) -> str:
    """Return in how many cases an interval misses once, for example 20."""
    return figures.short(1 / max(1 - conventions.level, 1e-9))


def conventions(result: MeasureResult) -> str:
    """Return the conventions behind the headline numbers, in one line."""
    how, overall = result.conventions, result.overall
    has_any = any(figure.low is not None for figure in overall.metrics.values())
    first = bins_words(how, overall.bins)
    if how.raw is not None and not overall.bins:
        after = overall.last.bins
        first = f"{'low' if how.raw.descending else 'high'} scores mean label 1"
        first += f"; {bins_words(how, after)}" if after else ""
    parts = [f"{how.level * 100:.6g}% intervals" if has_any else "no intervals"]
    if how.cluster:
        parts.append(f"clusters by {names.visible(how.cluster)}")
    return f"{first}; {', '.join(parts)}"


def settings(how: Conventions) -> str:
    """Return which options came from a project file, in one line; empty without any."""
    given = how.config_options
    parts = [name if value is True else f"{name} {_listed(value)}" for name, value in given.items()]
    return names.visible(f"from {how.config}: {', '.join(parts)}") if parts else ""


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def cut_sign(how: Conventions) -> str:
    """Return which side of a cut-off is positive: `>=`, or `<=` where low scores mean label 1."""
    return "<=" if how.falling else ">="


def task_of(result: MeasureResult) -> Words:
    """Return the words of what a row is: of the task, or of that of a pixel."""
    told = result.segmentation
    return words_of(told.pixel if told is not None else result.task)


def change_words(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> str:
    """Return `ECE 0.0410 [0.0360, 0.0470] to 0.0080 [0.0050, 0.0120]`."""
    auc, ece = before.get("auc"), before.get("ece")
    first, second = figures.with_interval(ece), figures.with_interval(after.get("ece"))
    if auc is not None and auc.value is not None and ece is not None and ece.value is None:
        return f"raw scores to ECE {second}"
    return f"ECE {first} to {second}"


def after_words(kind: str | None) -> str:
    """Return what an "after" figure is worth, given how it was made."""
    if kind == "in-sample":
        return (
            "After is in-sample: measured on the rows that were fitted, so it flatters. "
            "Measure on other rows."
        )
    if kind == "cross-fitted":
        return "After is cross-fitted: each row is judged by a fit that did not see it."
    return ""


def slices_by_kind(result: MeasureResult) -> dict[str, list[SliceResult]]:
    """Return the class slices under "class" and the group slices under their column's name."""
    kinds: dict[str, list[SliceResult]] = {}
    for part in (*result.classes, *result.groups):
        column = part.where.column
        kinds.setdefault("class" if column is None else f"group {column}", []).append(part)
    return kinds


def ece_of(part: SliceResult) -> float | None:
    """Return a slice's ECE, after calibration where there is one."""
    ece = part.last.ece
    return None if ece is None else ece.value


def any_calibrated(parts: Iterable[SliceResult]) -> bool:
    """Return whether any slice has figures after calibration."""
    return any(part.calibrated is not None for part in parts)


def worst_slice(slices: Iterable[SliceResult]) -> SliceResult | None:
    """Return the slice with the highest ECE, the first of equals; None if none has one."""
    known = [part for part in slices if ece_of(part) is not None]
    return max(known, key=lambda part: ece_of(part) or 0.0, default=None)
