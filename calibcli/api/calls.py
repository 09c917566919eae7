"""`measure`, `fit`, `threshold` and `apply` for what is in memory.

Keywords are the options of the command of the same name, with `_` for `-`. An option that names a
file takes also what would be in it: a frame, an array, or the result of another call.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, overload

from calibcli.api.call import PREFIX, plain, run
from calibcli.api.data import has_columns, table
from calibcli.api.results import Chosen, Compared, Fitted, Measured, compared
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

__all__ = ["apply", "fit", "measure", "threshold"]


@overload
def measure(data: Sequence[Measured]) -> Compared: ...


@overload
def measure(data: Any, **options: Any) -> Measured: ...


def measure(
    data: Any,
    *,
    score: str | None = None,
    scores: str | Sequence[str] | None = None,
    label: Any = None,
    group: str | Sequence[str] | None = None,
    **options: Any,
) -> Measured | Compared:
    """Return every metric with its interval: is the model honest?

    Args:
        data: a DataFrame of pandas or Polars, anything with Arrow's C stream, a dict of columns,
            an array of scores (n,) or (n, K), or the path of a file. Two saved results of
            `measure`, or results themselves, are shown side by side, without other arguments.
        score: the column of one score a row.
        scores: the columns of several classes, or a pattern such as `p_*`.
        label: the column of labels, or the labels (n,) themselves.
        group: columns, for each of whose values the same is shown.
        options: of `calibcli measure`, such as `bins=20`, `logits=True`, `calibrator=fitted`.

    Raises:
        InputError: data that cannot be used.
        UsageError: options that are unknown or do not fit together.
    """
    given = {"score": score, "scores": scores, "label": label, "group": group, **options}
    if (pair := compared(_sources(data), given)) is not None:
        return pair
    document = run("measure", _sources(data), given)
    page = partial(_report, data, given)
    return Measured.of(document, page=page)


def fit(
    data: Any,
    *,
    score: str | None = None,
    scores: str | Sequence[str] | None = None,
    label: Any = None,
    method: str = "auto",
    **options: Any,
) -> Fitted:
    """Return the correction that is learnt from held-out data, with figures before and after.

    Args:
        data: as for `measure`, like the next three.
        score: the column of one score a row.
        scores: the columns of several classes.
        label: the column of labels, or the labels.
        method: of calibration, or "auto": chosen by cross-fitting.
        options: of `calibcli fit`; with `output`, the artifact is also written there.
    """
    given = {"score": score, "scores": scores, "label": label, "method": method, **options}
    document, artifact = _written("fit", "calibrator", data, given)
    return Fitted.of(document, artifact=artifact)


def threshold(
    data: Any,
    *,
    score: str | None = None,
    scores: str | Sequence[str] | None = None,
    label: Any = None,
    group: str | Sequence[str] | None = None,
    **options: Any,
) -> Chosen:
    """Return the cut-off that is chosen over every distinct score.

    Args:
        data: as for `measure`, like the next four.
        score: the column of one score a row.
        scores: the columns of several classes.
        label: the column of labels, or the labels.
        group: columns, in each of whose values the cut-off is judged.
        options: of `calibcli threshold`, such as `maximize="f1"`, `subject_to="recall>=0.8"` or
            `cost={"fp": 1, "fn": 4}`; with `output`, the artifact is also written there.

    Raises:
        AnswerNoError: a target that no cut-off reaches.
    """
    given = {"score": score, "scores": scores, "label": label, "group": group, **options}
    document, artifact = _written("threshold", "thresholds", data, given)
    return Chosen.of(document, artifact=artifact)


def apply(calibrator: Any, data: Any, **options: Any) -> Any:
    """Return the data with calibrated probabilities, and decisions, in every row.

    Args:
        calibrator: the result of `fit`, a loaded calibrator, or the path of one.
        data: as for `measure`.
        options: of `calibcli apply`, such as `thresholds=chosen`, `prior=0.1`.

    Returns:
        A frame of the same library with the added columns; for a dict of columns a dict; for an
        array the probabilities, in its shape.
    """
    if "output" in options:
        raise UsageError("apply returns what the command writes", "leave out output")
    with TemporaryDirectory(prefix=PREFIX) as name:
        framed = has_columns(data)
        path = Path(name) / ("out.arrow" if framed else "out.npy")
        if (
            not framed
            and not isinstance(data, str | Path)
            and options.get("thresholds") is not None
        ):
            raise UsageError("decisions are columns", "give a frame or a dict of columns")
        run("apply", [calibrator, data], {**options, "output": str(path)})
        if not framed:
            import numpy as np

            return np.load(path)
        from pyarrow import feather

        found = feather.read_table(str(path), memory_map=False)
        return _with_columns(data, found)


def _sources(data: Any) -> list[Any]:
    """Return the arguments of a command: several only where they are paths, or results."""
    kinds = str | Path | Measured
    several = isinstance(data, list | tuple) and all(isinstance(one, kinds) for one in data)
    return list(data) if several else [data]


def _written(name: str, kind: str, data: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Run a command that writes an artifact; return what it shows, and the artifact."""
    from dataclasses import replace

    from calibcli.io.artifacts.artifacts import completed, write_artifact
    from calibcli.workflows.input.loaded.loading import load

    wanted = options.pop("output", None)
    with TemporaryDirectory(prefix=PREFIX) as path:
        out = Path(path) / f"{kind}.json"
        document = run(name, _sources(data), {**options, "output": str(out)})
        loaded: LoadedCalibrator | LoadedThresholds = load(out)
    payload = completed(kind, plain(loaded.payload))
    if wanted is not None:
        write_artifact(str(wanted), kind, payload)
    return document, replace(loaded, payload=payload)


def _with_columns(data: Any, found: Any) -> Any:
    """Return data with the columns that it lacks."""
    before = table(data)
    added = [column for column in found.column_names if column not in before.column_names]
    new = found.select(added)
    if isinstance(data, dict):
        return {**data, **{name: new[name].to_numpy() for name in added}}
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return data.assign(**{name: new[name].to_pandas().array for name in added})
    if library == "polars":
        import polars

        return data.with_columns(polars.from_arrow(new))
    return found


def _report(data: Any, options: dict[str, Any], path: Any, **more: Any) -> None:
    run("report", _sources(data), {**options, **more, "output": str(path)})
