"""What a calibrator remembers of its scores and labels, where the options say nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.core.decisions.stored import StoredThresholds
from calibcli.core.numeric.raw_scale import stored_scale
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import read_as
from calibcli.io.formats.buffers import ARRAY
from calibcli.io.formats.readers import open_reader
from calibcli.io.formats.sources import expand
from calibcli.io.task import Task
from calibcli.tasks.table import TASKS

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.io.rows.columns import Columns
    from calibcli.io.rows.recipe import InputSpec


def remembered(spec: InputSpec, calibrator: str | None, thresholds: str | None = None) -> InputSpec:
    """Return input options with the columns, classes and positive label of a calibrator's fit.

    They are taken where nothing else is named and the files have these columns. Thresholds remember
    how raw scores were read.

    Raises:
        InputError: a file or an artifact that cannot be read.
        UsageError: see `with_scale`.
    """
    if TASKS.get(spec.task, "rows") != "rows":
        return spec
    if calibrator is not None:
        spec = _of_calibrator(spec, calibrator)
    if thresholds is not None:
        _, stored = read_as(thresholds, "thresholds", StoredThresholds)
        if not stored.calibrated:
            scale = stored_scale(stored.params.raw)
            spec = with_scale(spec, scale, f"{thresholds} was chosen")
    return spec


def _of_calibrator(spec: InputSpec, calibrator: str) -> InputSpec:
    _, stored = read_as(calibrator, "calibrator", StoredCalibrator)
    if TASKS.get(stored.task) == "boxes" or stored.method == "pool":
        return spec
    sources = expand(spec.paths, spec.input_format)
    if sources[0].kind == "stats":
        return spec
    columns = open_reader(sources[0]).columns
    names = stored.input.scores
    if spec.score is None and spec.scores is None and names and _all_in(names, columns):
        if not stored.classes:
            spec = replace(spec, score=names[0])
        else:
            spec = replace(spec, scores=names, classes=spec.classes or stored.classes)
    if spec.positive is None and not Task(stored.task).exclusive:
        spec = replace(spec, positive=stored.input.positive)
    spec = with_scale(spec, stored_scale(stored.input.raw), "the calibrator was fitted")
    label = stored.params.label
    if label is not None and spec.label is None:
        beside = columns if spec.labels is None else open_reader(expand((spec.labels,))[0]).columns
        if label in beside:
            spec = replace(spec, label=label)
    return spec


def with_scale(spec: InputSpec, scale: RawScale | None, made: str) -> InputSpec:
    """Return input options that read raw scores as an artifact does; `made` says how it was.

    Raises:
        InputError: two artifacts that read raw scores differently.
        UsageError: raw scores for an artifact of others, or the other way up.
    """
    if scale is None:
        if spec.raw:
            raise UsageError(f"{made} on scores that are no raw ones", "leave out --raw")
        return spec
    if spec.raw_scale not in (None, scale):
        raise InputError(
            f"{made} on raw scores of another scale than the calibrator",
            "choose thresholds of what the calibrator puts out: threshold --calibrator FILE",
        )
    if spec.descending and not scale.descending:
        raise UsageError(f"{made} on scores of which high ones mean 1", "leave out --descending")
    return replace(spec, raw=True, logits=True, descending=scale.descending, raw_scale=scale)


def _all_in(names: tuple[str, ...], columns: Columns) -> bool:
    return set(columns) != {ARRAY} and all(name in columns for name in names)
