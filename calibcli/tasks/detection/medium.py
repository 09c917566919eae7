"""Boxes as a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.results.warning import Warning
from calibcli.io.boxes.dataset import BoxDataset, open_boxes
from calibcli.tasks.detection.counter import BoxCounter
from calibcli.tasks.detection.found import Detections
from calibcli.tasks.features import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.formats.sources import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population

FEW_BUCKETS = 20


class Detection:
    """What boxes do in their own way."""

    counter = BoxCounter

    def open(
        self,
        spec: InputSpec,
        sources: Sequence[Source],
        *,
        need_labels: bool | None,
        keep_columns: bool,
        typed: bool,
    ) -> BoxDataset:
        """Open detections and objects; what they come with is kept by whoever writes them."""
        if spec.count is not None:
            refuse("--count", "boxes")
        return open_boxes(spec, sources, need_labels=need_labels)

    def params(self, spec: InputSpec, dataset: BoxDataset) -> dict[str, Any]:
        """Return the input options as they stand in the JSON."""
        params: dict[str, Any] = {
            "score": list(dataset.score_names) or None,
            "logits": spec.logits,
            "classes": list(dataset.classes),
            "ground_truth": spec.ground_truth,
            "iou": dataset.iou,
            "max_detections": dataset.limit,
            "matching": "greedy by score within an image and class, as COCO",
            "groups": list(spec.groups),
            "cluster": dataset.unit.name,
            "drop_invalid": spec.drop_invalid,
        }
        return params if spec.weight is None else {**params, "weight": spec.weight}

    def warnings(self, dataset: BoxDataset, population: Population) -> list[Warning]:
        """Return what is to be said of a matching."""
        found = population.extra
        if not isinstance(found, Detections):
            return []
        warnings = []
        if found.whole.limited:
            text = (
                f"{found.whole.limited:,} detections beyond the best {dataset.limit} of their "
                "image and class do not count"
            )
            warnings.append(Warning("cut-by-limit", text))
        objects = found.objects.sum(axis=1)
        absent = [repr(name) for name, n in zip(found.classes, objects, strict=True) if not n]
        if absent:
            more = ", …" if len(absent) > 5 else ""
            what = f"class {absent[0]} has" if len(absent) == 1 else f"{len(absent)} classes have"
            named = "" if len(absent) == 1 else f": {', '.join(absent[:5])}{more}"
            text = f"{what} no object to find, so no recall and no average precision{named}"
            warnings.append(Warning("no-objects", text))
        if len(np.unique(found.bucket)) < FEW_BUCKETS:
            warnings.append(Warning("few-images", "few images: the intervals are rough"))
        return warnings

    def artifact_input(self, dataset: BoxDataset) -> dict[str, Any]:
        """Return what a calibrator keeps of the input beside scores: COCO's category ids."""
        return {"categories": dataset.categories}


MEDIUM = Detection()
