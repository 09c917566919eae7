"""Rows of tables as a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.io.rows.dataset import RowDataset, open_dataset
from calibcli.tasks.collect import RowCounter
from calibcli.tasks.table import Medium

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Dataset
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population
    from calibcli.tasks.table import Opening


class Rows(Medium):
    """What rows of tables, and of several models, do in their own way."""

    counter = RowCounter

    def open(
        self, spec: InputSpec, sources: Sequence[Source], **how: Unpack[Opening]
    ) -> RowDataset:
        """Open tables and arrays."""
        return open_dataset(spec, sources=sources, **how)

    def params(self, spec: InputSpec, dataset: Dataset) -> dict[str, Any]:
        """Return the input options as they stand in the JSON."""
        scale = dataset.raw_scale
        given = {
            "key": spec.key,
            "predicted": spec.predicted,
            "votes": spec.votes,
            "ignore_label": spec.ignore_label,
            "scale": spec.scale,
            "renormalise": spec.renormalise or None,
            "raw": None if scale is None else scale.to_dict(),
        }
        more = {name: value for name, value in given.items() if value is not None}
        return common_params(spec, dataset) | more

    def warnings(self, dataset: Dataset, population: Population) -> list[Warning]:
        """Return what is to be said of what was counted."""
        return []


def common_params(spec: InputSpec, dataset: Dataset) -> dict[str, Any]:
    """Return the options that rows and images have."""
    return {
        "score": list(dataset.score_names) or None,
        "label": spec.label,
        "labels": spec.labels,
        "logits": spec.logits and not spec.raw,
        "classes": list(dataset.classes) or None,
        "positive": spec.positive,
        "weight": spec.weight,
        "count": spec.count,
        "groups": list(spec.groups),
        "cluster": dataset.unit.name if dataset.unit.clustered else None,
        "drop_invalid": spec.drop_invalid,
    }


MEDIUM = Rows()
