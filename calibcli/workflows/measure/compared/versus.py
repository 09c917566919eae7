"""`measure --versus`: a second model on the same rows, and which has the better probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from calibcli.core.comparison.paired import (
    NEAR_ZERO,
    bounds,
    bounds_apart,
    surely_wrong,
)
from calibcli.core.results.comparisons import Contrast, Difference, Versus
from calibcli.errors import InputError, UsageError
from calibcli.io.rows.dataset import RowDataset
from calibcli.io.rows.dataset import open_dataset as open_rows
from calibcli.tasks.collect import count
from calibcli.tasks.rows.models import ModelDataset
from calibcli.tasks.rows.versus import Model, Sides, paired_sums, sides
from calibcli.tasks.table import open_dataset
from calibcli.workflows.input.gather import gather
from calibcli.workflows.measure.compared.verdicts import RANKING, ranking_verdict, verdict
from calibcli.workflows.measure.compared.versus_raw import Ranked, ranking_of
from calibcli.workflows.measure.compared.versus_slices import calibrated_first, of_class, of_group
from calibcli.workflows.measure.slices import metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.comparisons import SliceContrast
    from calibcli.core.results.warning import Warning
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.tasks.collect import Layout, Population
    from calibcli.tasks.rows.versus import Change, Side
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice

_SAME = ("n", "prevalence", "brier_uncertainty", "nll_uncertainty")
MOST_SLICES = 50
"""Classes and groups that are compared one by one: each takes two more passes."""
_NO_INTERVAL = "no interval: a statistic of a test"


def versus(
    found: Gathered,
    asked: Asked,
    other: str,
    *,
    columns: tuple[str, ...] = (),
    periods: Sequence[Slice] = (),
    warnings: list[Warning] | None = None,
) -> Versus:
    """Return the paired differences of every metric, second model less first.

    Args:
        found: what the first model's pass gathered.
        asked: how its rows were read; it is compared after the calibrator too, if there is one,
            with the second as it is.
        other: a score column of the same files (for several classes a glob or K columns), or a
            file of scores of the same rows in the same order.
        columns: the group columns that the batches carry.
        periods: compared one by one too: slices of one of these columns.
        warnings: is told what is to be said of how the files were joined.

    Raises:
        InputError: no such column or file, or other rows.
        UsageError: saved statistics, which know nothing of single rows.
    """
    if found.dataset is None:
        raise UsageError(
            "--versus compares row by row, and saved statistics have no rows",
            "give the score files instead",
        )
    first, spec, conventions = found.dataset, asked.spec, asked.conventions
    calibrator = asked.mapping
    if found.medium == "boxes":
        from calibcli.workflows.measure.compared.versus_boxes import versus_boxes

        second = gather(replace(spec, paths=(other,)), conventions)
        return versus_boxes(found, second, conventions, other, calibrated=calibrator is not None)
    if isinstance(first, ModelDataset):
        raise UsageError(
            "--versus compares a model with another, and the calibrator pools several",
            "compare one of them, or apply the calibrator first and compare its probabilities",
        )
    if isinstance(first, RowDataset) and spec.count is not None:
        first = first.as_read()
    rival, name, source = _second(first, spec, other)
    if (rival.task, len(rival.classes)) != (found.task, len(found.classes)):
        raise InputError(
            f"{name} holds {rival.task} scores of {len(rival.classes) or 'no'} classes, not "
            f"{found.task} ones of {len(found.classes) or 'no'} as the first model",
            "compare models of the same task and classes",
        )
    layout = replace(
        asked.with_groups().layout(first),
        medium="rows",
        # Rows that the other file does not have are in neither of both.
        drop_invalid=spec.drop_invalid or spec.key is not None,
    )
    parts = sides(first, rival, layout, (first.paths[0], name))
    scales = first.raw_scale, rival.raw_scale
    ranked = None
    if scales[0] is not None and scales[1] is not None:
        ranked = Ranked(scales[0], scales[1])
    pair = _Pair(parts, conventions, asked.threads, found.clustered, ranked)
    overall = pair.compared(layout, found.overall.population, None, name)
    if warnings is not None and spec.key is not None:
        warnings += rival.remarks
    calibrated = None
    if calibrator is not None and found.overall.calibrated is not None and ranked is None:
        change, after = calibrated_first(calibrator, columns, layout)
        calibrated = pair.compared(after, found.overall.calibrated, change, name)

    def apart(own: Slice, kind: str = "group") -> SliceContrast:
        change = of_group(columns.index(own.column), own.value)
        compared = pair.compared(layout, own.population, change, name)
        return compared.of(structs.replace(own.where, kind=kind))

    few = bool(periods) and len(periods) <= MOST_SLICES
    whole = Versus(
        score=name,
        source=source,
        metrics=overall.metrics,
        verdict=overall.verdict,
        calibrated=calibrated,
        periods=tuple(apart(own, "period") for own in periods) if few else None,
    )
    slices = found.class_slices
    if len(slices) + len(found.groups) > MOST_SLICES:
        note = f"more than {MOST_SLICES} classes and groups are not compared one by one"
        return structs.replace(whole, note=note)
    classes = []
    for k, own in enumerate(slices):
        change, one_class = of_class(k, layout)
        classes.append(pair.compared(one_class, own.population, change, name).of(own.where))
    untold = None
    if periods and not few:
        untold = f"more than {MOST_SLICES} periods are not compared one by one"
    elif ranked is not None and calibrator is not None:
        untold = "raw scores are compared as they are, not after the calibrator"
    return structs.replace(
        whole,
        note=untold,
        classes=tuple(classes),
        groups=tuple(map(apart, found.groups)),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two models on the same rows, compared as often as there are slices."""

    parts: list[Side]
    conventions: Conventions
    threads: int | None
    clustered: bool
    ranked: Ranked | None = None

    def compared(
        self, layout: Layout, before: Population, change: Change | None, name: str
    ) -> Contrast:
        """Return the differences of some of the rows; `before` is the first model's count."""
        parts = [replace(part, change=change) for part in self.parts]
        after = _counted(parts, layout, self.threads, second=True)
        if layout.drop_invalid:  # the rows that both models have
            before = _counted(parts, layout, self.threads, second=False)
        metrics = self._differences(parts, before, after, layout)
        if self.ranked is None:
            return Contrast(metrics, verdict(metrics, name))
        metrics |= self.ranked.cut(parts, layout, self.conventions, self.threads)
        return Contrast(metrics, ranking_verdict(metrics, name))

    def _differences(
        self, parts: list[Side], before: Population, after: Population, layout: Layout
    ) -> dict[str, Difference]:
        level, binning = self.conventions.confidence, self.conventions.headline
        names = None
        if self.ranked is None:
            first, second = (metrics_of(one, self.conventions, level) for one in (before, after))
        else:
            first, second = (ranking_of(one, self.conventions) for one in (before, after))
            names = RANKING
        errors: dict[str, float] = {}
        quantile = 0.0
        if level is not None:
            models = Model(before, binning, names), Model(after, binning, names)
            sums = paired_sums(parts, models, layout, self.threads)
            values = sums.errors(clustered=self.clustered).tolist()
            errors = dict(zip(models[0].names, values, strict=True))
            quantile = sums.quantile(level, clustered=self.clustered)
        found: dict[str, Difference] = {}
        for name in first:
            if name in _SAME:
                continue
            both = first[name], second[name]
            sides, reason = (both[0][0], both[1][0]), both[0][3] or both[1][3]
            ends = None
            one = Difference.of(*sides)
            if one.value is not None and level is not None:
                if name in errors and (name not in NEAR_ZERO or all(map(surely_wrong, both))):
                    ends = bounds(one.value, errors[name], quantile)
                ends = ends or bounds_apart(*both)
                reason = reason or (_NO_INTERVAL if ends is None else None)
            found[name] = Difference.of(*sides, ends, reason)
        return found


