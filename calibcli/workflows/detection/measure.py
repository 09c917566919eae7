"""`measure --task detection`: are the scores honest, and what is found, missed and false?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.results.warning import warned
from calibcli.errors import UsageError
from calibcli.workflows.detection.observed import (
    TASK,
    calibrated_scores,
    matching_warnings,
    observe,
)
from calibcli.workflows.detection.slices import detection_slices
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.input.warnings import FEW_ROWS, few_rows
from calibcli.workflows.measure.boxes import box_decisions
from calibcli.workflows.measure.measure import parsed_gates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.detection.pairs import Counted, Scene
    from calibcli.workflows.detection.artifacts import DetectionCuts
    from calibcli.workflows.detection.observed import DetectionOptions, Observed

Result = dict[str, Any]


def measure_detection(
    spec: InputSpec,
    options: DetectionOptions,
    conventions: Conventions,
    *,
    calibrator: str | None = None,
    thresholds: str | None = None,
    fail_if: Sequence[str] = (),
) -> Result:
    """Return every metric of detections with its interval by images, as the JSON result.

    Args:
        spec: the detections.
        options: what they are compared with.
        conventions: how to bin, where to cut, how sure to be.
        calibrator: path of a calibrator of detections, to show figures before and after.
        thresholds: path of thresholds: their NMS runs first, and their cut-offs are shown.
        fail_if: gates.

    Raises:
        InputError: unusable input or artifacts.
        UsageError: a gate that cannot be understood or evaluated, options of other tasks.
    """
    gates = parsed_gates(fail_if)
    seen = observe(spec, options)
    warnings = list(seen.warnings)
    loaded = cuts = None
    if calibrator is not None:
        from calibcli.workflows.detection.artifacts import fitting_calibrator

        loaded = fitting_calibrator(calibrator, seen)
        warnings += loaded.seen_before(seen)
    if thresholds is not None:
        from calibcli.workflows.detection.artifacts import fitting_cuts

        cuts = fitting_cuts(thresholds, seen, None if loaded is None else loaded.artifact)
        warnings += cuts.cautions(seen, calibrated=loaded is not None)
    if cuts is not None and cuts.nms and options.nms is not None:
        raise UsageError(
            f"{thresholds} suppresses boxes at an IoU of its own", "leave out --nms-iou"
        )
    used: dict[str | None, float | None] = {None: options.nms}
    if cuts is not None and cuts.nms:
        used = dict(cuts.nms)
    if loaded is not None:
        warnings += loaded.other_suppression(used)
    view = seen.scene(nms=cuts.least_nms if cuts is not None and cuts.nms else options.nms)
    kept = cuts.kept(view) if cuts is not None and cuts.nms else seen.suppressed(view)
    found = seen.counted(view, conventions.exact_at, kept=kept)
    warnings += matching_warnings(found, options)
    before = cuts is not None and not cuts.calibrated
    decided = found
    result = _result(seen, found, conventions, cuts if before else None, kept)
    if loaded is not None:
        score = calibrated_scores(loaded.artifact.calibrator, seen.data, logits=spec.logits)
        later = seen.scene(score)
        stays = None
        if kept is not None:  # NMS is by the scores of the model, whatever they are mapped to
            stays = _moved(view, later, kept)
        after = seen.counted(later, conventions.exact_at, kept=stays)
        decided = found if before else after
        mapped = _result(seen, after, conventions, None if before else cuts, stays)
        for one, other in zip(
            (result["overall"], *result["classes"]),
            (mapped["overall"], *mapped["classes"]),
            strict=True,
        ):
            one["calibrated"] = {k: v for k, v in other.items() if k != "slice"}
        result["params"]["calibrator"] = calibrator
    if cuts is not None:
        result["params"]["nms"] = cuts.nms_words()
        names = seen.data.classes
        result["decision"] = box_decisions(
            [decided] * len(names), cuts.cutoffs(names).tolist(), names, conventions.confidence
        )
    if found.pooled.n < FEW_ROWS:
        warnings.append(few_rows(found.pooled.n, "detection"))
    result |= warned(warnings)
    if gates:
        from calibcli.core.decisions.gates import evaluate_gates

        result["gates"] = [verdict.to_dict() for verdict in evaluate_gates(gates, result)]
    return result


def _moved(view: Scene, later: Scene, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mark on boxes in the order of one scene in that of another."""
    whole = kept.copy()
    whole[view.order] = kept
    moved: NDArray[np.bool_] = whole[later.order]
    return moved


def _result(
    seen: Observed,
    found: Counted,
    conventions: Conventions,
    cuts: DetectionCuts | None,
    kept: NDArray[np.bool_] | None,
) -> Result:
    of_class: dict[str, float] = {}
    shown = conventions
    if cuts is not None:
        of_class = cuts.by_class
        if cuts.overall is not None:
            shown = conventions.cutting(cuts.overall)
    view = found.matched.view

    def match_at(iou: float) -> Any:
        return seen.matched(view, iou=iou, kept=kept)

    overall, classes = detection_slices(found, shown, seen.data.size, match_at, of_class)
    stats = found.pooled
    return {
        "schema": "calibcli/measure",
        "version": 1,
        "calibcli": __version__,
        "inputs": seen.data.inputs,
        "params": {
            **seen.params(),
            **shown.to_dict(),
            "cells": "distinct scores" if stats.exact else f"grid of {stats.table.bits} bits",
        },
        "task": TASK,
        "overall": overall,
        "classes": classes,
        "groups": [],
        "gates": [],
        **warned(()),
    }
