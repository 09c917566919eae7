"""The numbers of a fit and of a choice as the stream that gates read (see `stream`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.stream import Numbered, of_confusion, of_decision, of_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.envelope import Envelope
    from calibcli.core.results.figures import Interval
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.threshold import CutOff, ThresholdResult

_AGAIN = ("precision", "recall", "f1", "specificity", "fpr", "iou", "mean_dice")
_OF_CUT = ("pooled_dice", "pooled_iou", "mean_dice")


def of_fit(result: FitResult) -> Iterator[Numbered]:
    """Yield the figures before a fit, and as calibrated those after it, held out if they can be."""
    parts = [(OVERALL, result.before, result.after)]
    parts += [(one.slice, one.before, one.after) for one in result.classes]
    for where, before, after in parts:
        yield from _all("before", where, before.metrics)
        yield from _all("calibrated", where, after.metrics)
    for group in result.groups:
        for stage, side in (("before", group.before), ("calibrated", group.after)):
            if side is not None:
                yield from _all(stage, group.slice, side.metrics)


def of_threshold(result: ThresholdResult) -> Iterator[Numbered]:
    """Yield what is chosen: cut-offs, their counts and rates, the decisions of all of them.

    Figures on the rows of the choice have their plain names; those on rows that the choice has not
    seen are of the stage "cross-fitted".
    """
    for cut in result.thresholds:
        yield from _of_cut(cut, result.objective)
    if result.common is not None:
        yield Numbered("before", OVERALL, "metrics", "", "threshold", result.common.threshold)
        yield Numbered("before", OVERALL, "metrics", "", "value", result.common.value)
        if result.common.cross_fitted is not None:
            yield _named("cross-fitted", OVERALL, "value", result.common.cross_fitted.value)
    if result.decision is not None:
        yield from of_decision(OVERALL, result.decision)
        if result.decision.cross_fitted is not None:
            yield from _all("cross-fitted", OVERALL, result.decision.cross_fitted.metrics)
    for group in result.groups or ():
        yield from of_confusion("before", group.slice, group.confusion)
    yield from _of_others(result)


def of_apply(result: ApplyResult) -> Iterator[Numbered]:
    """Yield what needs no label: rows, mean probabilities, shares of decisions."""
    yield Numbered("before", OVERALL, "metrics", "", "n", result.of or result.rows)
    shares = result.decided
    if shares is None:
        return
    yield from _all("calibrated", OVERALL, shares.calibrated)
    yield from _all("decision", OVERALL, shares.metrics)
    for one in shares.classes:
        where = Where("class", name=one.name)
        yield from _all("calibrated", where, one.calibrated)
        yield from _all("decision", where, one.metrics)


def of_result(result: Envelope) -> Iterator[Numbered]:
    """Yield the numbers of a result of a command that gates may stand beside, but `measure`."""
    yield from _STREAMS[result.schema](result)


def _of_others(result: ThresholdResult) -> Iterator[Numbered]:
    """Yield what rows that are kept, sets of classes or the cheapest class reach."""
    kept, sets, cost = result.abstain, result.sets, result.cost_matrix
    if kept is not None:
        yield Numbered("before", OVERALL, "metrics", "", "threshold", kept.threshold)
        yield Numbered("before", OVERALL, "metrics", "", "coverage", kept.coverage)
        yield _named("before", OVERALL, "accuracy", kept.accuracy)
    if sets is not None:
        for part in sets.slices:
            yield _named("before", part.slice, "coverage", part.coverage)
        if sets.size is not None:
            yield Numbered("before", OVERALL, "metrics", "", "set_size", sets.size.mean)
    if cost is not None and cost.expected is not None:
        yield _named("before", OVERALL, "expected", cost.expected)


def _of_cut(cut: CutOff, objective: str | None) -> Iterator[Numbered]:
    where = cut.slice
    missing = cut.reason or ""
    yield Numbered("before", where, "metrics", "", "threshold", cut.threshold, reason=missing)
    yield Numbered("before", where, "metrics", "", "n", cut.n)
    if cut.reached is not None:
        yield _named("before", where, "value", cut.reached)
        if objective is not None and objective not in _AGAIN:
            yield _named("before", where, objective, cut.reached)
    for name in _OF_CUT:
        figure = getattr(cut, name)
        if figure is not None:
            yield _named("before", where, name, figure)
    if cut.confusion is not None:
        yield from of_confusion("before", where, cut.confusion)
    if cut.cost is not None:
        yield Numbered("before", where, "metrics", "", "expected", cut.cost.expected)
    again = cut.cross_fitted
    if again is None:
        return
    for name in ("value", *_AGAIN):
        figure = getattr(again, name)
        if figure is not None:
            yield _named("cross-fitted", where, name, figure)


def _all(stage: str, where: Where, metrics: Mapping[str, Interval]) -> Iterator[Numbered]:
    for name, figure in metrics.items():
        yield _named(stage, where, name, figure)


def _named(stage: str, where: Where, name: str, figure: Interval) -> Numbered:
    return of_figure(stage, where, "metrics", "", name, figure)


_STREAMS: Final[Mapping[str, Callable[[Any], Iterator[Numbered]]]] = {
    "calibcli/fit": of_fit,
    "calibcli/threshold": of_threshold,
    "calibcli/apply": of_apply,
}
