"""The table of tasks: the one place that goes from the name of a task to what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.io.formats.sources import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.io.dataset import Dataset
    from calibcli.io.formats.sources import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.collect import Counter, Counts


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
    if spec.task == "segmentation":
        from calibcli.io.images.stacks import open_stacks

        return open_stacks(spec, need_labels=need_labels, sources=sources)
    from calibcli.io.rows.dataset import open_dataset as open_rows

    return open_rows(
        spec, need_labels=need_labels, keep_columns=keep_columns, typed=typed, sources=sources
    )


def counter_of(medium: str) -> Callable[[Counts], Counter]:
    """Return what counts the batches of a medium."""
    if medium == "images":
        from calibcli.tasks.segmentation.pixels import PixelCounter

        return PixelCounter
    from calibcli.tasks.collect import RowCounter

    return RowCounter
