"""`apply` on detections: rescored by a calibrator, thinned by NMS and cut-offs, and written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.core.calibrators import calibrate
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.numeric.scales import expit
from calibcli.core.results.apply import Shares
from calibcli.core.results.base import plain
from calibcli.core.results.figures import Figure, undefined
from calibcli.core.results.warning import warned
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.attributes import attributes_of
from calibcli.io.boxes.checks import checked
from calibcli.io.boxes.dataset import CLASS
from calibcli.io.boxes.numbering import read_files
from calibcli.io.boxes.output import ADDED, output_kind, write_boxes
from calibcli.io.failures import listing
from calibcli.io.provenance import metadata_of, write_beside
from calibcli.io.rows.keys import Categories
from calibcli.tasks.detection.matching import by_rank, ranks
from calibcli.tasks.detection.medium import check_boxes, other_suppression
from calibcli.tasks.detection.nms import keep, rivals
from calibcli.workflows.apply.opening import made_by
from calibcli.workflows.input.gated import parsed, passed
from calibcli.workflows.input.gather import dropped as left_out
from calibcli.workflows.input.loaded.boxes import TASK, load_box_cuts, unseen_boxes
from calibcli.workflows.input.loaded.loading import load_calibrator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from calibcli.io.boxes.tables import Boxes
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.loaded.boxes import BoxCuts
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

    Ints = NDArray[np.int64]

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """The class of each box as a place in `names`, and its COCO id where it is known."""

    names: list[str]
    label: Ints
    ids: dict[str, str]


def apply_boxes(
    calibrator: str | None,
    spec: InputSpec,
    output: str,
    *,
    thresholds: str | None = None,
    fail_if: Sequence[str] = (),
    provenance: bool = False,
    stream: BinaryIO | None = None,
) -> Result:
    """Write detections with calibrated scores, and those alone that NMS and cut-offs leave.

    Args:
        calibrator: path of a calibrator of detections; None to leave the scores.
        spec: the detections; no ground truth is needed.
        output: where to write: COCO JSON or a table, by its suffix.
        thresholds: path of cut-offs of detections.
        fail_if: gates, on what needs no ground truth; one that fails leaves the old output.
        provenance: whether a file beside the output says what made it.
        stream: write CSV here instead (standard output).

    Raises:
        InputError: unusable input, output or artifacts; an old output is left as it was.
        UsageError: a gate that cannot be evaluated.
    """
    gates = parsed(fail_if)
    check_boxes(spec)
    if spec.classes is not None:
        raise UsageError(
            "--classes does nothing here: boxes of every class get a probability", "leave it out"
        )
    kind = "csv" if stream is not None else output_kind(output)
    loaded = None
    if calibrator is not None:
        loaded = load_calibrator(calibrator)
        if loaded.task != TASK:
            raise InputError(
                f"the calibrator is for {loaded.task} scores, these are detections",
                "calibcli fit SCORES --task detection --ground-truth FILE -o FILE writes one",
            )
        # A calibrator of logits is applied to logits.
        if spec.logits and not loaded.logits:
            raise InputError(
                "the calibrator was fitted on probabilities, these are read as logits",
                "leave out --logits",
            )
        spec = replace(spec, logits=loaded.logits)
    cuts = None
    if thresholds is not None:
        cuts = load_box_cuts(thresholds, loaded)
        spec = _same_scores(spec, cuts, loaded, thresholds)
    files, dropped = [], 0
    for one in read_files(spec, keep=True):
        usable, bad = checked(one, logits=spec.logits, drop=spec.drop_invalid)
        files.append(usable)
        dropped += bad
    score = np.concatenate([_scores(boxes) for boxes in files])
    found = _labelled(files, loaded, cuts)
    image = _images(files)
    probability = score
    unseen = 0
    if loaded is not None:
        probability, unseen = _calibrated(loaded, spec, score, found, image)
    elif spec.logits:
        probability = expit(score)
    kept = np.ones(len(score), np.bool_)
    if cuts is not None:
        kept = _kept(files, found, image.codes, cuts, score, probability)
    warnings = []
    if dropped:
        warnings.append(left_out(dropped, "boxes without a score or coordinate"))
    if unseen:
        warnings.append(unseen_boxes(unseen))
    if loaded is not None:
        used: dict[str | None, float | None] = {None: None}
        if cuts is not None and cuts.nms:
            used = dict(cuts.nms)
        warnings += other_suppression(loaded.stored.input.nms_iou, used)
    result: Result = {
        "schema": "calibcli/apply",
        "version": 1,
        "calibcli": __version__,
        "inputs": [{"path": boxes.source, "rows": _rows(boxes)} for boxes in files],
        "params": {"calibrator": calibrator, "thresholds": thresholds},
        "task": TASK,
        "method": None if loaded is None else loaded.stored.method,
        "rows": int(kept.sum()),
        "of": len(kept) if cuts is not None else None,
        "nms": None if cuts is None else _nms_words(cuts),
        "output": output,
        **warned(warnings),
    }
    if gates:
        result["decided"] = plain(_shares(probability, kept, cut=cuts is not None))
    if passed(result, gates):
        made = made_by(
            loaded, cuts, () if loaded is None else ("score" if kind == "json" else ADDED,)
        )
        write_boxes(
            output,
            kind,
            files,
            kept,
            probability if loaded is not None else None,
            found.ids,
            stream=stream,
            metadata=metadata_of(made),
        )
        if provenance:
            result["provenance"] = write_beside(output, made)
    return result


def _shares(probability: NDArray[np.float64], kept: NDArray[np.bool_], *, cut: bool) -> Shares:
    """Return what boxes come to; those of an image depend on each other, so without intervals."""
    mean = Figure(float(probability.mean())) if len(kept) else undefined("there are no boxes")
    metrics = {}
    if cut and len(kept):
        metrics = {"positive-rate": Figure(float(kept.mean())), "alerts": Figure(int(kept.sum()))}
    return Shares(calibrated={"mean_score": mean}, metrics=metrics)


def _rows(boxes: Boxes) -> int:
    return int(boxes.place[-1]) + 1 if len(boxes.place) else 0


def _nms_words(cuts: BoxCuts) -> str | None:
    """Return the NMS IoU, or that each class has its own."""
    told = cuts.nms_words()
    return "IoU by class" if isinstance(told, dict) else None if told is None else f"IoU {told:g}"


def _scores(boxes: Boxes) -> NDArray[np.float64]:
    assert boxes.score is not None
    return boxes.score.astype(np.float64)


def _same_scores(
    spec: InputSpec, cuts: BoxCuts, loaded: LoadedCalibrator | None, path: str
) -> InputSpec:
    """Hold the kind of score that cut-offs were chosen on against what will be cut."""
    if cuts.calibrated and loaded is None:
        raise InputError(
            f"{path} was chosen on calibrated probabilities",
            "give the calibrator too: calibcli apply CALIBRATOR SCORES --thresholds FILE -o OUT",
        )
    if not cuts.calibrated and loaded is not None:
        raise InputError(
            f"{path} was chosen on uncalibrated scores",
            "leave the calibrator out: calibcli apply --thresholds FILE SCORES -o OUT",
        )
    if loaded is None and cuts.logits and not spec.logits:
        return replace(spec, logits=True)
    return spec


def _images(files: Sequence[Boxes]) -> Categories:
    """Return the image of each box (n,)."""
    place: dict[str, int] = {}
    codes = [
        np.array([place.setdefault(v, len(place)) for v in boxes.image.values] or [0], np.int32)[
            boxes.image.codes
        ]
        for boxes in files
    ]
    return Categories(np.concatenate(codes), list(place))


def _calibrated(
    loaded: LoadedCalibrator,
    spec: InputSpec,
    score: NDArray[np.float64],
    found: _Labelled,
    image: Categories,
) -> tuple[NDArray[np.float64], int]:
    """Return probabilities (n,), and how many boxes are of groups that were not fitted on."""
    if not isinstance(loaded.calibrator, Grouped):
        return np.asarray(calibrate(loaded.calibrator, score, logits=spec.logits)), 0
    codes: NDArray[np.integer[Any]] = found.label
    names = found.names
    if loaded.calibrator.column != CLASS:
        spec = replace(spec, groups=(loaded.calibrator.column,))
        group = attributes_of(spec, image.values).groups[0]
        codes, names = group.codes[image.codes], list(group.values)
    p = loaded.calibrator.calibrate(score, codes, names, logits=spec.logits)
    return np.asarray(p), loaded.calibrator.unseen(codes, names)


def _labelled(
    files: Sequence[Boxes], loaded: LoadedCalibrator | None, cuts: BoxCuts | None
) -> _Labelled:
    """Name the classes as the artifacts do, whether the boxes name them or give COCO's ids."""
    ids = ((loaded.stored.input.categories or {}) if loaded else {}) | (
        cuts.categories if cuts else {}
    )
    known = list(cuts.stored.classes) if cuts is not None else []
    if not known and loaded is not None:
        known = list(loaded.classes)
    by_id = {key: name for name, key in ids.items()}
    called = [_called(boxes, known, by_id) for boxes in files]
    if cuts is not None and cuts.overall is None:
        for boxes, names in zip(files, called, strict=True):
            _refuse_unknown(boxes, names, known)
    whole = list(dict.fromkeys([*known, *(name for names in called for name in names)]))
    place = {name: i for i, name in enumerate(whole)}
    label = np.concatenate(
        [
            np.array([place[name] for name in names] or [0], np.int64)[boxes.label.codes]
            for boxes, names in zip(files, called, strict=True)
        ]
    )
    of_text = {
        text: ids[name]
        for boxes, names in zip(files, called, strict=True)
        for text, name in zip(boxes.label.values, names, strict=True)
        if name in ids
    }
    return _Labelled(whole, label, of_text)


