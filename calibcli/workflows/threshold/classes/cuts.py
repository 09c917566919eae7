"""The statistics that cut-offs of several classes are chosen on: exact wherever that is possible.

A tally of many classes gives up its distinct scores for a grid. Where the wish allows it, counts
at the candidates that can be best take its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.core.results.figures import OVERALL
from calibcli.core.results.warning import Warning
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.stats import ScoreStats
from calibcli.tasks.collect import Population
from calibcli.workflows.input.gather import (
    input_params,
    layout_of,
    reading_warnings,
    with_group_of,
)
from calibcli.workflows.input.gathered import Gathered, Slice

if TYPE_CHECKING:
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.tasks.population import Layout
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.gather import Opened
    from calibcli.workflows.threshold.wish import Wish

_BLIND = frozenset({"recall", "fnr"})
_RISES = frozenset({"fpr", "positive-rate", "alerts"})


def gather_cuts(asked: Asked, wish: Wish, opened: Opened) -> Gathered:
    """Return what `gather` does; classes are exact at every cut-off that the wish can end at.

    Raises:
        InputError: input that cannot be used.
        UsageError: options that do not fit the input.
    """
    dataset, spec = opened[0], asked.spec
    why = "saved statistics hold no more" if dataset is None else _why_grid(spec, wish)
    if why is None and dataset is not None:
        if dataset.unit.clustered and asked.conventions.confidence is not None:
            why = f"intervals by {dataset.unit.name} need the counts of each"
        elif not dataset.single:
            from calibcli.tasks.rows.breakpoints import outgrows_tally

            layout, columns = _counted_as(asked, dataset)
            if outgrows_tally(dataset, layout, calibrator=asked.mapping, columns=columns):
                return _at_positives(asked, dataset)
    found = asked.gather(opened=opened)
    used = found.overall.used
    if found.single or all(one.exact for one in used.classes):
        return found
    if why is None and found.dataset is not None:
        return _at_positives(asked, found.dataset)
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
    if wish.by_rows:
        return "a mean over rows needs the labels of all of them"
    if spec.groups:
        return "--group needs the counts of each group"
    gains = [str(one) for one in wish.constraints if not _spares_negatives(one)]
    return f"more false positives can help to meet {gains[0]}" if gains else None


def _spares_negatives(constraint: Constraint) -> bool:
    """Return whether fewer false positives alone never break a constraint."""
    if constraint.name in _BLIND:
        return True
    return constraint.at_least is not (constraint.name in _RISES)


def _counted_as(asked: Asked, dataset: Dataset) -> tuple[Layout, tuple[str, ...]]:
    """Return what is counted, without sums over several pairs, and the columns of groups."""
    quiet = replace(asked.conventions, confidence=None)
    columns = with_group_of(asked.spec, asked.mapping).groups
    return layout_of(dataset, asked.spec, quiet), columns


def _at_positives(asked: Asked, dataset: Dataset) -> Gathered:
    from calibcli.tasks.rows.breakpoints import count_at_positives

    spec = asked.spec
    layout, columns = _counted_as(asked, dataset)
    counted = count_at_positives(
        dataset,
        layout,
        calibrator=asked.mapping,
        columns=columns,
        threads=asked.threads,
        progress=asked.progress,
    )
    warnings = reading_warnings(dataset, counted.dropped, counted.unseen)
    # Only the classes are counted: no cut-off of several classes is chosen on pooled pairs.
    pooled = ScoreStats(CellTable.empty(weighted=spec.weighted))
    own = Population(dataset.task, pooled, (), counted.classes, rows_apart=True)
    return Gathered(
        dataset.task,
        dataset.classes,
        spec.logits,
        Slice(OVERALL, own),
        (),
        dataset.inputs,
        input_params(spec, dataset),
        counted.dropped,
        dataset,
        warnings,
    )
