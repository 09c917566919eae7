"""`apply` to images: probabilities or masks of the same layout, streamed, memory for one image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.core.decisions.rules import NONE, REFER
from calibcli.core.results.warning import warned
from calibcli.core.segmentation.rules import nothing_of
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError, UsageError
from calibcli.io.formats.sources import expand
from calibcli.io.images.sink import ImageSink
from calibcli.io.images.stacks import open_stacks
from calibcli.io.provenance import write_beside
from calibcli.tasks.segmentation.regions import probabilities
from calibcli.workflows.apply.opening import made_by
from calibcli.workflows.input.warnings import check_fits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Array
    from calibcli.io.images.blocks import Frame
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

    Draw = Callable[[Array, str | None], NDArray[Any]]

Result = dict[str, Any]


def apply_images(
    loaded: LoadedCalibrator,
    calibrator: str | None,
    spec: InputSpec,
    output: str,
    *,
    cuts: LoadedThresholds | None = None,
    thresholds: str | None = None,
    provenance: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Write the calibrated probabilities of images, or with thresholds their masks.

    Args:
        loaded: the calibrator.
        calibrator: its path; None where `loaded` is the map that leaves scores as they are.
        spec: what to read; labels are not.
        output: an NPY file, or for several files of scores a folder.
        cuts: thresholds: masks are written instead of probabilities.
        thresholds: their path.
        provenance: whether a file beside each output says what made it.
        threads: how many threads calibrate.
        progress: called with the number of pixels written so far.

    Raises:
        InputError: images that the calibrator does not fit, unusable output.
        UsageError: options that do not fit images.
    """
    if loaded.group is not None or hasattr(loaded.calibrator, "combine"):
        raise UsageError("images have neither groups nor several models", "fit without them")
    classes = loaded.classes or None
    sources = expand(spec.paths, spec.input_format)
    stack: Any = open_stacks(
        replace(spec, classes=None, cluster="image", groups=_groups(spec, cuts)),
        need_labels=False,
        sources=sources,
        rows=loaded.task,
        planes=None if classes is None else len(classes),
    )
    planes = len(stack.classes) or 1
    if planes != len(loaded.classes or "1"):
        raise InputError(
            f"the calibrator is for {len(loaded.classes) or 1} scores a pixel, "
            f"{stack.pairs[0].scores.name} has the shape {stack.pairs[0].scores.shape}",
            "is it the file, and the --layout, that was meant?",
        )
    if spec.classes is not None and classes is None:
        raise UsageError("--classes: one score a pixel has no classes to name", "leave it out")
    check_fits(loaded, stack.task, spec.classes or loaded.classes, logits=spec.logits)
    draw = None if cuts is None else _draw(cuts)
    column = None if cuts is None else cuts.group
    if cuts is not None:
        stack.refuse_regions(cuts.image_rule)
    targets = _targets(output, [source.name for source in sources])

    def frames() -> Iterator[Frame]:
        for partition in stack.partitions:
            yield from partition.frames()

    def one(frame: Frame) -> tuple[Frame, NDArray[Any]]:
        p = probabilities(stack, frame, lambda scores: _applied(loaded, scores, spec))
        if draw is None:
            return frame, p
        group = None
        if column is not None:
            code, values = frame.image.groups[0]
            group = values[code]
        return frame, draw(p, group)

    pixels = 0
    sink: ImageSink | None = None
    try:
        for frame, made in map_ordered(one, frames(), threads):
            if sink is None or sink.index != frame.source_index:
                if sink is not None:
                    sink.close()
                pair = stack.pairs[frame.source_index]
                kind = made.dtype if draw is not None else _float_of(pair.scores.header.dtype)
                layers = len(made) if made.ndim == 3 and stack.classes else None
                sink = ImageSink(
                    targets[frame.source_index], frame.source_index, pair, kind, layers
                )
            sink.write(made if made.ndim == 3 else made[None])
            pixels += made.shape[-1] * made.shape[-2]
            if progress is not None:
                progress(pixels)
        if sink is not None:
            sink.close()
    except BaseException:
        if sink is not None:
            sink.abort()
        raise
    by = made_by(None if calibrator is None else loaded, cuts, ())
    beside = [write_beside(target, by) for target in targets] if provenance else []
    return {
        "schema": "calibcli/apply",
        "version": 1,
        "calibcli": __version__,
        "inputs": stack.inputs,
        "params": {"calibrator": calibrator, "thresholds": thresholds},
        "task": stack.name,
        "method": None if calibrator is None else loaded.method,
        "rows": pixels,
        "output": output,
        **warned(()),
        **({"provenance": ", ".join(beside)} if beside else {}),
    }


def _applied(loaded: LoadedCalibrator, scores: NDArray[Any], spec: InputSpec) -> Array:
    """Calibrate rows (n,) or (n, K); a row without a score stays one, if that is allowed."""
    gaps = None
    if spec.drop_invalid and scores.dtype.kind == "f":
        bad = np.isnan(scores)
        gaps = bad.any(axis=1) if bad.ndim == 2 else bad
        if gaps.any():
            scores = np.where(bad, 0.0, scores)
    p = loaded.apply(scores, logits=spec.logits)
    if gaps is not None:
        p[gaps] = np.nan
    return p


def _float_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return what probabilities are written as: the floats of the scores, float32 for integers."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float32)


def _targets(output: str, names: list[str]) -> list[str]:
    """Return the path of each file's output.

    Raises:
        UsageError: one path for several files.
    """
    folder = Path(output)
    if len(names) == 1 and not folder.is_dir() and not output.endswith("/"):
        if folder.suffix.lower() != ".npy":
            raise UsageError(f"{output}: images are written as NPY", "-o OUT.npy")
        return [output]
    if not folder.is_dir():
        raise UsageError(
            f"{len(names)} files of scores need a folder to write to, and {output} is none",
            f"mkdir {output.rstrip('/')}, then -o {output.rstrip('/')}/",
        )
    made = [str(folder / f"{Path(name).stem}.npy") for name in names]
    taken = {Path(name).resolve() for name in names if "://" not in name}
    for path in made:
        if Path(path).resolve() in taken:
            raise InputError(f"{path} is an input of this run", "write to another folder")
    return made


def _groups(spec: InputSpec, cuts: LoadedThresholds | None) -> tuple[str, ...]:
    """Return the column of images by which thresholds differ, if they do."""
    if cuts is None or cuts.group is None:
        return ()
    if spec.images is None:
        raise UsageError(
            f"these thresholds differ by {cuts.group!r}, which a table of the images tells",
            "--images FILE, with this column",
        )
    return (cuts.group,)


def _draw(cuts: LoadedThresholds) -> Draw:
    """Return what makes a mask, (H, W) or one for each structure (K, H, W), of probabilities."""
    if cuts.stored.sets:
        raise UsageError("prediction sets are no masks", "choose cut-offs: --maximize dice")
    rule, nothing = cuts.image_rule, nothing_of(len(cuts.classes))
    kind = np.min_scalar_type(nothing)

    def drawn(p: Array, group: str | None) -> NDArray[Any]:
        codes = rule.decide(p, group)
        mask: NDArray[Any] = codes.astype(kind)
        mask[codes == NONE] = nothing
        mask[codes == REFER] = nothing - 1
        return mask[0] if not cuts.classes else mask

    return drawn
