"""`apply --emit`: a calibrator as an SQL expression or a Python function; no scores are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.errors import UsageError, did_you_mean
from calibcli.tasks.features import kind_of, refuse
from calibcli.workflows.input.loaded import load_calibrator

if TYPE_CHECKING:
    from calibcli.workflows.input.loaded import LoadedCalibrator

KINDS = ("sql", "python")


def emit(path: str, kind: str, *, score: str | None = None, prior: str | None = None) -> str:
    """Return a calibrator's mapping as source text.

    Args:
        path: of the calibrator.
        kind: "sql" for one portable expression, "python" for a module with `calibrate(score)`.
        score: name of the column, or of the parameter; default what it was fitted on, else "score"
            ("scores" for several classes).
        prior: a prevalence to shift to, as a number; binary only.

    Raises:
        InputError: no such calibrator.
        UsageError: a calibrator that cannot be written so, or an unusable name.
    """
    if kind not in KINDS:
        raise UsageError(f"--emit {kind!r}", did_you_mean(kind, KINDS) or "sql or python")
    loaded = load_calibrator(path)
    title = f"{loaded.payload.get('method', loaded.calibrator.method)} calibrator {_origin(loaded)}"
    if loaded.classes and loaded.shape:
        if kind == "sql":
            refuse("apply --emit sql", kind_of(loaded.task))
        if prior is not None:
            raise UsageError("--emit with --prior is for binary scores", "shift with apply --prior")
        from calibcli.core.export.python import emit_rows

        name = score or "scores"
        return emit_rows(loaded.calibrator, loaded.classes, title, name, logits=loaded.logits)

    pieces = loaded.calibrator.pieces(logits=loaded.logits)
    if prior is not None:
        pieces = pieces.shifted(_odds(loaded, prior))
        title += f", shifted to a prevalence of {prior}"
    fitted = loaded.payload["input"]["scores"]
    if kind == "sql":
        from calibcli.core.export.sql import emit_sql

        name = score or (fitted[0] if fitted else "score")
        return emit_sql(pieces, name, loaded.raw_scale) + "\n"
    from calibcli.core.export.python import emit_binary

    known = fitted[0] if fitted and fitted[0].isidentifier() else "score"
    kind = "logit" if loaded.logits and loaded.raw_scale is None else "score"
    return emit_binary(pieces, f"{kind}: {title}", score or known, loaded.raw_scale)


def _origin(loaded: LoadedCalibrator) -> str:
    """Return where the calibrator comes from, so that a copy can be traced back."""
    digest = str(loaded.payload.get("digest", ""))[:19]
    return f"({digest}, calibcli {loaded.payload['calibcli']})"


def _odds(loaded: LoadedCalibrator, prior: str) -> float:
    from calibcli.workflows.apply.prior import odds_ratio

    return odds_ratio(loaded, prior)
