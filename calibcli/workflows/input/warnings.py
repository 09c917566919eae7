"""What a careful colleague would say beside the numbers. In the JSON too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics.spread import buckets, effective_n
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError
from calibcli.io.dataset import IMAGE
from calibcli.tasks.table import medium

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.comparisons import Overlap
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

Result = dict[str, Any]
FEW_ROWS = 100
FEW_CLUSTERS = 20


def measure_warnings(
    found: Gathered, result: MeasureResult, conventions: Conventions
) -> list[Warning]:
    """Return warnings about the numbers of a measure result."""
    if not found.labelled:
        return [Warning("no-labels", "no labels: only what scores alone can tell is shown")]
    warnings = _split_cells(found.overall.population.pairs, conventions)
    overall, stats = result.overall, found.overall.population.pairs
    warnings += _lost_order(overall)
    n, auc, nll = overall.rows, overall.metrics.get("auc"), overall.metrics.get("nll")
    worth = n if not stats.weighted else n * effective_n(stats) / max(float(stats.n), 1e-300)
    if worth < FEW_ROWS:
        warnings.append(few_rows(worth, medium(found.medium).row, weighted=stats.weighted))
    if _few_clusters(found):
        warnings.append(Warning("few-clusters", "few clusters: the intervals are rough"))
    if nll is not None and nll.certain_errors:
        text = (
            f"{nll.certain_errors:g} rows are certain and wrong (probability 0 for what came "
            "true): their log loss is infinite, nll clips it at 1e-15"
        )
        warnings.append(Warning("certain-errors", text))
    if found.single and auc is not None and auc.value is None and n:
        warnings.append(Warning("undefined", f"auc is undefined: {auc.reason}"))
    if found.raw_scale is not None and auc is not None and (auc.high or 1.0) < 0.5:
        other = "leave out --descending" if found.raw_scale.descending else "add --descending"
        text = f"the scores rank the labels the wrong way round: {other}"
        warnings.append(Warning("turned", text))
    if len(stats.key) == 1 and n > 1 and not stats.mixed.any():
        warnings.append(Warning("constant-scores", "all scores are equal"))
    absent = [
        repr(part.where.name)
        for part in result.classes
        if part.value("prevalence") == 0 and "ground_truth" not in part.metrics
    ]
    if len(absent) == 1:
        text = f"class {absent[0]} does not occur among the labels"
        warnings.append(Warning("absent-class", text))
    elif absent:
        of = f"{len(absent):,} of {len(result.classes):,} classes"
        text = f"{of} do not occur among the labels: {_some(absent)}"
        warnings.append(Warning("absent-class", text))
    return warnings


def few_rows(n: float, what: str = "row", *, weighted: bool = False) -> Warning:
    """Return the warning about `n` rows that are too few, or weights that are worth as many."""
    rows = what if n == 1 else f"{what}s"
    told = f"weights are worth {n:.0f} {what}s" if weighted else f"{n:g} {rows}"
    text = f"{told}: too few to tell calibration from chance, see the intervals"
    return Warning("few-rows", text)


def _few_clusters(found: Gathered) -> bool:
    stats = found.overall.population.pairs
    if not found.single or stats.parts is None:
        return False
    images = found.dataset is not None and found.dataset.unit == IMAGE  # said by themselves
    return not images and buckets(stats) < FEW_CLUSTERS


def _split_cells(stats: ScoreStats, conventions: Conventions) -> list[Warning]:
    """Warn of bins and cut-offs at which saved statistics do not know the counts exactly."""
    if stats.exact:
        return []
    asked = np.array(sorted(set(conventions.exact_at) - set(stats.edges)))
    cell = np.clip(np.searchsorted(stats.floor, asked, side="right") - 1, 0, None)
    rows = float(np.where(stats.floor[cell] < asked, stats.total[cell], 0).max(initial=0))
    if not rows:
        return []
    said = "the statistics were saved for other bins or cut-offs: counts here are off by up to"
    again = "save them with the same --bins, --edges, --at and --threshold"
    return [Warning("coarse", f"{said} {rows:,.0f} rows; {again}")]


COARSE = 1e-3
"""How far off a ranking figure may be without a word where there is no interval to compare with."""


def _lost_order(overall: SliceResult) -> list[Warning]:
    """Warn of ranking figures that a grid of scores may change by more than chance does."""
    errors, said = overall.grid_error or {}, []
    for name in ("auc", "average_precision"):
        figure, error = overall.metrics.get(name), errors.get(name, 0.0)
        if figure is None or figure.value is None:
            continue
        low, high = figure.low, figure.high
        chance = COARSE if low is None or high is None else (high - low) / 2.0 - error
        if error > chance:
            said.append(f"{name} by up to {error:.2g}")
    if not said:
        return []
    text = (
        "too many scores in too narrow a band to keep their order: they may change "
        f"{' and '.join(said)}, more than chance; give them on a wider scale, such as ranks"
    )
    return [Warning("coarse", text)]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def calibrator_warnings(
    loaded: LoadedCalibrator,
    found: Gathered | Dataset,
    spec: InputSpec,
    overlap: Overlap | None = None,
    *,
    what: str = "figures after it are",
) -> list[Warning]:
    """Check that a calibrator fits the input, and say what is odd: `what` is then in-sample.

    What the rows tell (`overlap`) goes before what the names of the files tell.

    Raises:
        InputError: another task, other classes, or logits where probabilities were fitted.
    """
    # Saved statistics know by themselves what they were counted from.
    logits = bool(getattr(found, "logits", spec.logits))
    check_fits(loaded, found.task, found.classes, logits=logits)
    said = in_sample_warnings(loaded, found.inputs, overlap, what, found.medium)
    return said + medium(found.medium).calibrator_warnings(loaded.stored.input, spec)


def in_sample_warnings(
    loaded: LoadedCalibrator,
    inputs: Sequence[Result],
    overlap: Overlap | None,
    what: str,
    rows: str,
) -> list[Warning]:
    """Return a warning where a calibrator was fitted on these `rows`: `what` is then in-sample."""
    if overlap is not None and overlap.value is not None:
        from calibcli.workflows.input.overlap import overlap_words

        share = overlap_words(overlap, rows)
        return [in_sample(share, what)] if share else []
    fitted = {(one.path, one.rows) for one in loaded.stored.inputs}
    now = {(one["path"], one["rows"]) for one in inputs if one["path"] != "-"}
    return [in_sample("this very file", what)] if fitted & now else []


def in_sample(rows: str, what: str = "figures after it are") -> Warning:
    """Return the warning about rows that the calibrator was fitted on."""
    return Warning("in-sample", f"the calibrator was fitted on {rows}: {what} in-sample")


def thresholds_warnings(
    path: str, chosen: LoadedThresholds, loaded: LoadedCalibrator | None, found: Gathered
) -> list[Warning]:
    """Check that thresholds fit the input and the calibrator, and say what is odd.

    Raises:
        InputError: another task or other classes, or chosen after another calibrator.
    """
    if (chosen.task, chosen.classes) != (found.task, found.classes):
        raise InputError(
            f"{path} was chosen for other scores: {_scores(chosen.task, chosen.classes)}, "
            f"these are {_scores(found.task, found.classes)}",
            "choose thresholds on scores of this kind: calibcli threshold",
        )
    if loaded is None:
        if chosen.calibrated:
            said = "was chosen on calibrated probabilities, and these are not calibrated"
            return [Warning("uncalibrated", f"{path} {said}: add --calibrator FILE")]
        return []
    if not chosen.calibrated:
        said = "was chosen on uncalibrated scores: what it decides is judged before the calibrator"
        return [Warning("other-scores", f"{path} {said}, and apply refuses the two together")]
    loaded.check_cuts(path, chosen.stored.calibrator)
    return []


def _scores(task: str, classes: tuple[str, ...]) -> str:
    return f"{task} of {len(classes)} classes" if classes else task


def check_fits(
    loaded: LoadedCalibrator, task: str, classes: tuple[str, ...], *, logits: bool
) -> None:
    """Raise InputError unless a calibrator fits this task, these classes and this kind of score."""
    if loaded.task != task:
        raise InputError(
            f"the calibrator is for {loaded.task} scores, these are {task}",
            "fit one on scores of this kind, or name the --task",
        )
    if loaded.shape and loaded.classes != classes:
        differ = next(
            (f"{a!r} and {b!r}" for a, b in zip(loaded.classes, classes, strict=False) if a != b),
            f"{len(loaded.classes)} and {len(classes)} classes",
        )
        raise InputError(
            f"the calibrator was fitted on other classes: {differ}",
            "name the classes in the order of the columns: --classes a,b,c",
        )
    if loaded.logits != logits:
        was, now = ("logits", "probabilities") if loaded.logits else ("probabilities", "logits")
        raise InputError(
            f"the calibrator was fitted on {was}, these are read as {now}",
            "add --logits" if loaded.logits else "leave out --logits",
        )
