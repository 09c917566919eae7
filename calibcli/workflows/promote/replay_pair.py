"""`fit --replay COL --thresholds FILE`: calibrator and cut-offs night by night, and what they cost.

Each policy has a pair in a folder that goes with the run, and does each night what the commands do
that it stands for: `fit` and `threshold`, or `fit --promote-over CAL --thresholds THR`. The rows of
a night are those that were counted, in a dealt order; rows of one bucket of clusters are one unit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.fitting.held_out import apply_to_cells
from calibcli.core.results.parts.replay import Acted, Replayed
from calibcli.core.statistics.keys import key_logits, key_probabilities
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.failures import show
from calibcli.io.output.sink import write_atomic
from calibcli.io.rows.recipe import InputSpec
from calibcli.workflows.fit.fit import fit
from calibcli.workflows.input.loaded.loading import load_calibrator, load_thresholds
from calibcli.workflows.promote.cuts import champion_of, same_kind, wish_of
from calibcli.workflows.promote.outcome import Attempt
from calibcli.workflows.promote.pair import promote_pair
from calibcli.workflows.promote.ways import Ledger, Way
from calibcli.workflows.threshold.threshold import threshold

if TYPE_CHECKING:
    from calibcli.core.comparison.promotion import Rule
    from calibcli.core.decisions.costs import Costs
    from calibcli.core.fitting.held_out import Losses
    from calibcli.core.results.parts.replay import PolicyName
    from calibcli.core.results.promotion import Outcome
    from calibcli.core.results.warning import Warning
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.threshold.wish import Wish

POLICIES = ("never", "always", "promote")


def wished(thresholds: str, found: Gathered) -> tuple[Wish, Costs]:
    """Return what cut-offs were chosen for, and what errors cost.

    Raises:
        InputError: there are none, or of other scores.
        UsageError: they were not chosen by what errors cost, or differ by group; images, weights.
    """
    chosen = champion_of(thresholds)
    if chosen is None:
        raise InputError(
            f"{show(thresholds)} does not exist: there is nothing that says what to choose for",
            "choose first: calibcli threshold SCORES --cost fp=1,fn=4 -o FILE",
        )
    if found.medium != "rows" or found.overall.population.pairs.weighted:
        raise UsageError(
            "--replay with --thresholds is of rows of a table that count once",
            "leave out --thresholds: what the calibrators alone would have cost",
        )
    same_kind(chosen, found)
    wish = wish_of(chosen)
    if wish.costs is None or wish.per_group is not None:
        raise UsageError(
            f"{show(thresholds)} does not say what errors cost, for all rows alike: policies are "
            "compared by what each row has cost, and other objectives are not sums over rows",
            "calibcli threshold SCORES --cost fp=1,fn=4 -o FILE",
        )
    return wish, wish.costs


class PairCourse:
    """The policies on their way through the periods, each with a calibrator and a cut-off.

    Args:
        found: all rows.
        conventions: how they are read.
        options: what is fitted each time.
        rule: what `promote` asks of a challenger.
        wished: what cut-offs are chosen for, and what errors cost.
        folder: for the pairs and the nights.
        threads: how many threads read.
    """

    def __init__(
        self,
        found: Gathered,
        conventions: Conventions,
        options: FitOptions,
        rule: Rule,
        wished: tuple[Wish, Costs],
        folder: Path,
        threads: int | None,
    ) -> None:
        self.logits, self.conventions, self.options = found.logits, conventions, options
        self.rule, self.folder, self.threads = rule, folder, threads
        self.wish, self.costs = wished
        self.ways = [Way(at, cast("PolicyName", name)) for at, name in enumerate(POLICIES)]
        self.cuts = [1.0] * len(self.ways)
        self.ledger = Ledger(self.ways, rule.confidence)
        self.warnings: list[Warning] = []

    def night(self, place: int, period: Slice) -> Replayed:
        """Judge the pairs in place on a period, then let the policies act on it."""
        stats, value = period.population.pairs, period.value
        losses: list[float | None] = [None] * len(self.ways)
        if place:
            told = [self._losses(one, stats) for one in self.ways]
            losses = self.ledger.judge(stats, value, told)
        rows = self._written(stats, place)
        acted, why = [], None
        for one, loss in zip(self.ways, losses, strict=True):
            done, code, reason = self._act(one, rows, first=not place)
            if reason is not None and not place:
                raise InputError(
                    f"nothing can be chosen on the first period, {value}: {reason}",
                    "cut time coarser, or begin later",
                )
            why = why or reason
            one.replaced += done and place > 0
            acted.append(Acted(one.name, None, loss, done, code))
        return Replayed(value, stats.n, place > 0, tuple(acted), why)

    def _losses(self, one: Way, stats: ScoreStats) -> Losses:
        """Return what a row of each cell costs, by its label."""
        p = apply_to_cells(one.calibrator, stats)
        alert, cost = p >= self.cuts[one.place], self.costs
        return np.where(alert, cost.tp, cost.fn), np.where(alert, cost.fp, cost.tn)

    def _act(
        self, one: Way, rows: InputSpec, *, first: bool
    ) -> tuple[bool, Outcome | None, str | None]:
        """Do what a policy does on a night; return whether, the code, and why nothing was done."""
        if not first and one.name == "never":
            return False, None, None
        try:
            if one.name == "promote" and not first:
                attempt = Attempt(self._at(one, "cal"), self.rule)
                found = promote_pair(
                    rows, self.conventions, self.options, attempt, self._at(one, "cuts"),
                    threads=self.threads,
                )  # fmt: skip
                self._take(one)
                return found.decision == "promoted", found.code, None
            self._choose(one, rows)
        except (InputError, AnswerNoError) as error:
            code: Outcome | None = "input" if one.name == "promote" and not first else None
            return False, code, None if code else error.message
        self._take(one)
        return True, None, None

    def _choose(self, one: Way, rows: InputSpec) -> None:
        """Fit, and choose the cut-off after that; neither counts where one cannot be made."""
        fresh = self._at(one, "fresh")
        plain = replace(self.conventions, confidence=None)
        fit(rows, plain, self.options, output=fresh, threads=self.threads)
        threshold(
            rows, plain, self.wish, output=self._at(one, "cuts"), calibrator=fresh,
            threads=self.threads,
        )  # fmt: skip
        Path(fresh).replace(self._at(one, "cal"))

    def _take(self, one: Way) -> None:
        """Read the pair that is in place now."""
        one.calibrator = load_calibrator(self._at(one, "cal")).calibrator
        self.cuts[one.place] = float(load_thresholds(self._at(one, "cuts")).values[0])

    def _at(self, one: Way, what: str) -> str:
        folder = self.folder / one.name
        folder.mkdir(exist_ok=True)
        return str(folder / f"{what}.json")

    def _written(self, stats: ScoreStats, place: int) -> InputSpec:
        """Write the rows of a night; return how they are read."""
        table = stats.table if stats.parts is None else stats.parts
        score = key_logits(table.key) if table.logits else key_probabilities(table.key)
        if stats.parts is None and not table.logits:
            score = stats.score
        if self.logits and not table.logits:
            score = np.log(score) - np.log1p(-score)
        each = np.concatenate([np.repeat(np.arange(len(score)), n) for n in (table.pos, table.neg)])
        label = np.repeat([1, 0], [int(table.pos.sum()), int(table.neg.sum())])
        order = np.random.default_rng((self.conventions.seed, place)).permutation(len(each))
        columns: dict[str, Any] = {"score": score[each], "label": label}
        if stats.parts is not None:
            columns["unit"] = table.slot[each]
        values = [column[order].tolist() for column in columns.values()]
        lines = [",".join(map(repr, row)) for row in zip(*values, strict=True)]
        path = str(self.folder / "night.csv")
        write_atomic(path, "\n".join([",".join(columns), *lines, ""]))
        unit = "unit" if stats.parts is not None else None
        return InputSpec((path,), score="score", label="label", cluster=unit, logits=self.logits)
