"""`threshold --abstain`: keep the rows that are sure enough, refer the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.abstention import abstain, risk_coverage
from calibcli.core.decisions.objectives import parse_constraint
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable
from calibcli.core.metrics.binary import View
from calibcli.core.results.warning import Warning, any_of
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.keys import key_probabilities, probability_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import AnswerNoError
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.rows.by_unit import confidence_of_score, confidence_of_top
from calibcli.workflows.input.gather import gather
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.loaded_cuts import KEEP
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.input.warnings import calibrator_warnings
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.outcome import keep, outcome, void
from calibcli.workflows.threshold.promised import evenly_kept, units_of_curves
from calibcli.workflows.threshold.wish import check_confidence

if TYPE_CHECKING:
    from calibcli.core.decisions.abstention import RiskCoverage
    from calibcli.core.decisions.guarantees import Certified, Uncertified
    from calibcli.core.decisions.promises.by_unit import ByUnit
    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gather import Progress, Slice

Result = dict[str, Any]
POINTS = 200


def abstention(
    spec: InputSpec,
    conventions: Conventions,
    target: str,
    *,
    guarantee: float | None = None,
    calibrator: str | None = None,
    output: str | Gated | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Choose how sure the model must be of its class for a row to be kept.

    Args:
        spec: what to read; what is kept of each of `spec.groups` is shown.
        conventions: the level of the intervals.
        target: the accuracy of what is kept, such as 'accuracy>=0.99'.
        guarantee: the confidence with which it is to hold on new rows; None for none.
        calibrator: path of a calibrator to apply first.
        output: path of the thresholds artifact.
        threads: how many threads read.
        progress: called with the number of rows read so far.

    Raises:
        AnswerNoError: nothing that could be kept meets the target; nothing is written.
        UsageError: another target, several labels a row, a guarantee on weighted rows.
    """
    constraint = parse_constraint(target)
    if guarantee is not None:
        check_confidence(guarantee)
    loaded = None if calibrator is None else load_calibrator(calibrator)
    watch = watch_of(loaded)
    found = gather(
        spec,
        replace(conventions, confidence=None),
        calibrator=None if loaded is None else loaded.calibrator,
        threads=threads,
        progress=progress,
        watch=watch,
    )
    refuse("threshold --abstain", kind_of(found.task, found.medium))
    warnings = list(found.warnings)
    if loaded is not None:
        shared = found_overlap(loaded, watch)
        warnings += calibrator_warnings(loaded, found, spec, shared, what="the cut-off is chosen")
    stats = confidence_pairs(_after(found.overall))
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    clustered = found.clustered
    units = None
    if guarantee is not None and found.dataset is not None and clustered:
        rows = RowPass.over(found.dataset, spec, conventions, loaded, threads, progress)
        scored = confidence_of_score if found.single else confidence_of_top
        made_units = units_of_curves(rows, scored, [[curve]])
        units = made_units[0][0]
        warnings += evenly_kept(made_units)
    made = abstain(curve, constraint, confidence=guarantee, clustered=clustered, units=units)
    choice = _choice(made)
    kind = "empirical" if guarantee is None else "certified"
    if kind == "certified" and any_of(warnings, "in-sample"):
        kind = "empirical"
        warnings.append(void("the guarantee"))
    at = choice.threshold
    entry: Result = {
        "constraint": str(constraint),
        "threshold": at,
        "guarantee": guarantee,
        **_by_unit(units, choice),
        **_kept(stats, at, conventions),
        **_area(risk_coverage(stats.floor, stats.pos, stats.neg)),
    }
    if found.groups:
        entry["groups"] = [
            {"slice": one.where, **_kept(confidence_pairs(_after(one)), at, conventions)}
            for one in found.groups
        ]
        bad = [one for one in entry["groups"] if _misses(one, constraint.target)]
        if bad:
            named = ", ".join(f"{b['slice']['column']}={b['slice']['value']}" for b in bad[:5])
            text = (
                f"in {len(bad)} of {len(entry['groups'])} groups what is kept misses "
                f"{constraint}: {named}{' …' if len(bad) > 5 else ''}"
            )
            warnings.append(Warning("breaks", text))
    result = outcome(
        inputs=found.inputs,
        params={
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": calibrator,
            "abstain": target,
            "guarantee": guarantee,
        },
        task=found.task,
        kind=kind,
        objective="positive-rate",
        constraints=[str(constraint)],
        warnings=warnings,
        abstain=entry,
    )
    keep(output, result, found.classes or ("0", "1"), KEEP, loaded)
    return result


