"""What a data set is, whatever its files: partitions that yield batches of rows.

Tables, stacks of images, boxes and several models' scores all implement these protocols, so a pass
over them is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.warning import Warning
    from calibcli.io.content import Content
    from calibcli.io.rows.keys import Categories

    Rows = NDArray[np.bool_] | NDArray[np.integer[Any]]
    """Some rows of a batch: a mask (n,), or their places."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is independent of what: a row, an image, or what a cluster column names.

    Attributes:
        name: for messages and results.
        clustered: whether several rows can be of one unit.
    """

    name: str = "row"
    clustered: bool = False


ROW = Unit()
IMAGE = Unit("image", clustered=True)


class Batch(Protocol):
    """Consecutive rows of one source, as arrays."""

    @property
    def scores(self) -> NDArray[Any]:
        """Scores (n,) or (n, K), in the precision of the file; NaN where one is missing."""

    @property
    def labels(self) -> NDArray[Any] | None:
        """0/1 (n,), class indices (n,), or 0/1 (n, K); None if they were not asked for."""

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """Importance weights (n,), or None."""

    @property
    def count(self) -> NDArray[np.int64] | None:
        """How many identical rows each row stands for (n,), or None."""

    @property
    def groups(self) -> tuple[Categories, ...]:
        """One column of categories for each group column that is read."""

    @property
    def unit(self) -> NDArray[np.uint64] | None:
        """Hash of the identity of each row's unit (n,), the same in every file; None: itself."""

    @property
    def units(self) -> NDArray[np.uint64] | None:
        """The units that it is about, also of an image without boxes; None: each row is one."""

    @property
    def models(self) -> NDArray[Any] | None:
        """Scores of each of several models, (n, M) or (n, M, K); None of one model."""

    @property
    def table(self) -> Any:
        """All columns as a pyarrow.RecordBatch, when they are kept; else None."""

    @property
    def source(self) -> str:
        """The file as it may be shown."""

    @property
    def source_index(self) -> int:
        """Its place in the list of files."""

    @property
    def first_row(self) -> int:
        """0-based row of the source at which the batch begins."""

    @property
    def kept(self) -> NDArray[np.int64] | None:
        """Offsets (n,) from `first_row` of the rows, when some were left out; else None."""

    @property
    def dropped(self) -> int:
        """How many rows were left out: they have no label, or one that is to be ignored."""

    @property
    def ignored(self) -> int:
        """How many of those were to be ignored."""

    @property
    def rounding(self) -> float:
        """By how much each score of a row may have been rounded (quantised scores)."""

    @property
    def checked(self) -> bool:
        """Whether every score is known to be one."""

    def __len__(self) -> int:
        """Return the number of rows n."""

    def row(self, i: int) -> int:
        """Return the 0-based row in the source of row `i` of this batch."""

    def content(self, digits: int | None = None, limit: int | None = None) -> Content:
        """Return what its rows are known by, with scores rounded to a type of fewer bits.

        Rows of hashes above `limit` may be left out.
        """

    def take(self, rows: Rows) -> Batch:
        """Return some rows, which keep their places."""

    def rescored(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any] | None = None,
        source: str | None = None,
    ) -> Batch:
        """Return the same rows under other scores, and other labels or another file if given."""


class Partition(Protocol):
    """A part of a data set: read by itself, in any thread or process, as often as needed."""

    @property
    def index(self) -> int:
        """Its place in the data set."""

    @property
    def source_index(self) -> int:
        """The file that it begins in."""

    @property
    def first_row(self) -> int:
        """0-based row of that file at which it begins."""

    @property
    def rows(self) -> int | None:
        """How many rows it has, or None where only reading tells."""

    def batches(self) -> Iterator[Batch]:
        """Read it from its beginning."""

    def noted(self) -> Any:
        """Return what reading it in this process has found, for `note` where it came from."""

    def note(self, found: Any) -> None:
        """Take in what reading it in another process has found."""


class Dataset(Protocol):
    """Opened files: what they hold, and the partitions to read."""

    @property
    def task(self) -> str:
        """What a row is: "binary", "multiclass" or "multilabel"."""

    @property
    def exclusive(self) -> bool:
        """Whether the classes of a row exclude each other."""

    @property
    def labels(self) -> bool:
        """Whether a row has several labels, each of its own."""

    @property
    def single(self) -> bool:
        """Whether a row has one score and one label."""

    @property
    def name(self) -> str:
        """What a user calls the task: that of a row, "segmentation" or "detection"."""

    @property
    def medium(self) -> str:
        """What the files hold: "rows", "images" or "boxes"."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the scores; () for one score a row."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The score columns; () for arrays without names."""

    @property
    def unit(self) -> Unit:
        """What is independent."""

    @property
    def partitions(self) -> Sequence[Partition]:
        """In row order; the same for the same files."""

    @property
    def schema(self) -> Any:
        """The pyarrow.Schema of `Batch.table`, when all columns are kept."""

    @property
    def raw_scale(self) -> RawScale | None:
        """How scores that are no probabilities were turned into logits; None where they are."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of scores."""

    @property
    def remarks(self) -> list[Warning]:
        """What is to be said of how the files were read, after a pass."""

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """{"path", "rows"} of each file; rows is None before a pass where it is unknown."""

    def by_content(self) -> Dataset:
        """Return the same, whose units are known by what they hold, not by their place."""

    def batches(self) -> Iterator[Batch]:
        """Read everything, in row order, in this thread."""
