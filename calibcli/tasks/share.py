"""Some of the rows of a data set, whole units at a time: what folds leave, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calibcli.io.task import OfTask
from calibcli.tasks.pairs import row_buckets

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Batch, Dataset, Partition, Unit


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SharePartition:
    """The rows of a partition whose bucket is marked; they keep their places and so their folds."""

    whole: Partition
    buckets: NDArray[np.bool_]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    @property
    def rows(self) -> None:
        """How many rows it has: only reading tells."""
        return

    def batches(self) -> Iterator[Batch]:
        """Read it from its beginning."""
        for batch in self.whole.batches():
            here = self.buckets[row_buckets(batch)]
            if here.any():
                yield batch if here.all() else batch.take(here)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Share(OfTask):
    """The rows of a data set whose bucket is marked (64,)."""

    whole: Dataset
    buckets: NDArray[np.bool_]
    task: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", self.whole.task)

    @property
    def partitions(self) -> list[SharePartition]:
        """In row order; the same for the same files."""
        return [SharePartition(one, self.buckets) for one in self.whole.partitions]

    def by_content(self) -> Share:
        """Return itself: its units are those of the whole."""
        return self

    def batches(self) -> Iterator[Batch]:
        """Read everything, in row order, in this thread."""
        for partition in self.partitions:
            yield from partition.batches()

    # What does not depend on the rows, spelled out for the protocol.

    @property
    def name(self) -> str:
        """What a user calls the task."""
        return self.whole.name

    @property
    def medium(self) -> str:
        """What the files hold."""
        return self.whole.medium

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names."""
        return self.whole.classes

    @property
    def score_names(self) -> tuple[str, ...]:
        """The score columns."""
        return self.whole.score_names

    @property
    def unit(self) -> Unit:
        """What is independent."""
        return self.whole.unit

    @property
    def schema(self) -> Any:
        """The schema of all columns, when they are kept."""
        return self.whole.schema

    @property
    def raw_scale(self) -> RawScale | None:
        """How raw scores were turned into logits."""
        return self.whole.raw_scale

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of scores."""
        return self.whole.paths

    @property
    def remarks(self) -> list[Warning]:
        """What is to be said of how the files were read, after a pass."""
        return self.whole.remarks

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The files that the rows are of."""
        return self.whole.inputs
