"""`threshold`: choose the cut-off, over every distinct score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.costs import Costs, cheapest_band, compare_cutoffs, odds_ratio, parse_costs
from calibcli.core.metrics import View
from calibcli.core.objectives import default_objective, parse_constraint, parse_objective
from calibcli.core.thresholds import Choice, Curve, Unreachable, choose
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.artifacts import write_artifact
from calibcli.workflows.gather import gather
from calibcli.workflows.loaded import load_calibrator
from calibcli.workflows.slices import confusion
from calibcli.workflows.warnings import calibrator_warnings

if TYPE_CHECKING:
    from calibcli.core.objectives import Constraint, Objective
    from calibcli.core.stats import ScoreStats
    from calibcli.io.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.conventions import Conventions
    from calibcli.workflows.gather import Gathered, Progress, Slice

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the cut-off is to achieve: options of the command, understood."""

    objective: Objective
    constraints: tuple[Constraint, ...]
    costs: Costs | None
    prior: float | None

    @classmethod
    def parse(
        cls,
        maximize: str | None,
        subject_to: tuple[str, ...],
        cost: str | None,
        prior: float | None,
    ) -> Wish:
        """Understand the options.

        Raises:
            UsageError: options that cannot be understood or contradict each other.
        """
        constraints = tuple(parse_constraint(text) for text in subject_to)
        costs = None if cost is None else parse_costs(cost)
        if maximize is not None and costs is not None:
            raise UsageError("--maximize and --cost are two objectives", "give one of them")
        if prior is not None and not 0 < prior < 1:
            raise UsageError("--prior must lie between 0 and 1", "for example --prior 0.02")
        if costs is not None:
            objective = costs.objective()
        elif maximize is not None:
            objective = parse_objective(maximize)
        elif constraints:
            objective = default_objective(constraints)
        else:
            objective = parse_objective("f1")
        return cls(objective, constraints, costs, prior)


