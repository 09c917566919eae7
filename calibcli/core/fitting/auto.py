"""Choosing a calibrator by cross-fitting: the simplest within one standard error of the best.

Each candidate is fitted on all folds but one and scored on that one, so no row is judged by a
map that has seen it. The rule is Breiman, Friedman, Olshen and Stone's (1984, section 3.4.3),
with the standard error of the *paired* difference to the best candidate, see `HeldOut`. The
identity is the simplest candidate, so anything else has to beat it by more than the noise of its
own comparison.

Below 1,000 rows a candidate is fitted with a prior: rows that are as the scores say. And it has to
win by 1.5 standard errors, so that honest scores are left in at most one draw in ten and a map that
chance alone has made does little harm. A fit that ends at a bound is no candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from calibcli.core.calibrators import Identity
from calibcli.core.calibrators.evidence import FREE_FORM_ROWS
from calibcli.core.calibrators.types import Calibrator
from calibcli.core.fitting.choice import one_standard_error
from calibcli.core.results.fit import Candidate
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.fitting.held_out import HeldOut, Score

    Maps = dict[str, tuple[Calibrator, ...]]
    """The maps of each candidate, one a fold."""

Clock = Callable[[], float]

REPEATS = 5
"""Below 1,000 rows the luck of one split is averaged out over this many."""
PRIOR = 16.0
"""Rows of `with_prior` below 1,000 rows, for each parameter and one more. With m of them the log
loss of honest scores rises by (n / (n + m))^2 chi2_d / (2 n) under a map of d parameters: at any n
by less than 0.05 in the worst of 300 draws."""
FEW_FACTOR = 1.5
"""Standard errors that count as one below 1,000 rows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of `auto`.

    Attributes:
        method: that was chosen.
        calibrator: it, fitted on all rows.
        candidates: the table, simplest first.
        folds: the map at index f has not seen fold f; of the identity itself, once a fold.
        notes: warnings about the comparison itself.
    """

    method: str
    calibrator: Calibrator
    candidates: tuple[Candidate, ...]
    folds: tuple[Calibrator, ...]
    notes: tuple[str, ...] = ()


class Problem(Protocol):
    """What a calibrator is chosen for: binary pairs, or rows of several classes."""

    effective: float
    folds: int

    def too_few(self) -> str | None:
        """Return why methods cannot be compared, or None."""

    def unfit(self, name: str) -> str | None:
        """Return why a method is no candidate whatever it loses, or None."""

    def rank(self, name: str) -> int:
        """Return the place of a method from simple to free."""

    def parameters(self, name: str) -> int:
        """Return how many numbers a method fits."""

    def fit(self, name: str, prior: float = 0.0) -> Calibrator:
        """Return a method fitted on all rows."""

    def fit_folds(
        self, name: str, whole: Calibrator, prior: float = 0.0, *, again: int = 0
    ) -> tuple[Calibrator, ...]:
        """Return a method fitted outside each fold of a deal."""

    def held_out(self, size: int, repeats: int) -> HeldOut:
        """Return an accumulator of losses for so many candidates."""

    def score(
        self, into: HeldOut, maps: Sequence[Sequence[Calibrator]], select: Score, *, again: int = 0
    ) -> None:
        """Add every row's losses under the maps of its fold: [candidate][fold], the base first."""


def auto(
    problem: Problem,
    *,
    select: Score = "nll",
    methods: Sequence[str],
    clock: Clock | None = None,
    base: str = Identity.method,
) -> Selection:
    """Choose a calibrator by cross-fitted log loss (clipped at 1e-15) or Brier score.

    Args:
        problem: pairs of both labels, or rows of at least two classes.
        select: the proper score.
        methods: candidates by name.
        clock: seconds, to time the fits with.
        base: the simplest candidate, which is always one, and taken where rows are too few to
            compare. Without the identity scores are no probabilities, and no prior is as they say.

    Raises:
        InputError: when only one class is present.
    """
    names = sorted(dict.fromkeys((base, *methods)), key=problem.rank)
    reasons = {name: why for name in names if (why := problem.unfit(name))}
    notes: tuple[str, ...] = ()
    scarce = problem.too_few()
    if scarce is not None:
        kept = "the scores are kept" if base == Identity.method else f"{base} is taken"
        notes = (f"{scarce}: too few to compare methods, {kept}",)
        reasons |= dict.fromkeys(names[1:], "no candidate: too few rows")
    few = problem.effective < FREE_FORM_ROWS
    believed = few and base == Identity.method
    running = [name for name in names if name not in reasons]
    repeats = REPEATS if few and len(running) > 1 else 1
    held = problem.held_out(len(running), repeats)
    whole: dict[str, Calibrator] = {}
    first: Maps = {}
    seconds = dict.fromkeys(running, 0.0)
    for again in range(repeats):
        maps: Maps = {}
        for name in running:
            if name in reasons:
                continue
            began = clock() if clock else 0.0
            prior = prior_rows(problem, name) if believed else 0.0
            try:
                if again == 0:
                    whole[name] = problem.fit(name, prior)
                maps[name] = problem.fit_folds(name, whole[name], prior, again=again)
                stuck = [one for one in (whole[name], *maps[name]) if one.at_bound]
                if stuck:
                    reasons[name] = f"no candidate: {stuck[0].notes[0]}"
            except InputError as error:
                if name == base:
                    return _uncompared(problem, names, base, notes)
                reasons[name] = f"no candidate: a fold could not be fitted ({error.message})"
            seconds[name] += (clock() - began) if clock else 0.0
        same = maps[base]
        problem.score(held, [maps.get(name, same) for name in running], select, again=again)
        first = first or maps
    valid = [name for name in running if name not in reasons]
    keep = [running.index(name) for name in valid]
    choice = one_standard_error(
        valid,
        held.losses[keep],
        held.errors[np.ix_(keep, keep)],
        [problem.rank(name) for name in valid],
        factor=FEW_FACTOR if few else 1.0,
    )
    calibrator = whole[choice.chosen]
    table = []
    for name in names:
        score, difference, se = choice.table.get(name, (None, None, None))
        taken = name == choice.chosen
        said = list(calibrator.notes)
        if believed and name != Identity.method:
            said = [_prior_note(problem, name)]
        note = reasons.get(name, "; ".join(said) if taken else "")
        spent = seconds[name] if clock and name in seconds else None
        table.append(Candidate(name, score, difference, se, spent, taken, note))
    return Selection(choice.chosen, calibrator, tuple(table), first[choice.chosen], notes)


def _uncompared(
    problem: Problem, names: Sequence[str], base: str, notes: tuple[str, ...]
) -> Selection:
    """Return the base as fitted on all rows, where some fold leaves rows of one label alone.

    Raises:
        InputError: all rows are of one label.
    """
    said = notes or (f"a fold leaves rows of one label alone: {base} is taken",)
    why = "no candidate: nothing to compare with"
    table = tuple(
        Candidate(name, None, None, None, None, name == base, "" if name == base else why)
        for name in names
    )
    return Selection(base, problem.fit(base), table, (), said)


def prior_rows(problem: Problem, name: str) -> float:
    """Return the rows of `with_prior` with which `auto` fits a method to few rows."""
    return PRIOR * (1.0 + problem.parameters(name))


def _prior_note(problem: Problem, name: str) -> str:
    return f"fitted with a prior: {prior_rows(problem, name):.0f} rows that are as the scores say"
