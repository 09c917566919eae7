"""What the tool reads of artifacts: of a calibrator beside its map, and of saved statistics."""

from __future__ import annotations

from typing import Any

from calibcli.core.results.base import Number, Record, field
from calibcli.core.results.figures import Where


class FittedInput(Record, frozen=True, kw_only=True):
    """What a calibrator was fitted on.

    Attributes:
        scores: names of the columns; none where they were not named.
        raw: how raw scores became logits, as `RawScale.from_dict` reads it.
        categories: COCO's ids of classes; `nms_iou` at which boxes had been suppressed.
    """

    scores: tuple[str, ...]
    logits: bool
    positive: str | None = None
    raw: dict[str, Any] | None = None
    categories: dict[str, Any] | None = None
    nms_iou: float | None = None


class FittedParams(Record, frozen=True, kw_only=True):
    """What of the options of a fit is used later."""

    label: str | None = None
    cluster: str | None = None
    confidence: float | None = None


class MapPoint(Record, frozen=True):
    """The calibrated probability at a score, and its interval."""

    score: float
    probability: float
    low: float | None
    high: float | None


class FittedFile(Record, frozen=True):
    """A file that an artifact was made of."""

    path: str
    rows: int | None
    digest: str | None = None


class FittedFigures(Record, frozen=True):
    """Figures of the rows that a calibrator was fitted on; each may be one of several records."""

    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """Return a figure, None where it is undefined or not there."""
        found: float | None = self.metrics.get(name, {}).get("value")
        return found


class StoredGroup(Record, frozen=True, kw_only=True):
    """One value of the group column of a fit.

    Attributes:
        weight: of its own map; one number, or one for each label.
        note: why it fell back, or nothing.
        stats: of its rows, as they are saved.
    """

    slice: Where
    rows: Number
    weight: Number | list[Number] = 0
    note: str = ""
    stats: dict[str, Any] | None = None


class StoredCalibrator(Record, frozen=True, kw_only=True):
    """A calibrator's artifact.

    Attributes:
        calibrator: the map, as `calibrator_from_dict` reads it.
        folds: the maps without each fold, of several classes, for the intervals of rows.
        data: digest of the rows, whatever their order; `digest` that of the artifact.
        stats: statistics of the rows before calibration, as they are saved; `model_stats` those
            under each model of a pool.
        sketch: of the rows, by which they are known again.
    """

    calibcli: str
    task: str
    classes: tuple[str, ...]
    method: str | None = None
    input: FittedInput
    calibrator: dict[str, Any]
    params: FittedParams = FittedParams()
    rows: int
    inputs: tuple[FittedFile, ...] = ()
    data: str | None = None
    before: FittedFigures = FittedFigures()
    groups: tuple[StoredGroup, ...] = ()
    map: tuple[MapPoint, ...] = ()
    folds: tuple[dict[str, Any], ...] = ()
    stats: dict[str, Any] | None = None
    model_stats: dict[str, dict[str, Any]] | None = None
    sketch: dict[str, Any] | None = None
    digest: str | None = None


class SavedFamilies(Record, frozen=True):
    """Statistics of all rows, and of each group with its `slice`, as `population_of` reads them."""

    overall: dict[str, Any]
    groups: tuple[dict[str, Any], ...]


class SavedStats(Record, frozen=True, kw_only=True):
    """Saved statistics of some rows."""

    task: str
    classes: tuple[str, ...]
    logits: bool
    inputs: tuple[FittedFile, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    families: SavedFamilies
