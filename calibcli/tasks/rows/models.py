"""One data set of several models' scores: the same rows, read once for each model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from calibcli.core.calibrators.composed.model_pool import averaged
from calibcli.errors import InputError, UsageError
from calibcli.io.formats.sources import expand
from calibcli.io.rows.dataset import InputSpec, open_dataset
from calibcli.io.task import OfTask
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.validity import missing_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.calibrators.composed.pooling import Pool
    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Unit
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.dataset import RowBatch, RowDataset
    from calibcli.io.rows.partition import RowPartition


@dataclass(frozen=True, slots=True)
class _Zipped:
    """The same partition of every model; `names` are each model's score columns."""

    parts: tuple[RowPartition, ...]
    names: tuple[tuple[str, ...], ...]
    task: str
    logits: bool

    @property
    def index(self) -> int:
        """Its place in the data set."""
        return self.parts[0].index

    @property
    def source_index(self) -> int:
        """The first model's file that it begins in."""
        return self.parts[0].source_index

    @property
    def first_row(self) -> int:
        """0-based row of that file at which it begins."""
        return self.parts[0].first_row

    @property
    def rows(self) -> int | None:
        """How many rows it has, or None where only reading tells."""
        return self.parts[0].rows

    def batches(self) -> Iterator[RowBatch]:
        """Read the models side by side. A row without a score of one model has no average."""
        for group in zip(*(part.batches() for part in self.parts), strict=True):
            first = group[0]
            if any(len(one) != len(first) for one in group):
                raise InputError(
                    f"{group[-1].source} has other rows than {first.source}",
                    "the models' scores must be of the same rows, in the same order",
                )
            scores = np.stack([one.scores for one in group], axis=1)
            missing = np.zeros(len(first), np.bool_)
            for one, names in zip(group, self.names, strict=True):
                found = missing_rows(one, self.task, names, logits=self.logits)
                if found is not None:
                    missing |= found
            scores[missing] = 0
            pool: Pool = "logit" if self.logits else "linear"
            average = averaged(scores.astype(np.float64), pool, logits=self.logits)
            average[missing] = np.nan
            yield replace(first, scores=average, models=scores)

    def noted(self) -> list[Any]:
        """Return what reading the partitions has found."""
        return [part.noted() for part in self.parts]

    def note(self, found: list[Any]) -> None:
        """Take in what reading these partitions elsewhere has found."""
        for part, own in zip(self.parts, found, strict=True):
            part.note(own)


@dataclass(frozen=True, slots=True)
class ModelDataset(OfTask):
    """What `Dataset` is for one model, for several; its batches carry each model's scores.

    Attributes:
        task: "binary" or "multiclass".
        classes: the K class names; () for binary.
    """

    datasets: tuple[RowDataset, ...]
    models: tuple[str, ...]
    files: bool
    logits: bool
    task: str = "binary"
    classes: tuple[str, ...] = ()

    medium: ClassVar[str] = "rows"

    @property
    def score_names(self) -> tuple[str, ...]:
        """The models."""
        return self.models

    @property
    def name(self) -> str:
        """What a user calls the task."""
        return self.task

    @property
    def unit(self) -> Unit:
        """What is independent."""
        return self.datasets[0].unit

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of scores."""
        found = self.datasets if self.files else self.datasets[:1]
        return tuple(path for one in found for path in one.paths)

    @property
    def schema(self) -> Any:
        """The columns of the first data set."""
        return self.datasets[0].schema

    @property
    def partitions(self) -> list[_Zipped]:
        """In row order."""
        parts = zip(*(one.partitions for one in self.datasets), strict=True)
        names = tuple(one.score_names for one in self.datasets)
        return [_Zipped(part, names, self.task, self.logits) for part in parts]

    @property
    def remarks(self) -> list[Warning]:
        """What is to be said of how the files were read."""
        return [remark for one in self.datasets for remark in one.remarks]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The files, each once."""
        found = self.datasets if self.files else self.datasets[:1]
        return [item for one in found for item in one.inputs]

    @property
    def raw_scale(self) -> None:
        """None: scores of models that are joined are probabilities or logits."""

    def by_content(self) -> ModelDataset:
        """Return the same, whose rows are known by what they hold for the first model."""
        first = self.datasets[0]
        counted = first.partitions and first.partitions[0].recipe.count is not None
        if counted or first.unit.clustered:
            return self
        return replace(self, datasets=(first.numbered(), *self.datasets[1:]))

    def batches(self) -> Iterator[RowBatch]:
        """Read everything, in row order, in this thread."""
        for partition in self.partitions:
            yield from partition.batches()


def open_models(
    spec: InputSpec,
    models: Sequence[str],
    *,
    files: bool | None = None,
    sources: Sequence[Source] | None = None,
    need_labels: bool = True,
    keep_columns: bool = False,
    typed: bool = False,
) -> ModelDataset:
    """Open the scores of several models of one binary label, or of the same classes.

    Args:
        spec: the input options; the score columns are set by the models.
        models: score columns, of several classes a pattern or a list column each; or score files.
        files: whether each model is a file; None: they are if all are among the paths.
        sources: what `expand` made of the paths before.
        need_labels: whether labels must be found.
        keep_columns: also hand over all columns of the first data set.
        typed: see `open_dataset`.

    Raises:
        UsageError: another task than binary or multi-class.
        InputError: files or columns that cannot be used, or that differ in rows or classes.
    """
    if files is None:
        files = set(models) <= set(spec.paths)
    if files and len(spec.paths) != len(models):
        raise UsageError(
            f"{len(spec.paths)} score files for {len(models)} models",
            "give one file for each model, in the same order",
        )
    if not files and sources is None:
        sources = expand(spec.paths, spec.input_format)
    datasets: list[RowDataset] = []
    for place, name in enumerate(models):
        own = replace(spec, paths=(spec.paths[place],)) if files else _of_columns(spec, name)
        keyed = files and place and spec.key is not None
        if keyed:
            bare = replace(spec, paths=spec.paths[:1], labels=None, weight=None, count=None)
            own = replace(bare, cluster=None, groups=())
        found = open_dataset(
            own if not place else replace(own, task=datasets[0].task),
            need_labels=need_labels and not place,
            keep_columns=keep_columns and not place,
            sources=None if files else sources,
            typed=typed,
            scores_beside=spec.paths[place] if keyed else None,
        )
        refuse("fit --ensemble", kind_of(found.task))
        datasets.append(found)
    first = datasets[0]
    for name, one in zip(models, datasets, strict=True):
        if one.classes != first.classes:
            raise InputError(
                f"{name} has the classes {', '.join(one.classes)}, "
                f"{models[0]} {', '.join(first.classes)}",
                "the models must score the same classes in the same order",
            )
    if len({len(one.partitions) for one in datasets}) > 1:
        raise InputError(
            "the models' files are not of the same rows", "give files of the same length and kind"
        )
    return ModelDataset(
        tuple(datasets), tuple(models), files, spec.logits, first.task, first.classes
    )


def _of_columns(spec: InputSpec, name: str) -> InputSpec:
    """Return the input options for the score columns of one model."""
    if spec.task == "multiclass" or set(name) & set("*?["):
        return replace(spec, score=None, scores=(name,))
    return replace(spec, score=name, scores=None)
