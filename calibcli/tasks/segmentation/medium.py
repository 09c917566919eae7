"""Images as a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.io.images.stacks import StackDataset, open_stacks
from calibcli.tasks.features import refuse
from calibcli.tasks.rows.medium import common_params
from calibcli.tasks.segmentation.pixels import PixelCounter
from calibcli.tasks.table import Medium

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from calibcli.core.results.warning import Warning
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.population import Population
    from calibcli.tasks.table import Opening


class Images(Medium):
    """What images do in their own way."""

    counter = PixelCounter

    def open(
        self, spec: InputSpec, sources: Sequence[Source], **how: Unpack[Opening]
    ) -> StackDataset:
        """Open stacks and folders of images; they have no columns to keep."""
        if spec.count is not None:
            refuse("--count", "masks")
        return open_stacks(spec, need_labels=how["need_labels"], sources=sources, rows=spec.pixels)

    def params(self, spec: InputSpec, dataset: StackDataset) -> dict[str, Any]:
        """Return the input options as they stand in the JSON."""
        return common_params(spec, dataset) | {
            "layout": (spec.layout or "NCHW").upper(),
            "ignore_label": spec.ignore_label,
            "scale": spec.scale,
        }

    def warnings(self, dataset: StackDataset, population: Population) -> list[Warning]:
        """Return what is to be said of what was counted: structures are judged by themselves."""
        return []


MEDIUM = Images()
