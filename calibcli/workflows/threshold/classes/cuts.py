"""The statistics that cut-offs of several classes are chosen on: exact wherever that is possible.

A tally of many classes gives up its distinct scores for a grid. Where the wish allows it, counts
at the candidates that can be best take its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.core.results.warning import Warning
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.stats import ScoreStats
from calibcli.tasks.collect import Population
from calibcli.workflows.input.gather import (
    Gathered,
    Slice,
    gather,
    input_params,
    layout_of,
    reading_warnings,
    with_group_of,
)

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Opened, Progress
    from calibcli.workflows.threshold.wish import Wish

_BLIND = frozenset({"recall", "fnr"})
_RISES = frozenset({"fpr", "positive-rate", "alerts"})


def gather_cuts(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    *,
    calibrator: Calibrator | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
    opened: Opened,
) -> Gathered:
    """Return what `gather` does; classes are exact at every cut-off that the wish can end at.

    Raises:
        InputError: input that cannot be used.
        UsageError: options that do not fit the input.
    """
    quiet = replace(conventions, confidence=None)  # no sums over several pairs: no buckets
    dataset = opened[0]
    why = "saved statistics hold no more" if dataset is None else _why_grid(spec, wish)
    reading = spec if dataset is None else with_group_of(spec, calibrator)
    if why is None and dataset is not None:
        if dataset.unit.clustered and conventions.confidence is not None:
            why = f"intervals by {dataset.unit.name} need the counts of each"
        elif dataset.task != "binary":
            from calibcli.tasks.rows.breakpoints import outgrows_tally

            layout = layout_of(dataset, spec, quiet)
            if outgrows_tally(dataset, layout, calibrator=calibrator, columns=reading.groups):
                return _at_positives(
                    dataset, spec, quiet, calibrator, reading.groups, threads, progress
                )
    found = gather(
        spec,
        quiet,
        calibrator=calibrator,
        threads=threads,
        progress=progress,
        watch=watch,
        opened=opened,
    )
    used = found.overall.calibrated or found.overall.population
    if found.single or all(one.exact for one in used.classes):
        return found
    if why is None and found.dataset is not None:
        return _at_positives(
            found.dataset, spec, quiet, calibrator, reading.groups, threads, progress
        )
    text = (
        f"more distinct scores than are kept apart for {len(found.classes)} classes: cut-offs are "
        f"the best of a grid of scores, not of all scores, because {why}"
    )
    found.warnings.append(Warning("coarse", text))
    return found


def _why_grid(spec: InputSpec, wish: Wish) -> str | None:
    """Return why scores of positives are not enough as candidates, None where they are."""
    if wish.guarantee is not None:
        return "the candidates of a guarantee must not depend on the labels"
    if wish.costs is not None:
        return "--cost compares with the closed form on the scores of all rows"
    if spec.groups:
        return "--group needs the counts of each group"
    gains = [str(one) for one in wish.constraints if not _spares_negatives(one)]
    return f"more false positives can help to meet {gains[0]}" if gains else None


def _spares_negatives(constraint: Constraint) -> bool:
    """Return whether fewer false positives alone never break a constraint."""
    if constraint.name in _BLIND:
        return True
    return constraint.at_least is not (constraint.name in _RISES)


def _at_positives(
    dataset: Dataset,
    spec: InputSpec,
    conventions: Conventions,
    calibrator: Calibrator | None,
    columns: tuple[str, ...],
    threads: int | None,
    progress: Progress | None,
) -> Gathered:
    from calibcli.tasks.rows.breakpoints import count_at_positives

    counted = count_at_positives(
        dataset,
        layout_of(dataset, spec, conventions),
        calibrator=calibrator,
        columns=columns,
        threads=threads,
        progress=progress,
    )
    warnings = reading_warnings(dataset, counted.dropped, counted.unseen)
    # Only the classes are counted: no cut-off of several classes is chosen on pooled pairs.
    pooled = ScoreStats(CellTable.empty(weighted=spec.weighted))
    own = Population(dataset.task, pooled, (), counted.classes, rows_apart=True)
    return Gathered(
        dataset.task,
        dataset.classes,
        spec.logits,
        Slice({"kind": "overall"}, own),
        (),
        dataset.inputs,
        input_params(spec, dataset),
        counted.dropped,
        dataset,
        warnings,
    )