def _called(boxes: Boxes, known: Sequence[str], by_id: Mapping[str, str]) -> list[str]:
    """Return the name of each of a file's classes: COCO's results have ids, tables names or ids."""
    values = boxes.label.values
    named = set(values) <= set(known)
    if by_id and (boxes.coco or (not named and set(values) & set(by_id))):
        return [by_id.get(value, value) for value in values]
    return list(values)


def _refuse_unknown(boxes: Boxes, names: Sequence[str], known: Sequence[str]) -> None:
    strange = [code for code, name in enumerate(names) if name not in set(known)]
    rows = np.flatnonzero(np.isin(boxes.label.codes, strange))
    if rows.size:
        name = boxes.label.values[boxes.label.codes[rows[0]]]
        raise InputError(
            f"{boxes.where(rows[0])}: there is no cut-off for the class {name!r}",
            did_you_mean(name, known) or f"there are: {listing(known)}",
        )


def _kept(
    files: Sequence[Boxes],
    found: _Labelled,
    image: NDArray[np.integer[Any]],
    cuts: BoxCuts,
    score: NDArray[np.float64],
    probability: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which boxes stay (n,): NMS by the scores of the model, cut-offs, the limit."""
    box = np.concatenate([boxes.box for boxes in files])
    group = image.astype(np.int64) * len(found.names) + found.label
    order = by_rank(group, score)
    stays = np.ones(len(score), np.bool_)
    least = cuts.least_nms
    if least is not None:
        pairs = rivals(group[order], box[order], above=least)
        limits = cuts.limits(found.names)[found.label[order]]
        stays[order] = keep(pairs, limits, len(order))
    # What counts in an image is the best of what is left, by the score that is cut.
    left = np.flatnonzero(stays)
    left = left[by_rank(group[left], probability[left])]
    stays[left[ranks(group[left]) >= cuts.limit]] = False
    above: NDArray[np.bool_] = probability >= cuts.cutoffs(found.names)[found.label]
    return stays & above
