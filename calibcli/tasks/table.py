"""The table of tasks: the one place that goes from the name of a task to what it does.

A task is of a medium: rows of tables, images, or boxes. What a medium does differently is in the
module of its folder, and nothing else knows the names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from calibcli.io.formats.sources import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from calibcli.core.results.parts.stored import FittedInput
    from calibcli.core.results.warning import Warning
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.dataset import Dataset
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population
    from calibcli.tasks.side import Counter, Counting

TASKS: Mapping[str | None, str] = {
    None: "rows",
    "binary": "rows",
    "multiclass": "rows",
    "multilabel": "rows",
    "segmentation": "images",
    "detection": "boxes",
}
"""The medium of each task; None where the scores tell which it is."""
_MODULES = {"rows": "rows", "images": "segmentation", "boxes": "detection"}


class Opening(TypedDict):
    """How files are opened; see `open_dataset`."""

    need_labels: bool | None
    keep_columns: bool
    typed: bool


class Medium(Protocol):
    """What a medium does in its own way."""

    row: str = "row"
    """What one of its pairs is called."""
    needs_all: tuple[str, ...] = ()
    """Metrics of pairs that mean nothing where something has no score."""

    @property
    def counter(self) -> Callable[[Counting], Counter]:
        """What counts its batches."""

    def open(self, spec: InputSpec, sources: Sequence[Source], **how: Unpack[Opening]) -> Dataset:
        """Open its files; see `open_dataset`."""

    def params(self, spec: InputSpec, dataset: Any) -> dict[str, Any]:
        """Return the input options as they stand in the JSON."""

    def warnings(self, dataset: Any, population: Population) -> list[Warning]:
        """Return what is to be said of what was counted."""

    def artifact_input(self, dataset: Any) -> dict[str, Any]:
        """Return what a calibrator keeps of the input beside scores and labels."""
        return {}

    def check_fit(self, pairs: ScoreStats, spec: InputSpec) -> None:
        """Refuse pairs that nothing can be learnt from, where the medium knows why.

        Raises:
            InputError: with the reason.
        """
        del pairs, spec  # most media know nothing of it

    def calibrator_warnings(self, fitted: FittedInput, spec: InputSpec) -> list[Warning]:
        """Return what is to be said of a calibrator whose input was read otherwise."""
        return []


def medium(name: str) -> Medium:
    """Return a medium: "rows", "images" or "boxes"; its module is imported when it is used."""
    found: Medium = import_module(f"calibcli.tasks.{_MODULES[name]}.medium").MEDIUM
    return found


def open_dataset(
    spec: InputSpec,
    *,
    need_labels: bool | None = True,
    keep_columns: bool = False,
    typed: bool = False,
    sources: Sequence[Source] | None = None,
) -> Dataset:
    """Open the files of any task.

    Args:
        spec: the input options.
        need_labels: True: labels must be found. False: none are read. None: if there are any.
        keep_columns: also hand over all columns of tables, as `Batch.table`.
        typed: give those of a CSV file types where all values allow.
        sources: what `expand` made of the paths before; a pipe can be read only once.

    Raises:
        InputError: files that cannot be used.
        UsageError: options that do not fit the task, or each other.
    """
    if sources is None:
        sources = expand(spec.paths, spec.input_format)
    return medium(TASKS.get(spec.task, "rows")).open(
        spec, sources, need_labels=need_labels, keep_columns=keep_columns, typed=typed
    )
