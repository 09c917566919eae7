"""`apply --interval`: how sure the calibrated probability of each row is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.calibrators import VennAbers
from calibcli.core.fitting.map_intervals import MapPoint
from calibcli.core.fitting.row_intervals import BothLabels, Margins
from calibcli.core.numeric.scales import expit
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.fitting.row_intervals import RowInterval
    from calibcli.core.results.parts.stored import FittedPoint
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

COLUMNS = ("probability_low", "probability_high")


def interval_of(loaded: LoadedCalibrator, prior: str | None) -> RowInterval:
    """Return what tells the interval of rows that a calibrator of one score maps.

    Raises:
        UsageError: a calibrator, or a shift, whose interval is not known.
    """
    if prior is not None:
        raise UsageError(
            "--interval is of the map, and --prior moves what it returns", "leave one of them out"
        )
    one = loaded.calibrator
    if isinstance(one, VennAbers):
        return BothLabels(one)
    if loaded.group is not None:
        raise UsageError(
            f"--interval: the artifact has the interval of the map of all rows, not of each "
            f"{loaded.group}",
            "fit without --per-group",
        )
    if one.method == "identity":
        raise UsageError("--interval: identity has nothing that was fitted", "fit a method")
    found = Margins.of([_point(point, loaded) for point in loaded.stored.map])
    if found is None:
        raise UsageError(
            f"--interval: the {one.method} calibrator was written without the interval of its map",
            "fit one method of one score, without --no-ci",
        )
    return found


def _point(point: FittedPoint, loaded: LoadedCalibrator) -> MapPoint:
    """Return a point of the map, its score as a probability."""
    score = point.score
    if loaded.raw_scale is not None:
        score = float(expit(loaded.raw_scale.keyed(score)))
    return MapPoint(score, point.probability, point.low, point.high)
