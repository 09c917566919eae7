"""`threshold --search` of images: cut-off, least area and hole filling, chosen jointly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.counts import Judged
from calibcli.core.decisions.objectives import fpr, specificity
from calibcli.core.decisions.thresholds import Curve, Unreachable, choose
from calibcli.core.results.warning import Warning
from calibcli.core.segmentation.overlap import overlap
from calibcli.core.segmentation.regions import CONNECTIVITIES, Cleaning
from calibcli.core.segmentation.rules import MaskRule, nothing_of
from calibcli.core.segmentation.search import (
    MEAN_DICE,
    Tried,
    columns,
    finer_thresholds,
    first_thresholds,
    flattened,
    resampled,
)
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.tasks.segmentation.decided import count_images
from calibcli.tasks.segmentation.regions import Grid, scan
from calibcli.workflows.input.gather import gather
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.loaded_cuts import REGIONS
from calibcli.workflows.input.warnings import calibrator_warnings
from calibcli.workflows.threshold.outcome import keep, outcome

if TYPE_CHECKING:
    from calibcli.core.decisions.thresholds import Choice
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.segmentation.regions import Calibrate, ImageHits
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered, Progress
    from calibcli.workflows.input.loaded import LoadedCalibrator
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
DRAWS = 200
MOST_COUNTS = 1 << 25
"""Counts of (image, candidate) kept at once; of more images the search looks at an even share."""
ORDER = "score >= threshold, then holes filled, then regions below the least area left out"
OVERLAP = "largest probability / threshold, ties to the first structure"
FEW_IMAGES = 20


@dataclass(frozen=True, slots=True)
class RegionWish:
    """What is searched beside the threshold.

    Attributes:
        areas: least areas, pixels; `fills` whether holes are filled.
        connectivity: 4 or 8.
        background: the structure that gets what no other claims.
    """

    areas: tuple[int, ...] = (0,)
    fills: tuple[bool, ...] = (False,)
    connectivity: int = 8
    background: str | None = None

    @classmethod
    def parse(
        cls, search: tuple[str, ...], connectivity: int | None, background: str | None
    ) -> RegionWish:
        """Understand `--search min-area=0,20,50` and `--search fill-holes=yes,no`.

        Raises:
            UsageError: options that cannot be understood.
        """
        made = cls(background=background)
        if connectivity is not None:
            if connectivity not in CONNECTIVITIES:
                raise UsageError(
                    f"--connectivity {connectivity}", "4: over edges; 8: over corners too"
                )
            made = replace(made, connectivity=connectivity)
        for text in search:
            name, mark, values = text.partition("=")
            key = name.strip().replace("_", "-")
            parts = [one.strip() for one in values.split(",") if one.strip()]
            if not mark or not parts or key not in ("min-area", "fill-holes"):
                raise UsageError(
                    f"--search {text!r} cannot be read",
                    "--search min-area=0,20,50 or --search fill-holes=yes,no",
                )
            if key == "min-area":
                made = replace(made, areas=_areas(parts, text))
            else:
                made = replace(made, fills=_fills(parts, text))
        return made


def _areas(parts: list[str], text: str) -> tuple[int, ...]:
    if not all(one.isdecimal() for one in parts):
        raise UsageError(f"--search {text!r}: areas are whole numbers of pixels", "min-area=0,20")
    return tuple(sorted(set(map(int, parts))))


def _fills(parts: list[str], text: str) -> tuple[bool, ...]:
    known = {"yes": True, "no": False, "true": True, "false": False}
    if any(one.lower() not in known for one in parts):
        raise UsageError(f"--search {text!r}: yes or no", "--search fill-holes=yes,no")
    return tuple(sorted({known[one.lower()] for one in parts}))


def search_regions(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    regions: RegionWish,
    *,
    calibrator: str | None = None,
    output: str | None = None,
    candidates: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Choose, for each structure, the mask rule that does best on these images.

    Args:
        spec: what to read.
        conventions: the level of the intervals, the seed.
        wish: the objective and its constraints.
        regions: what is searched beside the threshold.
        calibrator: path of a calibrator to apply first.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate of the first round.
        threads: how many threads read.
        progress: called with the number of pixels read so far.

    Raises:
        AnswerNoError: no candidate meets the constraints; nothing is written.
        InputError: unusable input.
        UsageError: options that do not fit.
    """
    _refuse(wish)
    loaded = None if calibrator is None else load_calibrator(calibrator)
    found = gather(
        spec,
        replace(conventions, confidence=None),
        calibrator=None if loaded is None else loaded.calibrator,
        threads=threads,
        progress=progress,
    )
    warnings = list(found.warnings)
    if loaded is not None:
        warnings += calibrator_warnings(loaded, found, spec, what="the rule is chosen")
    stack: Any = found.dataset
    search = _Search(stack, found, conventions, wish, regions, _calibrate(loaded), threads)
    background = search.background()
    stats = search.stats()
    chosen = search.run(stats, background)
    warnings += search.warnings
    items = [one.item for one in chosen]
    rule = _rule(items, regions.connectivity, background)
    together = _together(search, rule)
    if stack.images < FEW_IMAGES:
        text = f"{stack.images} images: what is best on them may be chance"
        warnings.append(Warning("few-images", text))
    result = outcome(
        inputs=found.inputs,
        params={
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": calibrator,
            "guarantee": None,
        },
        task=found.task,
        objective=wish.objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind="empirical",
        thresholds=items,
        regions={
            "connectivity": regions.connectivity,
            "order": ORDER,
            "searched": {"min_area": list(regions.areas), "fill_holes": list(regions.fills)},
            "thresholds": search.said,
            "images": stack.images,
            "images_searched": search.images,
            "background": regions.background,
            "overlap": OVERLAP if found.task == "multiclass" else None,
            "nothing": nothing_of(len(rule.thresholds)) if found.task == "multiclass" else 0,
            "together": together,
            "curves": [
                {"slice": one.item["slice"], **entry}
                for one in chosen
                if one.tried is not None
                for entry in columns(one.tried)
            ],
        },
        warnings=warnings,
    )
    if candidates is not None:
        _write_candidates(candidates, result["regions"]["curves"])
    keep(output, result, found.classes, REGIONS, loaded)
    result["task"] = "segmentation"
    return result