def threshold(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    calibrator: str | None = None,
    output: str | None = None,
    candidates: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Choose the cut-off of a binary score, or one for each class against the rest.

    Args:
        spec: what to read.
        conventions: the level of the intervals.
        wish: what to achieve.
        calibrator: path of a calibrator to apply first.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate.
        threads: how many threads read.
        progress: called with the number of rows read so far.

    Raises:
        AnswerNoError: no cut-off meets the constraints; nothing is written.
        InputError: unusable input, one label only.
    """
    loaded = None if calibrator is None else load_calibrator(calibrator)
    mapping = None if loaded is None else loaded.calibrator
    found = gather(spec, conventions, calibrator=mapping, threads=threads, progress=progress)
    warnings = list(found.warnings)
    if loaded is not None:
        warnings += [
            warning.replace("figures after it are", "the cut-off is chosen")
            for warning in calibrator_warnings(loaded, found, spec)
        ]
    slices = [found.overall] if found.task == "binary" else found.class_slices
    chosen, curves = [], []
    for one in slices:
        population = _population(one)
        name = "" if found.task == "binary" else f"class {one.where['name']!r}: "
        item, curve, said = _choose(one.where, population, conventions, wish, name)
        chosen.append(item)
        curves.append((one.where, curve))
        warnings += said
    result = {
        "schema": "calibcli/threshold",
        "version": 1,
        "calibcli": __version__,
        "inputs": found.inputs,
        "params": {
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "prior": wish.prior,
            "calibrator": calibrator,
        },
        "task": found.task,
        "objective": wish.objective.name,
        "constraints": [str(constraint) for constraint in wish.constraints],
        "kind": "empirical",
        "thresholds": chosen,
        "warnings": warnings,
    }
    if candidates is not None:
        _write_candidates(candidates, curves)
    if output is not None:
        digest = None if loaded is None else loaded.payload.get("digest")
        write_artifact(output, "thresholds", _artifact(found, result, digest))
    return result


def _population(one: Slice) -> Population:
    return one.population if one.calibrated is None else one.calibrated


def _choose(
    where: Result, population: Population, conventions: Conventions, wish: Wish, name: str
) -> tuple[Result, Curve, list[str]]:
    stats = population.pairs
    if wish.prior is not None and not (stats.positives and stats.negatives):
        raise InputError(
            f"{name}only one label occurs: there is no prevalence to change",
            "give rows of both labels, or leave out --prior",
        )
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    found = choose(curve, wish.objective, wish.constraints, prior=wish.prior)
    if isinstance(found, Unreachable):
        if not wish.constraints:
            raise InputError(
                f"{name}{wish.objective.name} is undefined at every cut-off: "
                f"{_labels(stats)} among {stats.n:,} rows",
                "give held-out rows of both labels",
            )
        raise AnswerNoError(f"{name}{found.message()}", "no thresholds were written")
    table = confusion(View(stats, conventions.headline), found.threshold, conventions.confidence)
    item: Result = {
        "slice": where,
        "threshold": found.threshold,
        "n": stats.n,
        "value": found.value,
        "confusion": table,
    }
    warnings = []
    if wish.costs is not None:
        item["cost"], said = _cost(stats, wish.costs, found, wish.prior, conventions.seed)
        warnings = [f"{name}{text}" for text in said]
    if not stats.positives or not stats.negatives:
        warnings.append(f"{name}{_labels(stats)}: the cut-off says nothing about the other label")
    return item, curve, warnings


def _labels(stats: ScoreStats) -> str:
    if stats.positives and stats.negatives:
        return "both labels"
    return "only label 1 occurs" if stats.positives else "only label 0 occurs"


def _cost(
    stats: ScoreStats, costs: Costs, found: Choice, prior: float | None, seed: int
) -> tuple[Result, list[str]]:
    compared = compare_cutoffs(
        stats.floor,
        stats.pos,
        stats.neg,
        costs,
        prior=prior,
        weighted=stats.weighted,
        seed=seed,
    )
    cost: Result = {
        "expected": compared.empirical_cost,
        "closed_form_threshold": compared.closed_form,
        "closed_form_cost": compared.closed_form_cost,
        "p_value": compared.p_value,
    }
    warnings = []
    if compared.miscalibrated:
        warnings.append(
            f"the closed-form cut-off {compared.closed_form:.4g} costs more than the empirical "
            f"{found.threshold:.4g} beyond chance: the scores are not calibrated, fit first"
        )
    if costs.refer is not None:
        shift = 1.0
        if prior is not None:
            shift = odds_ratio(float(stats.positives), float(stats.negatives), prior)
        closed = costs.band(shift)
        band = cheapest_band(stats.floor, stats.pos, stats.neg, costs, prior=prior)
        cost["closed_form_band"] = None if closed is None else list(closed)
        cost["band"] = {
            "low": band.low,
            "high": band.high,
            "cost": band.cost,
            "referred": band.referred,
            "tp": band.tp,
            "fp": band.fp,
            "fn": band.fn,
            "tn": band.tn,
        }
    return cost, warnings


def _write_candidates(path: str, curves: list[tuple[Result, Curve]]) -> None:
    from calibcli.io.sink import write_atomic

    lines = ["slice,threshold,tp,fp,fn,tn"]
    for where, curve in curves:
        name = str(where.get("name", "overall")).replace('"', '""')
        columns = (curve.threshold, curve.tp, curve.fp, curve.fn, curve.tn)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        lines += [f'"{name}",{",".join(map(repr, row))}' for row in rows]
    write_atomic(path, "\n".join(lines) + "\n")


def _artifact(found: Gathered, result: Result, digest: str | None) -> Result:
    return {
        "calibcli": __version__,
        "task": found.task,
        "classes": list(found.classes),
        "rule": "score >= threshold",
        "kind": result["kind"],
        "objective": result["objective"],
        "constraints": result["constraints"],
        "calibrated": result["params"]["calibrator"] is not None,
        "calibrator": digest,
        "thresholds": result["thresholds"],
        "rows": sum(one["rows"] or 0 for one in found.inputs),
        "inputs": found.inputs,
        "params": result["params"],
        "warnings": result["warnings"],
    }