def _by_unit(units: ByUnit | None, choice: Choice) -> Result:
    """Return how many units have rows that are kept, and their mean accuracy."""
    if units is None:
        return {}
    kept = (parse_constraint("precision>=0"),)
    size, (mean,) = units.means(kept, choice.index)
    return {"unit": units.unit, "units": size, "mean_accuracy": mean}


def _after(one: Slice) -> Population:
    return one.population if one.calibrated is None else one.calibrated


def confidence_pairs(population: Population) -> ScoreStats:
    """Return pairs (confidence, was the decision right) of a population, clusters kept.

    A binary row is decided positive from 0.5 up, with confidence max(p, 1 - p).
    """
    stats = population.pairs
    if not population.single:
        return stats
    parts = stats.parts
    if parts is not None:
        parts = _turned(parts, stats.edges)
    table = _turned(stats.table, stats.edges)
    return ScoreStats(table, weighted=stats.weighted, parts=parts)


def _turned(table: CellTable, edges: tuple[float, ...]) -> CellTable:
    """Return cells of probabilities as cells of confidence and of right and wrong.

    A cell of a grid turns over below one half: its highest probability is its lowest confidence,
    and belongs to the nearest cell border from 0.5 up, so that one cut-off parts both sides alike.
    """
    p = key_probabilities(table.places)
    positive = p >= 0.5
    confidence = np.where(positive, p, 1.0 - p)
    if table.bits is not None:
        borders = key_probabilities(grid(table.bits, edges).starts)
        upper = borders[borders >= 0.5]
        above = np.append(borders, 1.0)[np.searchsorted(borders, p, side="right")]
        lowest = 1.0 - np.nextafter(above, 0.0)
        border = np.searchsorted(upper, lowest, side="right") - 1
        confidence = np.where(positive, p, upper[np.maximum(border, 0)])

    def swapped(yes: Counts | None, no: Counts | None) -> Any:
        return None if yes is None or no is None else np.where(positive, yes, no)

    return replace(
        table,
        pos=swapped(table.pos, table.neg),
        neg=swapped(table.neg, table.pos),
        pos_sq=swapped(table.pos_sq, table.neg_sq),
        neg_sq=swapped(table.neg_sq, table.pos_sq),
    ).moved(probability_keys(confidence))


def _choice(made: Choice | Unreachable | Certified | Uncertified) -> Choice:
    if isinstance(made, Choice):
        return made
    if isinstance(made, Unreachable):
        raise AnswerNoError(_renamed(made.message()), "no thresholds were written")
    from calibcli.core.decisions.guarantees import Certified

    if isinstance(made, Certified):
        return made.choice
    raise AnswerNoError(_renamed(made.message()), "no thresholds were written")


def _renamed(message: str) -> str:
    """Return a message about the accuracy of what is kept, which the search knows as precision."""
    return message.replace("cut-off", "cut-off on confidence", 1).replace("precision", "accuracy")


def _kept(stats: ScoreStats, at: float, conventions: Conventions) -> Result:
    """Return what is kept at a cut-off on confidence: rows, coverage, accuracy."""
    table = confusion(View(stats, conventions.headline), at, conventions.confidence)
    kept = table["tp"] + table["fp"]
    return {
        "n": stats.n,
        "kept": kept,
        "referred": table["fn"] + table["tn"],
        "errors": table["fp"],
        "coverage": kept / stats.n if stats.n else None,
        "accuracy": table["precision"],
        "accuracy_of_all": stats.positives / stats.n if stats.n else None,
    }


def _misses(one: Result, target: float) -> bool:
    value = one["accuracy"]["value"]
    return value is not None and value < target


def _area(curve: RiskCoverage) -> Result:
    return {
        "area": curve.area,
        "excess_area": curve.excess,
        "curve": thinned(curve),
    }


def thinned(curve: RiskCoverage) -> Result:
    """Return at most about 200 points of a risk-coverage curve, evenly along coverage."""
    wanted = np.linspace(float(curve.coverage[-1]), float(curve.coverage[0]), POINTS)
    place = np.searchsorted(-curve.coverage, -wanted[::-1])
    pick = np.unique(np.clip(place, 0, len(curve.coverage) - 1))
    return {
        "confidence": curve.confidence[pick].tolist(),
        "coverage": curve.coverage[pick].tolist(),
        "risk": curve.risk[pick].tolist(),
    }
