"""`apply --emit`: a calibrator, or the decisions after it, as source text; no scores are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.decisions.stored import REGIONS, SETS
from calibcli.errors import UsageError, did_you_mean
from calibcli.io.rows.keys import MISSING_GROUP
from calibcli.workflows.apply.opening import fitting_thresholds
from calibcli.workflows.input.loaded.loading import load_calibrator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.export.sql_scores import Scores
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

KINDS = ("sql", "python")


def emit(
    path: str,
    kind: str,
    *,
    score: str | None = None,
    scores: Sequence[str] | None = None,
    prior: str | None = None,
    thresholds: str | None = None,
) -> str:
    """Return a calibrator's mapping as source text, or the decisions of thresholds after it.

    Args:
        path: of the calibrator.
        kind: "sql" for one portable expression (of several classes one each), "python" for a
            module with `calibrate(score)`.
        score: name of the column, or of the parameter; default what it was fitted on, else "score"
            ("scores" for several classes).
        scores: names of the columns of several classes, in class order.
        prior: a prevalence to shift to, as a number; binary only.
        thresholds: path of thresholds, whose decisions are written in place of probabilities.

    Raises:
        InputError: no such calibrator or thresholds, or they do not fit.
        UsageError: a calibrator that cannot be written so, or an unusable name.
    """
    if kind not in KINDS:
        raise UsageError(f"--emit {kind!r}", did_you_mean(kind, KINDS) or "sql or python")
    loaded = load_calibrator(path)
    rule = None if thresholds is None else _rule(thresholds, loaded, kind, prior)
    title = f"{loaded.method} calibrator {_origin(loaded)}"
    if loaded.classes and loaded.shape:
        if prior is not None:
            raise UsageError("--emit with --prior is for binary scores", "shift with apply --prior")
        if kind == "sql":
            return _several(loaded, _columns(loaded, scores), rule)
        if scores is not None:
            raise UsageError("--scores names columns of SQL", "--score names the parameter")
        from calibcli.core.export.python import emit_rows

        name = score or "scores"
        return emit_rows(loaded.calibrator, loaded.classes, title, name, logits=loaded.logits)
    if scores is not None:
        raise UsageError("--scores is for several classes", "--score NAME")
    fitted = loaded.stored.input.scores
    column = score or (fitted[0] if fitted else "score")
    if kind == "sql" and (rule is not None or isinstance(loaded.calibrator, Grouped)):
        if prior is not None:
            raise UsageError("--emit with --prior is for one map", "shift with apply --prior")
        one = _scores(loaded, (column,))
        return (one.probability(0) if rule is None else one.decision(0, rule)) + "\n"
    pieces = loaded.calibrator.pieces(logits=loaded.logits)
    if prior is not None:
        pieces = pieces.shifted(_odds(loaded, prior))
        title += f", shifted to a prevalence of {prior}"
    if kind == "sql":
        from calibcli.core.export.sql import emit_sql

        return emit_sql(pieces, column, loaded.raw_scale) + "\n"
    from calibcli.core.export.python import emit_binary

    known = fitted[0] if fitted and fitted[0].isidentifier() else "score"
    kind = "logit" if loaded.logits and loaded.raw_scale is None else "score"
    return emit_binary(pieces, f"{kind}: {title}", score or known, loaded.raw_scale)


def _rule(path: str, loaded: LoadedCalibrator, kind: str, prior: str | None) -> Rule:
    """Return what decides after the calibrator.

    Raises:
        InputError: thresholds for other scores.
        UsageError: decisions that are no expression.
    """
    if kind != "sql":
        raise UsageError(
            "--emit python writes probabilities, not decisions",
            "calibcli.load(FILE).decide needs NumPy only; --emit sql writes them",
        )
    if prior is not None:
        raise UsageError("the thresholds were chosen without --prior", "leave it out")
    cuts = fitting_thresholds(path, loaded)
    if cuts.rule in (SETS, REGIONS):
        what = "a set of classes" if cuts.rule == SETS else "a region of an image"
        raise UsageError(f"{what} is no single value in SQL", "apply --thresholds writes them")
    return cuts.decider


def _several(loaded: LoadedCalibrator, columns: tuple[str, ...], rule: Rule | None) -> str:
    """Return the expressions of several classes or labels, as items of a SELECT."""
    from calibcli.core.export.sql import identifier

    if loaded.exclusive:
        if loaded.raw_scale is not None:
            raise UsageError("raw scores of several classes are not written in SQL", "use apply")
        from calibcli.core.export.sql_rows import ClassRows

        rows = ClassRows(loaded.calibrator, columns, loaded.classes, loaded.logits, MISSING_GROUP)
        if rule is not None:
            return rows.decision(rule) + "\n"
        found = [rows.probability(k) for k in range(len(columns))]
    else:
        labels = _scores(loaded, columns)
        found = [
            labels.probability(k) if rule is None else labels.decision(k, rule)
            for k in range(len(columns))
        ]
    what = "probability" if rule is None else "decision"
    named = zip(found, loaded.classes, strict=True)
    return ",\n".join(f"{text} AS {identifier(f'{what}_{name}')}" for text, name in named) + "\n"


def _scores(loaded: LoadedCalibrator, columns: tuple[str, ...]) -> Scores:
    from calibcli.core.export.sql_scores import Scores

    return Scores(loaded.calibrator, columns, loaded.logits, MISSING_GROUP, loaded.raw_scale)


def _columns(loaded: LoadedCalibrator, scores: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns of the scores of several classes, in class order.

    Raises:
        UsageError: as many names as there are no classes.
    """
    size = len(loaded.classes)
    if scores is not None:
        if len(scores) != size:
            raise UsageError(
                f"--scores names {len(scores)} columns, and there are {size} classes",
                f"in the order {','.join(loaded.classes)}",
            )
        return tuple(scores)
    fitted = loaded.stored.input.scores
    return fitted if len(fitted) == size else tuple(f"score_{name}" for name in loaded.classes)


def _origin(loaded: LoadedCalibrator) -> str:
    """Return where the calibrator comes from, so that a copy can be traced back."""
    stored = loaded.stored
    return f"({(stored.digest or '')[:19]}, calibcli {stored.calibcli})"


def _odds(loaded: LoadedCalibrator, prior: str) -> float:
    from calibcli.workflows.apply.prior import odds_ratio

    return odds_ratio(loaded, prior)
