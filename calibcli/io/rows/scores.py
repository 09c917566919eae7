"""The scores of a frame: columns to (n,) or (n, K), scaled and normalised as the options say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.failures import bad_value
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.rows.place import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.rows.beside.view import View
    from calibcli.io.rows.recipe import Recipe

MOST_DECIMALS = 6
_SLACK = 1e-9


def scores_of(view: View, recipe: Recipe) -> NDArray[Any]:
    """Return the scores of a frame, (n,) or (n, K), in the file's own precision.

    Raises:
        InputError: a value that is no number, a row of another length, or, to be normalised, one
            whose sum is no matter of rounding.
    """
    frame, columns = view.frame, []
    for name in recipe.scores:
        place = Place(name, side=recipe.scores_beside)
        with view.blame(place):
            raw = view.raw(place)
            if recipe.rows:
                columns.append(_matrix(raw, recipe))
            else:
                columns.append(numbers(raw))
    if len(columns) == 1:
        values = columns[0]
    else:
        values = np.empty((frame.rows, len(columns)), dtype=np.result_type(*columns))
        for j, column in enumerate(columns):
            values[:, j] = column
    if recipe.scores_beside and view.unmatched is not None:
        lost = view.unmatched.reshape(-1, *([1] * (values.ndim - 1)))
        values = np.where(lost, np.nan, values)
    if recipe.scale is not None:
        values = values.astype(np.float64) / recipe.scale
    if recipe.raw_scale is not None:
        values = recipe.raw_scale.keyed(values)
    if recipe.renormalise:
        try:
            values = normalised(values)
        except BadValueError as error:
            raise bad_value(
                error, ", ".join(recipe.scores[:3]), view.path, frame.first_row + error.row
            ) from None
    if recipe.task == "multilabel":
        return values.reshape(-1, 1) if values.ndim == 1 else values
    if recipe.width == 1:
        return values[:, 0] if values.ndim == 2 else values
    if not recipe.reduce:
        return values
    if recipe.logits:
        with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the task reports
            difference: NDArray[Any] = values[:, 1].astype(np.float64) - values[:, 0]
        return difference
    return np.ascontiguousarray(values[:, 1])


def _matrix(raw: Any, recipe: Recipe) -> NDArray[Any]:
    if isinstance(raw, np.ndarray):
        return numbers(raw)
    from calibcli.io.formats.nested import LengthError, matrix

    try:
        return matrix(raw, recipe.width, recipe.names)
    except LengthError as error:
        if recipe.logits and recipe.width > 1:
            error.hint = "rows of different length: pad the shorter ones with -inf"
        raise


def decimals_of(values: NDArray[Any]) -> int | None:
    """Return to how many decimals values are rounded, the fewest that fit; None for more than 6.

    >>> decimals_of(np.array([0.25, 0.5])), decimals_of(np.array([1 / 3]))
    (2, None)
    """
    known = values[np.isfinite(values)].astype(np.float64)
    for decimals in range(MOST_DECIMALS + 1):
        shifted = known * 10.0**decimals
        # float32 has 24 bits: its 0.123 is 0.123 to seven digits.
        if (np.abs(shifted - np.round(shifted)) <= 1.2e-7 * np.abs(shifted)).all():
            return decimals
    return None


def rounding_slack(values: NDArray[Any]) -> float:
    """Return by how much rows of K probabilities may miss a sum of 1, by the decimals they have.

    0 where they are not rounded to some decimals.
    """
    decimals = decimals_of(values)
    if not decimals:
        return 0.0
    return float(values.shape[1] * 0.5 * 10.0**-decimals + _SLACK)


def normalised(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return rows of class probabilities (n, K) that were rounded, so that each sums to 1.

    Raises:
        BadValueError: a row whose sum misses 1 by more than the rounding of its values.
    """
    rows = values.astype(np.float64)
    total = rows.sum(axis=1)
    slack = max(rounding_slack(values), 1e-3)
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((np.abs(total - 1) > slack) | (rows < 0).any(axis=1))
    if wrong.size:
        problem = "its probabilities do not sum to 1, by more than their rounding explains"
        raise BadValueError(problem, int(wrong[0]), int(wrong.size))
    normal: NDArray[np.float64] = rows / total[:, None]
    return normal
