"""What a person asks first of a report: is it honest, after calibration too, for whom not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from calibcli.render.words import bins as regions
from calibcli.render.words import figures, names, verdicts, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.render.words.verdicts import Tone

_WORDS: Final = {"good": "Honest", "warn": "Not shown to be honest", "bad": "Not honest"}
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The first words of a report.

    Attributes:
        tone: of the scores as they will be used, after calibration where there is one.
        word: whether the scores are honest as they are.
        sentence: how they err, what calibration leaves, and for whom they are not honest yet.
    """

    tone: Tone
    word: str
    sentence: str


def answer(result: MeasureResult) -> Answer:
    """Return the first words on a measure result."""
    params, task, overall = result.conventions, words.task_of(result), result.overall
    tone = verdicts.slice_verdict(overall, params, task).tone
    after = overall.calibrated
    if not overall.bins and params.raw is not None:
        return _ranked(result, after)
    error, ends = _error(overall, params), tone
    parts = [f"{error}, ECE {_ece(overall)}" if error else f"ECE {_ece(overall)}"]
    if after is not None:
        parts[0] = f"as they are, the scores are {error or 'not shown to err'}"
        ends = verdicts.slice_verdict(after, params, task).tone
        parts.append(f"{_after(after, ends, params)}, ECE {_ece(after)}")
    parts += _slices(result)
    sentence = "; ".join(part for part in parts if part)
    return Answer(ends, _WORDS[tone], words.sentence(sentence))


def _ranked(result: MeasureResult, after: SliceResult | None) -> Answer:
    """Return what raw scores are: an order, and probabilities once they are fitted."""
    params, task = result.conventions, words.task_of(result)
    auc = figures.with_interval(result.overall.metrics.get("auc"))
    told = f"They rank the rows, AUC {auc}"
    if after is None:
        sentence = f"{told}, and are no probabilities until they are fitted."
        return Answer("warn", "Raw scores", sentence)
    ends = verdicts.slice_verdict(after, params, task).tone
    parts = [told, f"{_after(after, ends, params)}, ECE {_ece(after)}", *_slices(result)]
    return Answer(ends, "Raw scores", f"{'; '.join(part for part in parts if part)}.")


def _ece(part: SliceResult) -> str:
    return figures.with_interval(part.ece)


def _error(part: SliceResult, params: Conventions) -> str:
    """Return on which sides the scores err; empty where no gap is beyond chance."""
    sides = [
        "{} from {} to {}".format(look, *map(figures.edge, _around(found)))
        for look, found in _by_side(verdicts.beyond_chance(part, params))
        if found
    ]
    return " and ".join(sides)


def _around(found: Sequence[regions.Region]) -> tuple[float, float]:
    """Return the ends of the worst region and of those that it lies next to, on one side."""
    low, high = found[0].low, found[0].high
    for one in sorted(found, key=lambda region: region.low):
        high = one.high if one.low == high else high
    for one in sorted(found, key=lambda region: -region.high):
        low = one.low if one.high == low else low
    return low, high


def _by_side(found: Sequence[regions.Region]) -> Iterator[tuple[str, list[regions.Region]]]:
    yield "too low", [one for one in found if one.gap > 0]
    yield "too high", [one for one in found if one.gap < 0]


def _after(part: SliceResult, tone: Tone, params: Conventions) -> str:
    if tone == "good":
        return "after calibration honest"
    left = _error(part, params)
    return f"after calibration {left}" if left else "after calibration no gap beyond chance"


def _slices(result: MeasureResult) -> Iterator[str]:
    """Yield for which classes and groups the scores, as they will be used, are not honest.

    The level of a claim is shared among all the runs of bins of all the slices of one kind.
    """
    params = result.conventions
    for kind, slices in words.slices_by_kind(result).items():
        looks = sum(regions.looks_at(part.last.bins) for part in slices)
        column = kind.removeprefix("group ")
        of_class = kind == "class"
        of_column = "" if of_class else f" ({names.visible(column)})"
        known = [
            (value, part.where.title, part.last)
            for part in slices
            if (value := words.ece_of(part)) is not None
        ]
        known.sort(key=lambda one: -one[0])
        wrong = [name for _, name, used in known if verdicts.beyond_chance(used, params, looks)]
        above = [(name, used) for value, name, used in known if value > params.within]
        if wrong:
            told = ", ".join(names.cut(names.visible(name), 30) for name in wrong[:_NAMED])
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            classes = ("class " if len(wrong) == 1 else "classes ") if of_class else ""
            yield f"not honest for {classes}{told}{more}{of_column}"
        elif above:
            name, used = above[0]
            yield (
                f"not shown yet for {'class ' if of_class else ''}"
                f"{names.cut(names.visible(name), 30)}{of_column}, ECE {_ece(used)}"
            )
