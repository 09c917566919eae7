"""`fit --task detection`: one map for all classes, or one for each that borrows from the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.statistics.sketch import CAPACITY
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import write_artifact
from calibcli.tasks.collect import Population
from calibcli.tasks.features import refuse
from calibcli.tasks.watching import Watch
from calibcli.workflows.detection.observed import CLASS, TASK, matching_warnings, observe
from calibcli.workflows.fit.pairs import fit_binary
from calibcli.workflows.fit.result import artifact_of, group_rows, result_of
from calibcli.workflows.input.gather import Gathered, Slice

if TYPE_CHECKING:
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.detection.pairs import Counted
    from calibcli.workflows.detection.observed import DetectionOptions, Observed
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
MOST_DRAWN = 20
"""Classes up to which figures before and after have intervals: many take minutes."""


def fit_detection(
    spec: InputSpec,
    options: DetectionOptions,
    conventions: Conventions,
    wanted: FitOptions,
    *,
    output: str | None = None,
) -> Result:
    """Fit a calibrator to pairs (score, found an object); write it to `output`.

    Folds are of whole images. A class too small for a map of its own has the overall one.

    Raises:
        InputError: unusable input, nothing right or nothing wrong among the detections.
        UsageError: options of other tasks.
    """
    if wanted.models:
        refuse("fit --ensemble", "boxes")
    if wanted.per_group is not None:
        raise UsageError("--per-group is not for --task detection", "--per-class fits each class")
    if wanted.temperatures:
        wanted = replace(wanted, method="temperature")
    seen = observe(spec, options)
    view = seen.scene(nms=options.nms)
    found = seen.counted(view, conventions.exact_at, kept=seen.suppressed(view))
    if not found.pooled.positives or not found.pooled.negatives:
        which = "right" if found.pooled.positives else "wrong"
        raise InputError(
            f"all {found.pooled.n:,} detections are {which} at IoU {options.iou:g}: there is "
            "nothing to learn",
            "is the ground truth that of these images, and --iou what was meant?",
        )
    gathered = _gathered(seen, found)
    if wanted.per_class:
        from calibcli.workflows.fit.groups import fit_groups

        fitted = fit_groups(replace(gathered, task="binary"), CLASS, wanted)
    else:
        fitted = fit_binary(found.pooled, wanted)
    result = result_of(gathered, conventions, wanted, replace(fitted, groups=()))
    of_class = conventions
    if len(fitted.groups) > MOST_DRAWN:
        of_class = replace(conventions, confidence=None)
    result["groups"] = group_rows(fitted.groups, of_class)
    for part in (result, *result["groups"]):
        for side in ("before", "after"):  # of pairs alone, without the objects that were missed
            part[side]["metrics"].pop("average_precision")
    if output is not None:
        artifact = artifact_of(replace(gathered, classes=seen.data.classes), fitted, result)
        artifact["input"]["categories"] = seen.data.categories
        artifact["input"]["nms_iou"] = options.nms
        write_artifact(output, "calibrator", artifact)
    return result


def _gathered(seen: Observed, found: Counted) -> Gathered:
    """Return the pairs as other fits take them, the classes as values of a group column."""
    classes = tuple(
        Slice({"kind": "group", "column": CLASS, "value": name}, Population("binary", stats))
        for name, stats in zip(seen.data.classes, found.classes, strict=True)
        if stats.n
    )
    watch = Watch(CAPACITY)
    watch.add(seen.whole)
    return Gathered(
        TASK,
        (),
        seen.spec.logits,
        Slice({"kind": "overall"}, Population("binary", found.pooled)),
        classes,
        seen.data.inputs,
        {**seen.params(), "positive": None},
        seen.data.dropped,
        None,
        [*seen.warnings, *matching_warnings(found, seen.options)],
        watch=watch,
    )
