"""The input of `apply`, opened as the calibrator was fitted, and the thresholds after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError, UsageError
from calibcli.io.failures import count_of
from calibcli.io.rows.dataset import open_dataset
from calibcli.workflows.input.gather import open_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.formats.source import Source
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

Result = dict[str, Any]


def opened(
    spec: InputSpec,
    loaded: LoadedCalibrator,
    sources: Sequence[Source],
    assumed: Result,
    *,
    keep: bool,
    typed: bool,
) -> Dataset:
    """Open the input; `assumed` holds the options that were taken from the calibrator, as None."""
    try:
        return open_for(
            loaded.calibrator,
            spec,
            sources,
            need_labels=False,
            keep_columns=keep,
            typed=typed,
        )
    except (InputError, UsageError):
        if not assumed or loaded.calibrator.method == "pool":
            raise
        # The task and the class names are not the user's own: say what does not fit them.
        plain = open_dataset(replace(spec, **assumed), need_labels=False, sources=sources)
        width = len(plain.classes) or 1
        if width == max(len(loaded.classes), 1):
            raise
        if not loaded.classes:
            raise InputError(
                f"the calibrator is for one score in each row, the input has {width}",
                "name the one it was fitted on: --score COL",
            ) from None
        raise InputError(
            f"the calibrator is for {len(loaded.classes)} classes, "
            f"the input has {count_of(width, 'score')} in each row",
            "name the score columns of these classes: --scores COL,COL",
        ) from None


def bound(spec: InputSpec, loaded: LoadedCalibrator, sources: Sequence[Source]) -> InputSpec:
    """Bind the score columns by the names that the calibrator was fitted on, where they exist."""
    names = loaded.stored.input.scores
    try:
        bound = replace(spec, scores=names) if loaded.classes else replace(spec, score=names[0])
        open_dataset(bound, need_labels=False, sources=sources)
    except InputError:
        return spec
    return bound
