"""One data set of several models' scores: the same rows, read once for each model."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.fitting.model_pool import averaged
from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import Batch, Dataset, InputSpec, open_dataset
from calibcli.io.sources import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.io.dataset import Partition
    from calibcli.io.sources import Source


@dataclass(frozen=True, slots=True)
class ModelBatch(Batch):
    """A batch whose scores are the plain average of several models'.

    Attributes:
        models: (n, M) scores of each model.
    """

    models: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Zipped:
    """The same partition of every model."""

    parts: tuple[Partition, ...]
    logits: bool

    def batches(self) -> Iterator[ModelBatch]:
        """Read the models side by side."""
        for group in zip(*(part.batches() for part in self.parts), strict=True):
            first = group[0]
            if any(len(one) != len(first) for one in group):
                raise InputError(
                    f"{group[-1].source} has other rows than {first.source}",
                    "the models' scores must be of the same rows, in the same order",
                )
            scores = np.stack([one.scores for one in group], axis=1)
            pool = "logit" if self.logits else "linear"
            average = averaged(scores.astype(np.float64), pool, logits=self.logits)  # type: ignore[arg-type]
            own = {field.name: getattr(first, field.name) for field in fields(Batch)}
            yield ModelBatch(**{**own, "scores": average}, models=scores)


@dataclass(frozen=True, slots=True)
class ModelDataset:
    """What `Dataset` is for one model, for several; its batches are `ModelBatch`es."""

    datasets: tuple[Dataset, ...]
    models: tuple[str, ...]
    files: bool
    logits: bool

    task = "binary"
    classes: tuple[str, ...] = ()

    @property
    def score_names(self) -> tuple[str, ...]:
        """The models."""
        return self.models

    @property
    def schema(self) -> Any:
        """The columns of the first data set."""
        return self.datasets[0].schema

    @property
    def partitions(self) -> list[_Zipped]:
        """In row order."""
        parts = zip(*(one.partitions for one in self.datasets), strict=True)
        return [_Zipped(part, self.logits) for part in parts]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The files, each once."""
        found = self.datasets if self.files else self.datasets[:1]
        return [item for one in found for item in one.inputs]

    def batches(self) -> Iterator[ModelBatch]:
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
) -> Dataset:
    """Open the scores of several models of one binary label.

    Args:
        spec: the input options; `score` is set by the models.
        models: score columns, or score files.
        files: whether each model is a file; None: they are if all are among the paths.
        sources: what `expand` made of the paths before.
        need_labels: whether labels must be found.
        keep_columns: also hand over all columns of the first data set.
        typed: see `open_dataset`.

    Raises:
        UsageError: other files than models, or another task than binary.
        InputError: files or columns that cannot be used, or that differ in their rows.
    """
    if spec.task not in (None, "binary"):
        raise UsageError(f"--ensemble pools binary scores, not {spec.task}", "--task binary")
    if files is None:
        files = set(models) <= set(spec.paths)
    if files and len(spec.paths) != len(models):
        raise UsageError(
            f"{len(spec.paths)} score files for {len(models)} models",
            "give one file for each model, in the same order",
        )
    spec = replace(spec, scores=None, task="binary")
    if files:
        chosen = [replace(spec, paths=(path,)) for path in spec.paths]
        each: list[Sequence[Source] | None] = [None] * len(chosen)
    else:
        sources = expand(spec.paths, spec.input_format) if sources is None else sources
        chosen = [replace(spec, score=name) for name in models]
        each = [sources] * len(chosen)
    datasets = tuple(
        open_dataset(
            one,
            need_labels=need_labels and not place,
            keep_columns=keep_columns and not place,
            sources=own,
            typed=typed,
        )
        for place, (one, own) in enumerate(zip(chosen, each, strict=True))
    )
    if len({len(one.partitions) for one in datasets}) > 1:
        raise InputError(
            "the models' files are not of the same rows", "give files of the same length and kind"
        )
    return cast("Dataset", ModelDataset(datasets, tuple(models), files, spec.logits))
