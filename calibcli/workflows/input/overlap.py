"""Were the rows at hand used to fit the calibrator? Then figures after it are in-sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.results.comparisons import Overlap
from calibcli.core.statistics.sketch import CURRENT_CAPACITY, FittedRows, overlap
from calibcli.errors import InputError
from calibcli.tasks.watching import Watch

if TYPE_CHECKING:
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

Result = dict[str, Any]


def fitted_rows(watch: Watch) -> Result | None:
    """Return what a calibrator keeps of its rows, as JSON; None where no rows were watched."""
    sketch = watch.sketch
    if not sketch.rows:
        return None
    return FittedRows.of(sketch, watch.seen, certain=watch.certain).to_dict()


def fitted_of(loaded: LoadedCalibrator) -> FittedRows | None:
    """Return what a calibrator keeps of its rows; None where it keeps nothing.

    Raises:
        InputError: it is damaged.
    """
    payload = loaded.stored.sketch
    if payload is None:
        return None
    try:
        return FittedRows.from_dict(payload)
    except ValueError as error:
        raise InputError(f"the calibrator holds {error}", "fit it again: calibcli fit") from error


def watch_of(loaded: LoadedCalibrator | None) -> Watch | None:
    """Return what sketches rows so that they can be compared with those of a fit."""
    fitted = None if loaded is None else fitted_of(loaded)
    return None if fitted is None else Watch(CURRENT_CAPACITY, fitted.digits, fitted.limit)


def found_overlap(
    loaded: LoadedCalibrator, watch: Watch | None, confidence: float | None = None
) -> Overlap:
    """Return the overlap of the rows that were watched with those of the fit."""
    fitted = fitted_of(loaded)
    if fitted is None:
        return Overlap(None, reason="the calibrator keeps no sketch of its rows")
    if watch is None or not watch.sketch.rows:
        return Overlap(None, reason="saved statistics have no rows")
    if watch.seen < fitted.digits:
        return Overlap(
            None,
            reason=f"scores of {watch.seen} bits, where those of the fit had {fitted.digits}",
        )
    return overlap(fitted, watch.sketch, confidence or 0.95)


def overlap_words(found: Overlap, rows: str = "rows") -> str:
    """Return how many of these rows (images, boxes) were used to fit; "" where none were."""
    if not found.value:
        return ""
    share = f"{_percent(found.value)} of these {rows}"
    if found.low is not None and found.high is not None:
        share += f" (between {_percent(found.low)} and {_percent(found.high)})"
    return share


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