def _second(
    first: Dataset, spec: InputSpec, other: str
) -> tuple[Dataset, str, Literal["column", "file"]]:
    """Open the second model's scores: a column of the same files, else a file."""
    if not isinstance(first, RowDataset):
        return open_dataset(replace(spec, paths=(other,))), other, "file"
    bare = replace(
        spec,
        label=None,
        labels=None,
        positive=None,
        weight=None,
        count=None,
        cluster=None,
        groups=(),
        raw_scale=None,  # another model has a unit of its own
    )
    bare = replace(bare, task=first.task, classes=first.classes or None)
    names = tuple(part.strip() for part in other.split(","))
    column = (
        replace(bare, score=None, scores=names) if first.classes else replace(bare, score=other)
    )
    try:
        return open_dataset(column, need_labels=False, sources=first.sources), other, "column"
    except InputError as error:
        if not (Path(other).exists() or "://" in other):
            if first.score_names:
                raise
            raise InputError(f"no such file: {other}", error.hint) from None
    file = replace(bare, input_format=None, label=spec.label, positive=spec.positive)
    for own in (file, replace(file, score=None, scores=None)):
        try:
            if spec.key is None:
                return open_dataset(replace(own, paths=(other,)), need_labels=None), other, "file"
            second = open_rows(own, need_labels=None, sources=first.sources, scores_beside=other)
        except InputError:
            if own == replace(own, score=None, scores=None):
                raise
        else:
            return second, other, "file"
    raise AssertionError  # the second one of both has no columns of its own


def _counted(parts: list[Side], layout: Layout, threads: int | None, *, second: bool) -> Population:
    side = Sides([replace(part, second=second) for part in parts])
    return count(side, layout, threads=threads).overall.population()
