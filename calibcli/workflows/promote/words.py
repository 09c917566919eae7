"""What is said of a champion and of the calibrators that challenge it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.promotion import Comparison
from calibcli.core.results.warning import Warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.comparison.promotion import Rule
    from calibcli.core.results.comparisons import Overlap
    from calibcli.core.results.envelope import Input
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.promote.challenge import Contest
    from calibcli.workflows.promote.duel import Met
    from calibcli.workflows.threshold.wish import Wish


def comparison_of(met: Contest, options: FitOptions, rule: Rule) -> Comparison:
    """Return what a result says of the challenger that was taken, and of the others."""
    best = met.best
    return Comparison(
        score=options.select,
        champion=best.loss - best.difference,
        challenger=best.loss,
        difference=best.difference,
        low=best.low,
        high=best.high,
        confidence=rule.confidence,
        clustered=met.clustered,
        steps=met.steps,
    )


def same_rows(
    shared: Overlap | None, champion: LoadedCalibrator | None, now: Sequence[Input]
) -> list[Warning]:
    """Warn of rows that the champion was fitted on: it is then judged on its own rows."""
    if champion is None:
        return []
    share = None
    if shared is not None and shared.value:
        share = f"{100 * shared.value:.3g} % of these rows"
    before = {one.digest for one in champion.stored.inputs}
    if before & ({one.digest for one in now} - {None}):
        share = "this very dump"
    if share is None:
        return []
    return [Warning("champion-rows", f"the champion was fitted on {share}: that favours it")]


_WORDS = {"nll": "log loss", "brier": "Brier score"}


def _difference(met: Contest, options: FitOptions) -> str:
    best = met.best
    interval = f"[{best.low:+.2g}, {best.high:+.2g}]"
    return f"{_WORDS[options.select]} {best.difference:+.2g} {interval}"


def better(met: Contest, options: FitOptions, champion: LoadedCalibrator | None) -> str:
    """Return why a challenger takes the champion's place."""
    if champion is None:
        against = "the share of label 1" if options.raw else "none"
        return f"the first calibrator here, against {against}: {_difference(met, options)}"
    return f"the challenger is better: {_difference(met, options)}"


def not_better(met: Contest, options: FitOptions, champion: LoadedCalibrator | None) -> str:
    """Return why the champion stays."""
    if champion is None and options.raw:
        return f"the share of label 1 alone is better: {_difference(met, options)}"
    if champion is None:
        return f"the scores are better without a calibrator: {_difference(met, options)}"
    if met.best.low > 0.0:
        return f"the champion is better: {_difference(met, options)}"
    return f"the challenger is not better for sure: {_difference(met, options)}"


def difference_words(met: Met, wish: Wish) -> str:
    """Return the difference of the objective with its interval."""
    if met.compared is None:
        return f"{wish.objective.name} is undefined"
    gap = met.compared.difference
    return f"{wish.objective.name} {gap.value:+.2g} [{gap.low:+.2g}, {gap.high:+.2g}]"


def cuts_compared(met: Met, wish: Wish, confidence: float) -> Comparison:
    """Return what is compared of the cut-offs in use and of the new ones."""
    pair = met.compared
    gap = None if pair is None else pair.difference
    return Comparison(
        score=wish.objective.name,
        champion=None if pair is None else pair.old,
        challenger=None if pair is None else pair.new,
        difference=None if gap is None else gap.value,
        low=None if gap is None else gap.low,
        high=None if gap is None else gap.high,
        confidence=confidence,
        clustered=met.clustered,
        steps=(),
        larger_is_better=met.larger_is_better,
        constraints=tuple(one.result for one in met.constraints),
    )