def _refuse(wish: Wish) -> None:
    given = {
        "--cost": wish.costs,
        "--prior": wish.prior,
        "--guarantee": wish.guarantee,
        "--per-group": wish.per_group,
    }
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} judges pixels one by one, a search over regions whole images",
                f"leave out {option}, or --search and mean-dice",
            )


def _calibrate(loaded: LoadedCalibrator | None) -> Calibrate | None:
    return None if loaded is None else lambda scores: loaded.apply(scores, logits=loaded.logits)


@dataclass(frozen=True, slots=True)
class _Chosen:
    item: Result
    tried: Tried | None = None


class _Search:
    """The rounds of the search over one data set."""

    def __init__(
        self,
        stack: Any,
        found: Gathered,
        conventions: Conventions,
        wish: Wish,
        regions: RegionWish,
        calibrate: Calibrate | None,
        threads: int | None,
    ) -> None:
        self.stack, self.found, self.conventions = stack, found, conventions
        self.wish, self.regions = wish, regions
        self.calibrate, self.threads = calibrate, threads
        self.warnings: list[Warning] = []
        self.said = ""
        self.images = stack.images

    def background(self) -> int | None:
        """Return the place of the structure that gets what no other claims."""
        name = self.regions.background
        if name is None:
            return None
        if self.found.task != "multiclass":
            raise UsageError("--background is for classes that exclude each other", "leave it out")
        if name not in self.found.classes:
            from calibcli.errors import did_you_mean

            known = ", ".join(self.found.classes)
            raise UsageError(
                f"--background {name!r} is none of the classes",
                did_you_mean(name, self.found.classes) or f"one of: {known}",
            )
        return self.found.classes.index(name)

    def stats(self) -> list[ScoreStats]:
        """Return the pairs of each structure, calibrated if they are to be."""
        used = self.found.overall.calibrated or self.found.overall.population
        return [used.pairs] if self.found.task == "binary" else list(used.classes)

    def run(self, stats: list[ScoreStats], background: int | None) -> list[_Chosen]:
        """Return the choice for each structure.

        Raises:
            AnswerNoError: a structure whose constraints cannot be met.
            InputError: no structure occurs.
        """
        grids: list[Grid | None] = []
        for k, own in enumerate(stats):
            if k == background or not own.positives or not own.negatives:
                grids.append(None)
                continue
            thresholds, self.said = first_thresholds(own.floor, own.pos)
            grids.append(
                Grid(thresholds, self.regions.areas, self.regions.fills, self.regions.connectivity)
            )
        sizes = [int(np.prod(grid.shape)) for grid in grids if grid is not None]
        if not sizes:
            raise InputError(
                "no structure has pixels of both kinds: there is nothing to choose",
                "give masks that hold the structure",
            )
        stride = max(1, -(-self.stack.images * sum(sizes) // MOST_COUNTS))
        if stride > 1:
            self.images = -(-self.stack.images // stride)
            text = (
                f"the candidates are compared on {self.images:,} of {self.stack.images:,} images, "
                "evenly spaced; the figures of the chosen one are of all"
            )
            self.warnings.append(Warning("coarse", text))
        first = self._scanned(grids, stride)
        rough = [self._best(k, one) for k, one in enumerate(first)]
        finer: list[Grid | None] = []
        for grid, best, own in zip(grids, rough, stats, strict=True):
            if grid is None or best is None:
                finer.append(None)
                continue
            tried = finer_thresholds(grid.thresholds, best.threshold, own.floor)
            if self.idle and self.wish.objective.name != MEAN_DICE:
                tried = tuple(sorted({*tried, self._exact(own)}))
            finer.append(replace(grid, thresholds=tried))
        second = self._scanned(finer, stride)
        final = [self._best(k, one) for k, one in enumerate(second)]
        rule = self._chosen_grids(final, second, finer)
        whole = second if stride == 1 else self._scanned(rule, 1)
        return [
            self._outcome(k, first[k], second[k], final[k], whole[k], background)
            for k in range(len(stats))
        ]

    @property
    def idle(self) -> bool:
        """Whether a mask as it is, is among what is searched."""
        return min(self.regions.areas) <= 1 and not all(self.regions.fills)

    def _exact(self, own: ScoreStats) -> float:
        """Return the best of every distinct score, which pooled counts can tell."""
        curve = Curve.from_cells(own.floor, own.pos, own.neg)
        best = choose(curve, self.wish.objective, self.wish.constraints)
        assert not isinstance(best, Unreachable)
        if max(self.regions.areas) <= 1 and not any(self.regions.fills):
            self.said = "every distinct score" if own.exact else "every cell of a grid of scores"
        return best.threshold

    def _scanned(self, grids: list[Grid | None], stride: int) -> list[Tried | None]:
        hits = scan(self.stack, grids, self.calibrate, stride=stride, threads=self.threads)
        return [
            None if grid is None or one is None else _tried(grid, one)
            for grid, one in zip(grids, hits, strict=True)
        ]

    def _best(self, k: int, tried: Tried | None) -> Choice | None:
        if tried is None:
            return None
        best = tried.judge(self.wish.objective)[0].best(self.wish.objective, self.wish.constraints)
        if isinstance(best, Unreachable):
            name = self.stack.structures[k]
            raise AnswerNoError(f"{name}: {best.message()}", "no thresholds were written")
        return best

    def _chosen_grids(
        self, final: list[Choice | None], tried: list[Tried | None], grids: list[Grid | None]
    ) -> list[Grid | None]:
        made: list[Grid | None] = []
        for best, one, grid in zip(final, tried, grids, strict=True):
            if best is None or one is None or grid is None:
                made.append(None)
                continue
            area, fill = int(one.area[best.index]), bool(one.fill[best.index])
            made.append(replace(grid, thresholds=(best.threshold,), areas=(area,), fills=(fill,)))
        return made

    def _outcome(
        self,
        k: int,
        first: Tried | None,
        second: Tried | None,
        best: Choice | None,
        whole: Tried | None,
        background: int | None,
    ) -> _Chosen:
        name = self.stack.structures[k]
        where: Result = {"kind": "class", "name": name}
        if self.found.task == "binary":
            where = {"kind": "overall"}
        if first is None or second is None or best is None or whole is None:
            reason = "background: what no other structure claims"
            if k != background:
                reason = "no pixel is of it, or all are"
                text = f"{name}: {reason}, so it gets no cut-off"
                self.warnings.append(Warning("one-label", text))
            return _Chosen({"slice": where, "threshold": None, "n": 0, "reason": reason})
        at = best.index if len(whole.threshold) > 1 else 0
        counts = np.stack(
            [whole.right[:, at], whole.wrong[:, at], whole.positives - whole.right[:, at]], axis=1
        ).astype(np.int64)
        figures = overlap(counts, self.conventions.confidence)
        item: Result = {
            "slice": where,
            "threshold": best.threshold,
            "threshold_low": None,
            "threshold_high": None,
            "n": int(whole.pixels.sum()),
            "value": self._value(best, figures),
            "confusion": _confusion(best.threshold, counts, int(whole.pixels.sum()), figures),
            "min_area": int(second.area[best.index]),
            "fill_holes": bool(second.fill[best.index]),
            "pooled_dice": _figure(figures["dice"]),
            "pooled_iou": _figure(figures["iou"]),
            "mean_dice": _figure(figures["mean_dice"]),
        }
        plain = self._plain(first)
        if plain is not None:
            item["without_regions"] = plain
        level = self.conventions.confidence
        if level is not None:
            start = first.judge(self.wish.objective)[0]
            again = start.best(self.wish.objective, self.wish.constraints)
            assert not isinstance(again, Unreachable)
            spread = resampled(
                first,
                self.wish.objective,
                self.wish.constraints,
                again.index,
                confidence=level,
                draws=DRAWS,
                seed=self.conventions.seed,
            )
            if spread is not None:
                low, high = spread.threshold
                item["threshold_low"] = min(low, best.threshold)
                item["threshold_high"] = max(high, best.threshold)
                item["optimism"] = spread.optimism
                item["same_regions"] = spread.same
        return _Chosen(item, first)

    def _value(self, best: Choice, figures: Any) -> Result:
        name = self.wish.objective.name
        known = {"dice": "dice", "f1": "dice", "iou": "iou", MEAN_DICE: "mean_dice"}
        known |= {"precision": "precision", "recall": "recall"}
        if name in known:
            return _figure(figures[known[name]])
        return {"value": best.value, "low": None, "high": None}

    def _plain(self, first: Tried) -> Result | None:
        """Return the best threshold without cleaning, for comparison."""
        idle = (first.area <= 1) & ~first.fill
        if not idle.any() or idle.all():
            return None
        judged = first.judge(self.wish.objective)[0]
        values = np.where(idle, judged.values, np.nan)
        if np.isnan(values).all():
            return None
        at = int(np.nanargmax(values))
        return {"threshold": float(first.threshold[at]), "value": float(values[at])}


def _tried(grid: Grid, hits: ImageHits) -> Tried:
    return flattened(
        grid.thresholds,
        grid.areas,
        grid.fills,
        hits.right,
        hits.wrong,
        hits.positives,
        hits.pixels,
    )


def _figure(found: Any) -> Result:
    value, low, high, reason = found
    figure: Result = {"value": value, "low": low, "high": high}
    return figure if reason is None else {**figure, "reason": reason}


def _confusion(threshold: float, counts: Any, pixels: int, figures: Any) -> Result:
    tp, fp, fn = (int(v) for v in counts.sum(axis=0))
    tn = pixels - tp - fp - fn
    four = tuple(np.array(float(v)) for v in (tp, fp, fn, tn))
    more = {}
    for name, function in (("specificity", specificity), ("fpr", fpr)):
        value = float(function(*four))
        more[name] = {"value": None if value != value else value, "low": None, "high": None}
    return {
        "threshold": threshold,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "precision": _figure(figures["precision"]),
        "recall": _figure(figures["recall"]),
        "f1": _figure(figures["dice"]),
        **more,
        "iou": _figure(figures["iou"]),
    }


def _rule(items: list[Result], connectivity: int, background: int | None) -> MaskRule:
    nan = float("nan")
    return MaskRule(
        tuple(nan if one["threshold"] is None else one["threshold"] for one in items),
        tuple(
            Cleaning(one.get("min_area", 0), one.get("fill_holes", False), connectivity)
            for one in items
        ),
        background,
    )


def _together(search: _Search, rule: MaskRule) -> list[Result]:
    """Return what the masks of `apply` reach, after the rule for pixels that several claim."""
    if search.found.task != "multiclass":
        return []
    found = count_images(search.stack, rule, search.calibrate, threads=search.threads)
    judged = Judged(found.counts)
    made = []
    for k, name in enumerate(search.stack.structures):
        counts = judged.by_unit(k)
        figures = overlap(counts, search.conventions.confidence)
        tp, fp, fn = (int(v) for v in counts.sum(axis=0))
        shown = {key: _figure(value) for key, value in figures.items()}
        made.append({"name": name, "tp": tp, "fp": fp, "fn": fn, **shown})
    return made


def _write_candidates(path: str, curves: list[Result]) -> None:
    """Write every candidate of the first round as CSV."""
    import csv
    from io import StringIO

    from calibcli.io.output.sink import write_atomic

    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("threshold", "dice", "iou", "mean_dice")
    writer.writerow(["slice", "min_area", "fill_holes", *names])
    for curve in curves:
        head = [curve["slice"].get("name", "overall"), curve["min_area"], curve["fill_holes"]]
        for row in zip(*(curve[name] for name in names), strict=True):
            writer.writerow([*head, *("" if v is None else v for v in row)])
    write_atomic(path, out.getvalue())
