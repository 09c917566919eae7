"""Expected cost: the closed-form cut-off, the empirical one beside it, and the refer band.

With costs C_FP, C_FN, C_TP, C_TN of the four outcomes, predicting positive is cheaper for a row of
probability p when p (C_FN - C_TP) > (1 - p) (C_FP - C_TN), so the cut-off is

    t = (C_FP - C_TN) / ((C_FP - C_TN) + (C_FN - C_TP))            (Elkan 2001, equation 2)

which holds for calibrated scores only; the empirical optimum needs no calibration but is itself a
guess from the rows. A third decision, to refer, at the cost r whatever the truth, is cheapest in a
band [lo, hi) of probabilities (Chow 1970).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from calibcli.core.decisions.objectives import TOLERANCE, Array, Objective
from calibcli.core.decisions.thresholds import Counts, Curve
from calibcli.errors import UsageError, did_you_mean

ALPHA = 0.01
"""Share of calibrated score files on which the two cut-offs are called different all the same."""
_SIMULATIONS = 499
_SIMULATED_CELLS = 1000


@dataclass(frozen=True, slots=True)
class Costs:
    """What each outcome of a binary decision costs; `refer` is None when nothing is referred."""

    fp: float
    fn: float
    tp: float = 0.0
    tn: float = 0.0
    refer: float | None = None

    @property
    def text(self) -> str:
        """The value of `--cost` that they are read from."""
        given = {"fp": self.fp, "fn": self.fn, "tp": self.tp, "tn": self.tn, "refer": self.refer}
        always = ("fp", "fn", "refer")
        return ",".join(f"{k}={v!r}" for k, v in given.items() if v or (k in always and v == 0.0))

    @property
    def of_outcomes(self) -> dict[str, float]:
        """The costs of the four outcomes, by the names of their counts."""
        return {"fp": self.fp, "fn": self.fn, "tp": self.tp, "tn": self.tn}

    def objective(self) -> Objective:
        """Return the expected cost per row as something to minimize."""

        def expected(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
            total = self.tp * tp + self.fp * fp + self.fn * fn + self.tn * tn
            out = np.full(np.shape(total), np.nan)
            rows = tp + fp + fn + tn
            np.divide(total, rows, out=out, where=rows > 0)
            return out

        return Objective("cost", expected, larger_is_better=False)

    def cutoff(self, odds_ratio: float = 1.0) -> float:
        """Return the closed-form cut-off for calibrated scores.

        odds_ratio: prior odds of label 1 where it will be used, divided by those of the data the
        scores are calibrated on; see `odds_ratio`.
        """
        return _ratio_cut(self.fp - self.tn, self.fn - self.tp, odds_ratio)

    def band(self, odds_ratio: float = 1.0) -> tuple[float, float] | None:
        """Return [lo, hi): probabilities for which referring is cheapest; None where it never is.

        `hi` is the next float above 1 when no probability is high enough to decide positive.
        """
        if self.refer is None:
            return None
        low = _ratio_cut(self.refer - self.tn, self.fn - self.refer, odds_ratio)
        high = _ratio_cut(self.fp - self.refer, self.refer - self.tp, odds_ratio)
        return (low, high) if low < high else None


@dataclass(frozen=True, slots=True)
class Band:
    """The two cut-offs of a decision with referral: positive from `high`, negative below `low`.

    cost: expected cost per row. referred, tp, fp, fn, tn: rows (their weight when weighted).
    """

    low: float
    high: float
    cost: float
    referred: float
    tp: float
    fp: float
    fn: float
    tn: float


@dataclass(frozen=True, slots=True)
class CostComparison:
    """The closed-form cut-off against the empirical optimum on the same rows.

    excess: expected cost per row of the closed form minus that of the optimum (>= 0, because the
    optimum is chosen on these rows). p_value: how often calibrated scores would show an excess at
    least as large; None where rows are weighted. miscalibrated: p_value <= ALPHA.
    """

    closed_form: float
    closed_form_cost: float
    empirical_cost: float
    excess: float
    p_value: float | None
    miscalibrated: bool | None


def parse_costs(text: str) -> Costs:
    """Read the value of `--cost`, such as 'fp=1,fn=4,refer=0.5'.

    Raises UsageError for unknown names, a missing fp or fn, values that are no numbers, and costs
    under which an error is no dearer than being right.
    """
    known = ("fp", "fn", "tp", "tn", "refer")
    values: dict[str, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*=\s*(\S+)\s*", part)
        if match is None:
            raise UsageError(f"not a cost: {part.strip()!r}", "for example --cost fp=1,fn=4")
        name = match[1].lower()
        if name not in known:
            hint = did_you_mean(name, known) or f"one of: {', '.join(known)}"
            raise UsageError(f"unknown cost {name!r}", hint)
        if name in values:
            raise UsageError(f"cost {name!r} is given twice")
        try:
            values[name] = float(match[2])
        except ValueError:
            values[name] = math.nan
        if not math.isfinite(values[name]):
            raise UsageError(f"the cost {name} is not a number: {match[2]!r}")
    for name in ("fp", "fn"):
        if name not in values:
            raise UsageError(f"the cost {name} is missing", "for example --cost fp=1,fn=4")
    costs = Costs(**values)
    if costs.fp <= costs.tn:
        raise UsageError("a false positive must cost more than a true negative (fp > tn)")
    if costs.fn <= costs.tp:
        raise UsageError("a false negative must cost more than a true positive (fn > tp)")
    if costs.refer is not None and (costs.fn < costs.tn or costs.fp < costs.tp):
        raise UsageError(
            "with refer=, errors must cost at least what the same decision costs when right",
            "fn >= tn and fp >= tp",
        )
    return costs


def odds_ratio(positives: float, negatives: float, prior: float) -> float:
    """Return (prior odds) / (odds of the data): what label shift does to every posterior odds."""
    return prior / (1 - prior) * negatives / positives


def cheapest_band(
    score: Array, pos: Counts, neg: Counts, costs: Costs, *, prior: float | None = None
) -> Band:
    """Return the pair of cut-offs with the least expected cost, over all pairs of breakpoints.

    Cost is a part that depends on `low` plus one that depends on `high`, so a running minimum
    finds the best of the C^2 pairs in one pass. Equal costs go to the narrowest band at the lowest
    `high`. With `prior`, cost is that of this prevalence; the counts stay those of the rows.
    """
    if costs.refer is None:
        raise ValueError("no cost of referring")
    curve = Curve.from_cells(score, pos, neg)
    judged = curve if prior is None else curve.at_prevalence(prior)
    below_pos, below_neg = judged.fn, judged.tn
    # Of the rows below a cut: as negatives they cost `negative`, referred they cost `referred`.
    negative = costs.fn * below_pos + costs.tn * below_neg
    referred = costs.refer * (below_pos + below_neg)
    saved = np.asarray(negative - referred, dtype=np.float64)
    positive = costs.tp * judged.tp + costs.fp * judged.fp
    total = np.minimum.accumulate(saved) + referred + positive
    rows = judged.positives + judged.negatives
    slack = TOLERANCE * max(1.0, rows) * max(map(abs, (costs.fp, costs.fn, costs.refer)))
    high = int(np.flatnonzero(total <= total.min() + slack)[0])
    until = saved[: high + 1]
    low = int(np.flatnonzero(until <= until.min() + slack)[-1])
    at_low, at_high = curve.confusion(low), curve.confusion(high)
    return Band(
        low=float(curve.threshold[low]),
        high=float(curve.threshold[high]),
        cost=float(saved[low] + referred[high] + positive[high]) / rows,
        referred=at_high.fn - at_low.fn + at_high.tn - at_low.tn,
        tp=at_high.tp,
        fp=at_high.fp,
        fn=at_low.fn,
        tn=at_low.tn,
    )


def compare_cutoffs(
    probability: Array,
    pos: Counts,
    neg: Counts,
    costs: Costs,
    *,
    prior: float | None = None,
    weighted: bool = False,
    seed: int = 0,
    lowest: float = -np.inf,
    odds: float | None = None,
) -> CostComparison:
    """Set the closed-form cut-off beside the empirical optimum, and say whether they disagree.

    probability: float64[C], increasing, the (mean) probability of each cell. lowest: the least
    candidate; rows below it are negative whatever the cut-off. odds: the `odds_ratio` of counts
    that are at another prevalence already. The optimum is the
    best of all candidates, so its advantage is never 0 and a standard error would call it real far
    too often. Instead labels are drawn from the scores as if these were calibrated, and the
    advantage is compared with what the optimum gains on such labels.
    """
    curve = Curve.from_cells(probability, pos, neg).above(lowest)
    judged = curve if prior is None else curve.at_prevalence(prior)
    first = int(np.searchsorted(probability, lowest))
    shift = 1.0 if odds is None else odds
    if prior is not None:
        shift = odds_ratio(curve.positives, curve.negatives, prior)
    closed = costs.cutoff(shift)
    cost = judged.figure(costs.objective().function)
    at_closed, best = float(cost[curve.index(closed)]), float(cost.min())
    p_value = None
    if not weighted:
        up = judged.positives / curve.positives if curve.positives else 1.0
        down = judged.negatives / curve.negatives if curve.negatives else 1.0
        miss, alarm = up * (costs.fn - costs.tp), down * (costs.fp - costs.tn)
        p_value = _excess_p_value(
            probability[first:], pos[first:], neg[first:], closed, miss, alarm, seed
        )
    return CostComparison(
        closed_form=closed,
        closed_form_cost=at_closed,
        empirical_cost=best,
        excess=at_closed - best,
        p_value=p_value,
        miscalibrated=None if p_value is None else p_value <= ALPHA,
    )


def _excess_p_value(
    probability: Array,
    pos: Counts,
    neg: Counts,
    closed: float,
    miss: float,
    alarm: float,
    seed: int,
) -> float:
    """Return the p-value of the excess under labels drawn from the scores themselves."""
    total = pos + neg
    rows = np.cumsum(total) - total
    block = rows * _SIMULATED_CELLS // max(int(total.sum()), 1)
    fresh = np.append(True, block[1:] != block[:-1])
    cut = int(np.searchsorted(probability, closed, side="left"))
    if cut < fresh.size:
        fresh[cut] = True
    start = np.flatnonzero(fresh)
    n = np.add.reduceat(total, start)
    mean = np.add.reduceat(total * probability, start) / np.maximum(n, 1)
    observed = np.add.reduceat(pos, start)[None, :].astype(np.float64)
    rng = np.random.default_rng(seed)
    size = (_SIMULATIONS, n.size)
    drawn = rng.binomial(n.astype(np.int64), np.clip(mean, 0, 1), size).astype(np.float64)
    at = int(np.searchsorted(start, cut))

    def excess(positives: Array) -> Array:
        dearer = positives * miss - (n - positives) * alarm  # when the cell turns negative
        cost = np.cumsum(dearer, axis=1)
        closed_cost = cost[:, at - 1] if at else np.zeros(len(cost))
        return np.asarray(closed_cost - np.minimum(cost.min(axis=1), 0.0))

    found = float(excess(observed)[0])
    simulated = excess(drawn)
    slack = TOLERANCE * max(1.0, abs(found))
    return float(1 + np.count_nonzero(simulated >= found - slack)) / (1 + _SIMULATIONS)


def decision_curve(curve: Curve, at: Array) -> dict[str, Array]:
    """Return the net benefit of acting on the scores at each threshold probability in `at`.

    Net benefit = tp/n - fp/n * t/(1-t) (Vickers and Elkin 2006); "model", and beside it "all", the
    net benefit of acting on every row. Acting on none has 0 everywhere. `at` lies in [0, 1).
    """
    odds = at / (1 - at)
    rows = curve.positives + curve.negatives
    found = np.minimum(np.searchsorted(curve.threshold, at, side="left"), curve.threshold.size - 1)
    model = curve.tp[found] / rows - curve.fp[found] / rows * odds
    return {
        "threshold": at,
        "model": model,
        "all": curve.positives / rows - curve.negatives / rows * odds,
    }


def _ratio_cut(against: float, in_favour: float, odds_ratio: float) -> float:
    """Return the p with p * in_favour * odds_ratio = (1 - p) * against, kept in [0, next(1)]."""
    if against <= 0:
        return 0.0
    if in_favour <= 0:
        return math.nextafter(1.0, 2.0)
    return against / (against + in_favour * odds_ratio)
