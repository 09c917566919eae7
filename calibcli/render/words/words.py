"""The words of a result: its conventions, the names of its slices, what a figure is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.provenance import Provenance
from calibcli.core.results.reading import typed_as
from calibcli.render.words import figures, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_TOLERANCE: Final = 0.05


def made_by(result: Mapping[str, Any]) -> str:
    """Return whose scores were measured, where their files say it; empty where they do not.

    Digests are shown by their first twelve digits.
    """
    scores = tuple((result.get("params") or {}).get("score") or ())
    told = []
    for one in result.get("inputs") or []:
        if one.get("applied") is None:
            continue
        made = typed_as(one["applied"], Provenance)
        if made.made(scores):
            said = f"calibrated by {short_digest(made.calibrator)}"
            told.append(
                f"{said}, decided by {short_digest(made.thresholds)}" if made.thresholds else said
            )
        elif made.calibrator is not None:
            told.append(f"scores before the calibrator {short_digest(made.calibrator)}")
        elif made.thresholds is not None:
            told.append(f"decided by {short_digest(made.thresholds)}")
    return "; ".join(dict.fromkeys(told))


def short_digest(digest: str | None) -> str:
    """Return the first twelve digits of a digest."""
    return "" if digest is None else digest.removeprefix("sha256:")[:12]


def bins_words(params: Mapping[str, Any], bins: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the binning in words, for example `15 equal-width bins, (lo, hi]`."""
    ends = "[lo, hi)" if params.get("closed") == "left" else "(lo, hi]"
    wanted = params.get("bins")
    number = wanted[0] if isinstance(wanted, (list, tuple)) and wanted else wanted or len(bins)
    if params.get("edges"):
        return f"{len(params['edges']) - 1} bins with given edges, {ends}"
    if params.get("binning") == "mass":
        used = f", {len(bins)} used" if bins and number and len(bins) != number else ""
        return f"{number} equal-mass bins{used}, {ends}"
    return f"{number} equal-width bins, {ends}"


def binning_words(row: Mapping[str, Any]) -> str:
    """Return one row of `ece_by_bins` in words, for example `15 equal-mass bins (14 used)`."""
    kind = str(row.get("binning", ""))
    kinds = {"width": "equal-width ", "mass": "equal-mass "}
    text = f"{row['bins']} {kinds.get(kind, '')}bins"
    if kind == "edges":
        text += " with given edges"
    used = row.get("used")
    return text if used in {None, row["bins"]} else f"{text} ({used} used)"


def other_binning(result: Mapping[str, Any]) -> str:
    """Return ECE under the one other binning of a result; with several there is a table."""
    rows = result["overall"].get("ece_by_bins") or []
    if len(rows) != 2:
        return ""
    text = f"with {binning_words(rows[1])}: ECE {figures.with_interval(rows[1]['ece'])}"
    after = (result["overall"].get("calibrated") or {}).get("ece_by_bins") or []
    return f"{text} to {figures.with_interval(after[1]['ece'])}" if len(after) == 2 else text


def confidence_of(params: Mapping[str, Any]) -> float:
    """Return the confidence level of the intervals (0.95 when the result does not say)."""
    level = params.get("confidence")
    return float(level) if level else 0.95


def odds(params: Mapping[str, Any]) -> str:
    """Return in how many cases an interval misses once, for example 20."""
    return figures.short(1 / max(1 - confidence_of(params), 1e-9))


def falling(params: Mapping[str, Any]) -> bool:
    """Whether low scores mean label 1, and what is cut is raw scores."""
    return bool((params.get("raw") or {}).get("descending")) and not params.get("calibrator")


def conventions(result: Mapping[str, Any]) -> str:
    """Return the conventions behind the headline numbers, in one line."""
    params = result.get("params", {})
    bins = result.get("overall", {}).get("bins", [])
    level = f"{confidence_of(params) * 100:.6g}% intervals"
    has_any = any(m.get("low") is not None for m in result["overall"]["metrics"].values())
    parts = [bins_words(params, bins), level if has_any else "no intervals"]
    raw = params.get("raw")
    if raw and not bins:
        after = (result["overall"].get("calibrated") or {}).get("bins")
        parts[0] = f"{'low' if raw['descending'] else 'high'} scores mean label 1"
        parts[0] += f"; {bins_words(params, after)}" if after else ""
    if params.get("cluster"):
        parts.append(f"clusters by {names.visible(params['cluster'])}")
    return ", ".join(parts[:1]) + "; " + ", ".join(parts[1:])


def settings(result: Mapping[str, Any]) -> str:
    """Return which options came from a project file, in one line; empty without any."""
    params = result.get("params") or {}
    given = params.get("config_options") or {}
    parts = [name if value is True else f"{name} {_listed(value)}" for name, value in given.items()]
    return names.visible(f"from {params['config']}: {', '.join(parts)}") if parts else ""


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def tolerance_of(params: Mapping[str, Any]) -> float:
    """Return the gap up to which a bin passes as honest."""
    tolerance = params.get("tolerance")
    return DEFAULT_TOLERANCE if tolerance is None else float(tolerance)


def task_of(result: Mapping[str, Any]) -> str:
    """Return what a row is: the task, or that of a pixel."""
    told = result.get("segmentation") or {}
    return str(told.get("pixel") or result.get("task", "binary"))


def score_word(task: str) -> tuple[str, str]:
    """Return what a score and what a frequency are called in `task`."""
    words = {"multiclass": ("confidence", "accuracy"), "detection": ("score", "precision")}
    return words.get(task, ("score", "frequency"))


def change_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return `ECE 0.0410 [0.0360, 0.0470] to 0.0080 [0.0050, 0.0120]`."""
    if (before.get("auc") or {}).get("value") is not None and before["ece"]["value"] is None:
        return f"raw scores to ECE {figures.with_interval(after.get('ece'))}"
    first = figures.with_interval(before.get("ece"))
    return f"ECE {first} to {figures.with_interval(after.get('ece'))}"


def after_words(kind: str) -> str:
    """Return what an "after" figure is worth, given how it was made."""
    if kind == "in-sample":
        return (
            "After is in-sample: measured on the rows that were fitted, so it flatters. "
            "Measure on other rows."
        )
    if kind == "cross-fitted":
        return "After is cross-fitted: each row is judged by a fit that did not see it."
    return ""


def slices_by_kind(result: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the class slices under "class" and the group slices under their column's name."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for part in result.get("classes") or []:
        kinds.setdefault("class", []).append(part)
    for part in result.get("groups") or []:
        kinds.setdefault(f"group {part['slice'].get('column', '')}", []).append(part)
    return kinds


def slice_name(part: Mapping[str, Any]) -> str:
    """Return the raw name of a slice: a class's name, or a group's value (None: a null)."""
    where = part["slice"]
    name = where.get("name", where.get("value", where.get("kind", "")))
    return "(missing)" if name is None else str(name)


def ece_of(part: Mapping[str, Any], *, calibrated: bool = False) -> float | None:
    """Return a slice's ECE, after calibration where that is asked for and there."""
    source = part.get("calibrated") if calibrated else part
    value = ((source or {}).get("metrics") or {}).get("ece", {}).get("value")
    return None if value is None else float(value)


def worst_slice(
    slices: Sequence[Mapping[str, Any]], *, calibrated: bool = False
) -> Mapping[str, Any] | None:
    """Return the slice with the highest ECE, the first of equals; None if none has one."""
    known = [part for part in slices if ece_of(part, calibrated=calibrated) is not None]
    if not known:
        return None
    return max(known, key=lambda part: ece_of(part, calibrated=calibrated) or 0.0)
