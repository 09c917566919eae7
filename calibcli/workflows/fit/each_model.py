"""The scores of each model of a pool by themselves, as its calibrator keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.calibrators import Identity
from calibcli.core.calibrators.composed.model_pool import ModelPool
from calibcli.core.numeric.scales import expit, softmax
from calibcli.tasks.families import compact_stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.gather import Reading
    from calibcli.workflows.input.gathered import Gathered

MODEL_CELLS = 500
"""Cells of the statistics of each model in a calibrator."""


@dataclass(frozen=True, slots=True)
class _One(ModelPool):
    """A model alone, as it is; `place` is which."""

    place: int = 0

    def combine(self, scores: NDArray[Any], *, logits: bool) -> NDArray[Any]:
        """Return the probabilities of the model (n,) or (n, K)."""
        own = scores[:, self.place].astype(float)
        if not logits:
            return own
        return softmax(own) if self.n_classes else expit(own)


def plain_average(found: Gathered, models: tuple[str, ...]) -> ModelPool:
    """Return what a first pool is held against: the average of the models' scores as they are."""
    pool = "logit" if found.logits else "linear"
    files = bool(getattr(found.dataset, "files", False))
    average = cast("Any", "average"), cast("Any", pool)
    return ModelPool(models, files, *average, (Identity(),), (), len(found.classes))


def of_each_model(
    found: Gathered, reading: Reading, models: tuple[str, ...]
) -> dict[str, Population]:
    """Return the rows under the scores of each model alone, one pass a model."""
    average = plain_average(found, models)
    rows = {}
    for place, name in enumerate(models):
        one = _One(
            models, average.files, average.first, average.pool, (), (), average.n_classes, place
        )
        rows[name] = reading.read((found.dataset, ()), one).overall.used
    return rows


def model_stats(rows: dict[str, Population]) -> dict[str, Any]:
    """Return what an artifact keeps of each model's scores."""
    return {"model_stats": {name: compact_stats(one, MODEL_CELLS) for name, one in rows.items()}}
