"""The verdict on a result in words: where the scores are not honest, and how sure that is.

It never says more than the data: a gap that chance explains is not called a fault, and a sample too
small to tell is called that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from calibcli.render.words import bins as regions
from calibcli.render.words import figures, names, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.render.words.bins import Region
    from calibcli.tasks.words import Words

Tone = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes:
        tone: of the answer.
        headline: one sentence that says it; `details` qualify it.
        phrase: the same in a few words.
        regions: where the scores are not honest, worst first.
        ends: the tone after calibration, where there is one.
    """

    tone: Tone
    headline: str
    details: tuple[str, ...] = ()
    phrase: str = "Cannot tell"
    regions: tuple[Region, ...] = ()
    ends: Tone | None = None


def verdict(result: MeasureResult, name: Callable[[object], str] = names.visible) -> Verdict:
    """Return the verdict on a measure result; `name` makes a name safe for the medium."""
    params = result.conventions
    task = words.task_of(result)
    answer = slice_verdict(result.overall, params, task)
    details = list(answer.details)
    ends: Tone | None = None
    after = result.overall.calibrated
    if after is not None:
        fixed = slice_verdict(after, params, task)
        ends = fixed.tone
        told = f"{fixed.headline[0].lower()}{fixed.headline[1:]}"
        details.append(f"After calibration, ECE {figures.with_interval(after.ece)}: {told}")
    if result.drift is not None:
        details.append(f"Against the reference {result.drift.verdict}.")
    for kind, slices in words.slices_by_kind(result).items():
        sentence = _slices_sentence(kind, slices, params, name, task)
        if sentence:
            details.append(sentence)
    return replace(answer, details=tuple(details), ends=ends)


def slice_verdict(part: SliceResult, params: Conventions, task: Words) -> Verdict:
    """Return the verdict on one slice from its bins."""
    bins, tolerance = part.bins, params.within
    close = f"within {figures.short(tolerance)}"
    if params.raw is not None and not bins:
        told = "Raw scores: they rank the rows, and are no probabilities until they are fitted."
        return Verdict("warn", told, phrase="Raw scores: no probabilities")
    if not any(b.count for b in bins):
        return Verdict("warn", "No rows: nothing can be said.", phrase="No rows")
    if all(b.gap is None for b in bins if b.count):
        told = "No labels: whether the scores are honest cannot be seen."
        return Verdict("warn", told, phrase="Cannot tell without labels")
    if not regions.has_intervals(bins):
        found = regions.any_regions(bins, tolerance)
        note = "Without intervals this does not tell a fault from chance."
        if not found:
            return Verdict("warn", f"Every bin's gap is {close}.", (note,), "Small gaps")
        phrase = "Gaps, by chance or not"
        return Verdict("warn", _sides(found, task), (note,), phrase, tuple(found))
    large = beyond_chance(part, params)
    if large:
        phrase = f"Not honest: {_pattern(large, task) or _look(large)}"
        return Verdict("bad", _sides(large, task), (), phrase, tuple(large))
    sure = regions.sure_regions(bins, confidence=params.level)
    if sure:
        worst = max(sure, key=lambda region: abs(region.gap))
        return Verdict(
            "good",
            f"Honest {close}: the gaps that chance does not explain are small, the largest "
            f"{figures.signed(worst.gap)} {region_words(worst, task)}.",
            phrase=f"Honest {close}",
        )
    return _no_sure_gap(part, params, tolerance, close)


def beyond_chance(part: SliceResult, params: Conventions, looks: int | None = None) -> list[Region]:
    """Return the regions whose gap is beyond both chance and the tolerance, worst first.

    `looks` is the number of runs of bins among which the level is shared; default: of this part's.
    """
    return regions.sure_regions(
        part.bins, confidence=params.level, beyond=params.within, looks=looks
    )


def _whole_doubted(part: SliceResult, params: Conventions) -> str:
    """Return what Spiegelhalter's test says against the scores as a whole, if anything."""
    p, z = part.value("spiegelhalter_p"), part.value("spiegelhalter_z") or 0.0
    if p is None or params.cluster or p >= 1 - params.level:
        return ""
    look = "too extreme" if z > 0 else "too timid"
    return (
        f"No run of bins stands out, but as a whole the scores look {look} "
        f"(Spiegelhalter p {figures.metric(p)})."
    )


