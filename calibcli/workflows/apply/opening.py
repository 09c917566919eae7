"""The input of `apply`, opened as its calibrator was fitted, its thresholds, and what it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.calibrators.identity import Identity
from calibcli.core.results.base import plain
from calibcli.core.results.parts.provenance import Provenance
from calibcli.core.results.parts.stored import FittedInput, StoredCalibrator
from calibcli.errors import InputError, UsageError
from calibcli.io.failures import count_of
from calibcli.io.rows.dataset import open_dataset
from calibcli.workflows.input.gather import open_for
from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
from calibcli.workflows.input.loaded.loading import load_thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.formats.source import Source
    from calibcli.io.rows.dataset import Dataset, InputSpec
    from calibcli.workflows.input.loaded.boxes import BoxCuts
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

    Cuts = LoadedThresholds | BoxCuts | None


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


def fitting_thresholds(path: str, loaded: LoadedCalibrator) -> LoadedThresholds:
    """Return thresholds that were chosen after a calibrator.

    Raises:
        InputError: no such artifact, or one for other scores or after another calibrator.
    """
    cuts = load_thresholds(path)
    if cuts.task != loaded.task or cuts.classes != loaded.classes:
        raise InputError(
            f"{path} is for other scores than the calibrator",
            "choose thresholds with --calibrator and the same score columns",
        )
    if not cuts.calibrated:
        raise InputError(
            f"{path} was chosen on uncalibrated scores",
            "choose them with --calibrator FILE, or leave the calibrator out: "
            "calibcli apply --thresholds FILE SCORES -o OUT",
        )
    loaded.check_cuts(path, cuts.stored.calibrator)
    return cuts


def without_calibrator(path: str) -> tuple[LoadedThresholds, LoadedCalibrator]:
    """Return thresholds of scores as they are, and the map that leaves these alone.

    Raises:
        InputError: no such artifact, or one that was chosen after a calibrator.
    """
    cuts = load_thresholds(path)
    if cuts.calibrated:
        raise InputError(
            f"{path} was chosen on calibrated probabilities",
            "give the calibrator too: calibcli apply CALIBRATOR SCORES --thresholds FILE -o OUT",
        )
    asked, same = cuts.stored.params, Identity()
    stored = StoredCalibrator(
        calibcli=__version__,
        task=cuts.task,
        classes=cuts.classes,
        method=same.method,
        input=FittedInput(logits=asked.logits, raw=asked.raw, scores=tuple(asked.score or ())),
        calibrator=same.to_dict(),
        rows=0,
    )
    logits = asked.logits or asked.raw is not None
    return cuts, LoadedCalibrator(cuts.task, cuts.classes, logits, same, plain(stored))


def made_by(calibrator: LoadedCalibrator | None, cuts: Cuts, columns: Sequence[str]) -> Provenance:
    """Return by which calibrator and thresholds columns are made."""
    digests = [None if one is None else one.stored.digest for one in (calibrator, cuts)]
    return Provenance(
        calibcli=__version__,
        calibrator=digests[0],
        thresholds=digests[1],
        columns=tuple(columns),
    )
