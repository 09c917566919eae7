"""`threshold --abstain`: keep the rows that are sure enough, refer the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.decisions.abstention import abstain, risk_coverage
from calibcli.core.decisions.objectives import parse_constraint
from calibcli.core.decisions.stored import KEEP
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable
from calibcli.core.metrics.binary import View
from calibcli.core.results.parts.choices import Kept
from calibcli.core.results.warning import Warning
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import AnswerNoError
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.rows.by_unit import confidence_of_score, confidence_of_top
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.outcome import keep, kind_promised, outcome
from calibcli.workflows.threshold.promised import evenly_kept, units_of_curves
from calibcli.workflows.threshold.settling import named
from calibcli.workflows.threshold.wish import check_confidence

if TYPE_CHECKING:
    from typing import Unpack

    from calibcli.core.decisions.abstention import RiskCoverage
    from calibcli.core.decisions.guarantees import Certified, Uncertified
    from calibcli.core.decisions.promises.by_unit import ByUnit
    from calibcli.core.results.figures import Figure
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated

Result = dict[str, Any]


def abstention(
    spec: InputSpec,
    conventions: Conventions,
    target: str,
    *,
    guarantee: float | None = None,
    output: str | Gated | None = None,
    **options: Unpack[Options],
) -> Result:
    """Choose how sure the model must be of its class for a row to be kept.

    Args:
        spec: what to read; what is kept of each of `spec.groups` is shown.
        conventions: the level of the intervals.
        target: the accuracy of what is kept, such as 'accuracy>=0.99'.
        guarantee: the confidence with which it is to hold on new rows; None for none.
        output: path of the thresholds artifact.
        options: see `Options`.

    Raises:
        AnswerNoError: nothing that could be kept meets the target; nothing is written.
        UsageError: another target, several labels a row, a guarantee on weighted rows.
    """
    constraint = parse_constraint(target)
    if guarantee is not None:
        check_confidence(guarantee)
    asked = Asked.of(spec, conventions, options)
    found = asked.gather()
    refuse("threshold --abstain", kind_of(found.task, found.medium))
    warnings = [*found.warnings, *asked.warnings(found, "the cut-off is chosen")]
    stats = found.overall.used.confidence_pairs()
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    clustered = found.clustered
    units = None
    if guarantee is not None and found.dataset is not None and clustered:
        rows = RowPass.over(found.dataset, replace(asked, watch=None))
        scored = confidence_of_score if found.single else confidence_of_top
        made_units = units_of_curves(rows, scored, [[curve]])
        units = made_units[0][0]
        warnings += evenly_kept(made_units)
    made = abstain(curve, constraint, confidence=guarantee, clustered=clustered, units=units)
    choice = _choice(made)
    kind = kind_promised("certified", warnings, given=guarantee is not None)
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
        groups = [
            Kept(one.where, **_kept(one.used.confidence_pairs(), at, conventions))
            for one in found.groups
        ]
        entry["groups"] = groups
        bad = [one for one in groups if _misses(one.accuracy, constraint.target)]
        if bad:
            shown = ", ".join(named(one.slice) for one in bad[:5])
            text = (
                f"in {len(bad)} of {len(groups)} groups what is kept misses "
                f"{constraint}: {shown}{' …' if len(bad) > 5 else ''}"
            )
            warnings.append(Warning("breaks", text))
    result = outcome(
        inputs=found.inputs,
        params={
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": asked.path,
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
    keep(output, result, found.classes or ("0", "1"), KEEP, asked.loaded)
    return result


def _by_unit(units: ByUnit | None, choice: Choice) -> Result:
    """Return how many units have rows that are kept, and their mean accuracy."""
    if units is None:
        return {}
    kept = (parse_constraint("precision>=0"),)
    size, (mean,) = units.means(kept, choice.index)
    return {"unit": units.unit, "units": size, "mean_accuracy": mean}


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
    return {
        "n": stats.n,
        "kept": table.given,
        "referred": table.fn + (table.tn or 0),
        "errors": table.fp,
        "coverage": table.given / stats.n if stats.n else None,
        "accuracy": table.precision,
        "accuracy_of_all": stats.positives / stats.n if stats.n else None,
    }


def _misses(accuracy: Figure, target: float) -> bool:
    return accuracy.value is not None and accuracy.value < target


def _area(curve: RiskCoverage) -> Result:
    return {
        "area": curve.area,
        "excess_area": curve.excess,
        "curve": curve.thinned(),
    }
