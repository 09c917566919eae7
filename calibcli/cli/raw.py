"""What only probabilities have is refused of raw scores, with what makes them probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.cli.strict import typed
from calibcli.errors import UsageError
from calibcli.tasks.features import RAW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer

    from calibcli.io.rows.recipe import InputSpec

_BINNED = ("bins", "binning", "edges", "closed", "tolerance")


def refuse_raw(spec: InputSpec, given: Mapping[str, object]) -> None:
    """Refuse options that are about probabilities where scores are raw.

    Raises:
        UsageError: naming the first of them that is given.
    """
    if not spec.raw:
        return
    for name, value in given.items():
        if value:
            raise UsageError(f"{name} {RAW[0]}", RAW[1])


def refuse_bins(context: typer.Context, spec: InputSpec) -> None:
    """Refuse conventions of bins for raw scores, which have none."""
    refuse_raw(spec, {f"--{name}": typed(context, name) for name in _BINNED})


def cuts_of(spec: InputSpec, threshold: list[float] | None, calibrator: str | None) -> Any:
    """Return the conventions of --threshold: of raw scores they are in the scores' own unit."""
    if not spec.raw or calibrator is not None:
        return {"thresholds": tuple(threshold or [0.5])}
    return {"thresholds": (), "raw_cuts": tuple(threshold or ())}
