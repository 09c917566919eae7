"""Two saved results of `measure`: what was measured then, and what is measured now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.envelope import Input
from calibcli.core.results.saved import Pair, PairedSlice, SavedPair
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.results import is_result, read_result
from calibcli.io.failures import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.artifacts.results import SavedResult, SavedSlice

_OF_A_RUN = ("config", "config_options", "tags", "reference_rows")


def are_saved_results(paths: Sequence[str]) -> bool:
    """Return whether paths are two files of JSON, one of which `measure` has written.

    Raises:
        UsageError: such a file alone, or among others.
    """
    saved = [path for path in paths if is_result(path)]
    if not saved:
        return False
    if len(paths) != 2 or not all(path.endswith(".json") for path in paths):
        raise UsageError(
            f"{show(saved[0])} is a saved result, which is compared with one other",
            "name two: calibcli measure old.json new.json",
        )
    return True


def side_by_side(paths: Sequence[str]) -> SavedPair:
    """Return the figures of two saved results beside each other.

    Each interval is that of its own result. Whether the difference is more than chance can be said
    only of the rows themselves, with `--versus`; `apart` says that the intervals do not overlap.

    Raises:
        InputError: a file is no result, or the results are of different tasks.
    """
    first, second = (read_result(path) for path in paths)
    if first.task != second.task:
        raise InputError(
            f"{show(paths[0])} is of {first.task} scores, {show(paths[1])} of {second.task}",
            "results of one task are compared",
        )
    names = [*first.params, *(name for name in second.params if name not in first.params)]
    differ = {
        name: (first.params.get(name), second.params.get(name))
        for name in names
        if first.params.get(name) != second.params.get(name) and name not in _OF_A_RUN
    }
    warnings = [
        Warning(
            "other-conventions",
            f"the conventions differ: {name} is {_told(one)} and {_told(other)}",
        )
        for name, (one, other) in differ.items()
    ]
    return SavedPair(
        inputs=tuple(
            Input(path, _rows(one)) for path, one in zip(paths, (first, second), strict=True)
        ),
        params={name: value for name, value in first.params.items() if name not in differ},
        task=first.task,
        differ=differ,
        overall=_paired(first.overall, second.overall),
        classes=_matched(first.classes, second.classes),
        groups=_matched(first.groups, second.groups),
        warnings=tuple(one.text for one in warnings),
        warning_codes=tuple(one.code for one in warnings),
    )


def _rows(result: SavedResult) -> int | None:
    counts = [one.get("rows") for one in result.inputs]
    return sum(count for count in counts if isinstance(count, int)) if None not in counts else None


def _matched(first: Sequence[SavedSlice], second: Sequence[SavedSlice]) -> tuple[PairedSlice, ...]:
    """Return the slices that are in both results, in the order of the first."""
    there = {one.slice: one for one in second}
    return tuple(_paired(one, there[one.slice]) for one in first if one.slice in there)


def _paired(first: SavedSlice, second: SavedSlice) -> PairedSlice:
    """Return the figures of both; after calibration where a calibrator was used."""
    one, other = ((part.calibrated or part).metrics for part in (first, second))
    names = [*one, *(name for name in other if name not in one)]
    return PairedSlice(
        slice=first.slice,
        metrics={name: Pair.of(one.get(name), other.get(name)) for name in names},
    )


def _told(value: object) -> str:
    return "not set" if value is None else str(value)