def _no_sure_gap(part: SliceResult, params: Conventions, tolerance: float, close: str) -> Verdict:
    held = regions.filled(part.bins)
    rows = sum(b.count for b in held)
    pinned = sum(b.count for b in held if b.farthest <= tolerance)
    if pinned >= 0.9 * rows:
        return Verdict(
            "good",
            f"Honest {close}: no gap beyond chance, and the intervals are narrow.",
            phrase=f"Honest {close}",
        )
    doubt = _whole_doubted(part, params)
    if doubt:
        return Verdict("warn", doubt)
    half = sum(b.count * b.half for b in held) / rows
    return Verdict(
        "warn",
        f"No gap beyond chance, but {figures.count(rows)} rows pin a bin's gap down only to "
        f"\u00b1{half:.2g} on average.",
    )


def _sides(found: Sequence[Region], task: Words) -> str:
    over = [region for region in found if region.gap < 0][:2]
    under = [region for region in found if region.gap > 0][:2]
    said = []
    if over:
        said.append("over-confident " + " and ".join(region_words(r, task) for r in over))
    if under:
        said.append("under-confident " + " and ".join(region_words(r, task) for r in under))
    if under and found[0].gap > 0:
        said.reverse()
    text = "; ".join(said)
    more = len(found) - len(over) - len(under)
    text += f"; {more} more region{'s' if more > 1 else ''}" if more else ""
    pattern = _pattern([*over, *under], task)
    return f"S{pattern[1:]}: {text}." if pattern else f"{text[0].upper()}{text[1:]}."


def _look(found: Sequence[Region]) -> str:
    """Return on which side the scores err."""
    over, under = (any(sign * region.gap > 0 for region in found) for sign in (-1, 1))
    if over and under:
        return "too high and too low"
    return "over-confident" if over else "under-confident"


def _pattern(found: Sequence[Region], task: Words) -> str:
    """Return what regions have in common, such as `scores too extreme`; empty without that."""
    over = [region for region in found if region.gap < 0]
    under = [region for region in found if region.gap > 0]
    if not task.sided or not over or not under:
        return ""
    if max(r.high for r in under) <= min(r.low for r in over):
        return "scores too extreme"
    if max(r.high for r in over) <= min(r.low for r in under):
        return "scores too timid"
    return ""


def _slices_sentence(
    kind: str,
    slices: Sequence[SliceResult],
    params: Conventions,
    name: Callable[[object], str],
    task: Words,
) -> str:
    tolerance = params.within
    limit = figures.short(tolerance)
    calibrated = words.any_calibrated(slices)
    known = [part for part in slices if words.ece_of(part) is not None]
    if not known:
        return ""
    beyond = [part for part in known if (words.ece_of(part) or 0.0) > tolerance]
    what = (
        f"classes{', each against the rest' if task.rivals else ''}"
        if kind == "class"
        else f"values of {name(kind.removeprefix('group '))}"
    )
    still = "after calibration " if calibrated else ""
    if not beyond:
        return f"ECE {still}is at most {limit} in all {len(known)} {what}."
    looks = sum(regions.looks_at(part.last.bins) for part in known)
    judged = [part.last.bins for part in beyond if regions.has_intervals(part.last.bins)]
    sure = sum(
        bool(regions.sure_regions(bins, confidence=params.level, looks=looks)) for bins in judged
    )
    worst = words.worst_slice(known)
    assert worst is not None
    doubt = ""
    if judged and sure < len(beyond):
        doubt = f" ({sure} of them beyond chance)" if sure else " (none of them beyond chance)"
    return (
        f"ECE {still}exceeds {limit} in {len(beyond)} of {len(known)} {what}{doubt}; the worst is "
        f"{name(worst.where.title)} at {figures.with_interval(worst.last.ece)} "
        f"({figures.count(worst.rows)} rows)."
    )


def region_words(region: Region, task: Words) -> str:
    """Return a region as `0.6 to 1: mean score 0.8312, frequency 0.7020, 312 rows`."""
    return (
        f"from {figures.edge(region.low)} to {figures.edge(region.high)} "
        f"(mean {task.score} {figures.metric(region.score)}, "
        f"{task.frequency} {figures.metric(region.frequency)}, {figures.count(region.count)} rows)"
    )
