"""`threshold` of images by whole masks: cut-off, least area and hole filling, chosen jointly.

Each structure is searched by its own masks; what is shown are the masks that `apply` writes, after
the rule for pixels that several structures claim.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.objectives import MEAN_DICE
from calibcli.core.decisions.stored import REGIONS
from calibcli.core.decisions.thresholds import Curve, Unreachable, choose
from calibcli.core.results.figures import OVERALL, Where
from calibcli.core.results.parts.searches import RegionCurve
from calibcli.core.results.warning import Warning
from calibcli.core.segmentation.regions import Cleaning
from calibcli.core.segmentation.rules import MaskRule, nothing_of
from calibcli.core.segmentation.search import (
    columns,
    finer_thresholds,
    first_thresholds,
    flattened,
)
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.segmentation.decided import count_images
from calibcli.tasks.segmentation.regions import Grid, scan
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.threshold.choosing import Refused
from calibcli.workflows.threshold.masks.certified import BLIND, certified, check_guarantee
from calibcli.workflows.threshold.masks.items import MaskItem, Sought, cross_fitted
from calibcli.workflows.threshold.outcome import keep, kind_promised, outcome
from calibcli.workflows.threshold.settling import refuse_unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from calibcli.core.results.parts.searches import Together
    from calibcli.core.results.threshold import CutOff
    from calibcli.core.segmentation.rules import ImageRule
    from calibcli.core.segmentation.search import MaskFamily
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.images.stacks import StackDataset
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.segmentation.decided import DecidedImages
    from calibcli.tasks.segmentation.regions import Calibrate
    from calibcli.workflows.input.asked import Options
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gated import Gated
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.threshold.search import RegionWish
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
MOST_COUNTS = 1 << 25
"""Counts of (image, candidate) kept at once; of more images the search looks at an even share."""
ORDER = "score >= threshold, then holes filled, then regions below the least area left out"
OVERLAP = "largest probability / threshold, ties to the first structure"
FEW_IMAGES = 20


def search_regions(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish,
    regions: RegionWish,
    *,
    output: str | Gated | None = None,
    candidates: str | None = None,
    per_class: bool = False,
    **options: Unpack[Options],
) -> Result:
    """Choose, for each structure, the mask rule that does best on these images.

    Args:
        spec: what to read.
        conventions: the level of the intervals, the seed.
        wish: the objective and its constraints.
        regions: what is searched beside the threshold.
        output: path of the thresholds artifact.
        candidates: path of a CSV of every candidate of the first round.
        per_class: whether several classes are asked for, which get a cut-off each anyway.
        options: see `Options`.

    Raises:
        AnswerNoError: no candidate meets the constraints; nothing is written.
        InputError: unusable input.
        UsageError: options that do not fit.
    """
    _refuse(wish)
    if spec.weighted:
        raise UsageError(
            "a search over regions counts every image once",
            "leave out --weight, or --search and mean-dice",
        )
    asked = Asked.of(spec, conventions, options)
    found = asked.gather()
    check_guarantee(found, spec, wish)
    if per_class:
        refuse("threshold --per-class", kind_of(found.task, found.medium))
    warnings = [*found.warnings, *asked.warnings(found, "the rule is chosen")]
    stack: Any = found.dataset
    stack.refuse_regions(regions)
    search = _Search(stack, found, wish, regions, _calibrate(asked.loaded), asked.threads)
    sought = search.run()
    warnings += search.warnings
    named = [(one.name, one.choice) for one in sought if isinstance(one.choice, Refused)]
    warnings += refuse_unreachable(named, len(sought), wish)
    rule = search.rule([one.place for one in sought])
    items = _judged(search, sought, rule, conventions)
    if stack.images < FEW_IMAGES:
        text = f"{stack.images} images: what is best on them may be chance"
        warnings.append(Warning("few-images", text))
    exclusive = found.exclusive
    curves = tuple(
        RegionCurve(one.where, **entry)
        for one in sought
        if one.first is not None
        for entry in columns(one.first)
    )
    result = outcome(
        inputs=found.inputs,
        params={
            **found.params,
            "confidence": conventions.confidence,
            "seed": conventions.seed,
            "calibrator": asked.path,
            "guarantee": wish.guarantee,
        },
        task=found.task,
        objective=wish.objective.name,
        constraints=[str(constraint) for constraint in wish.constraints],
        kind=kind_promised("certified", warnings, given=wish.guarantee is not None),
        thresholds=[item for item, _ in items],
        regions={
            "connectivity": regions.connectivity,
            "order": ORDER,
            "searched": {"min_area": list(regions.areas), "fill_holes": list(regions.fills)},
            "thresholds": search.said,
            "images": stack.images,
            "images_searched": search.images,
            "background": regions.background,
            "overlap": OVERLAP if exclusive else None,
            "nothing": nothing_of(len(rule.thresholds)) if exclusive else 0,
            "together": [together for _, together in items] if exclusive else [],
            "curves": curves,
        },
        warnings=warnings,
    )
    keep(output, result, found.classes, REGIONS, asked.loaded)
    if candidates is not None:
        _write_candidates(candidates, curves)
    result["task"] = found.name
    return result


def _refuse(wish: Wish) -> None:
    given = {
        "--cost": wish.costs,
        "--prior": wish.prior,
        "--per-group": wish.per_group,
        "worst(…)": wish.within,
    }
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} judges pixels one by one, a search over regions whole images",
                f"leave out {option}, or --search and mean-dice",
            )


def _calibrate(loaded: LoadedCalibrator | None) -> Calibrate | None:
    return None if loaded is None else lambda scores: loaded.apply(scores, logits=loaded.logits)


class _Search:
    """The rounds of the search over one data set."""

    def __init__(
        self,
        stack: StackDataset,
        found: Gathered,
        wish: Wish,
        regions: RegionWish,
        calibrate: Calibrate | None,
        threads: int | None,
    ) -> None:
        self.stack, self.found, self.wish, self.regions = stack, found, wish, regions
        self.calibrate, self.threads = calibrate, threads
        self.background = self._background()
        self.warnings: list[Warning] = []
        self.said = ""
        self.images, self.stride = stack.images, 1

    def _background(self) -> int | None:
        """Return the place of the structure that gets what no other claims."""
        name = self.regions.background
        if name is None:
            return None
        if not self.found.exclusive:
            raise UsageError("--background is for classes that exclude each other", "leave it out")
        if name not in self.found.classes:
            known = ", ".join(self.found.classes)
            raise UsageError(
                f"--background {name!r} is none of the classes",
                did_you_mean(name, self.found.classes) or f"one of: {known}",
            )
        return self.found.classes.index(name)

    def rule(self, places: list[tuple[float, int, bool] | None]) -> MaskRule:
        """Return the rule of what was chosen for each structure."""
        connectivity = self.regions.connectivity
        return MaskRule(
            tuple(float("nan") if one is None else one[0] for one in places),
            tuple(
                Cleaning() if one is None else Cleaning(one[1], one[2], connectivity)
                for one in places
            ),
            self.background,
            self.found.exclusive,
        )

    def run(self) -> list[Sought]:
        """Return the choice for each structure.

        Raises:
            InputError: no structure occurs.
        """
        used = self.found.overall.used
        stats = [used.pairs] if self.found.single else list(used.classes)
        grids = [self._grid(k, own) for k, own in enumerate(stats)]
        sizes = [int(np.prod(grid.shape)) for grid in grids if grid is not None]
        if not sizes:
            raise InputError(
                "no structure has pixels of both kinds: there is nothing to choose",
                "give masks that hold the structure",
            )
        stride = self.stride = max(1, -(-self.stack.images * sum(sizes) // MOST_COUNTS))
        if stride > 1:
            self.images = -(-self.stack.images // stride)
            text = (
                f"the candidates are compared on {self.images:,} of {self.stack.images:,} images, "
                "evenly spaced; the figures of the chosen one are of all"
            )
            self.warnings.append(Warning("coarse", text))
        first = self._scanned(grids, stride)
        if self.wish.guarantee is not None:
            return [self._sought(k, one, one) for k, one in enumerate(first)]
        finer = [
            None if grid is None or family is None else self._finer(grid, family, own)
            for grid, family, own in zip(grids, first, stats, strict=True)
        ]
        second = self._scanned(finer, stride)
        return [self._sought(k, *pair) for k, pair in enumerate(zip(first, second, strict=True))]

    def _grid(self, k: int, own: ScoreStats) -> Grid | None:
        if k == self.background or not own.positives or not own.negatives:
            return None
        if self.wish.guarantee is None:
            thresholds, self.said = first_thresholds(own.floor, own.pos)
        else:  # of which a promise must not depend on labels
            thresholds, self.said = first_thresholds(own.floor, own.total)[0], BLIND
        regions = self.regions
        return Grid(thresholds, regions.areas, regions.fills, regions.connectivity)

    def _finer(self, grid: Grid, family: MaskFamily, own: ScoreStats) -> Grid:
        """Return the candidates of the second round: around the best, and the best of all scores.

        Where the constraints cannot be met nothing is around the best: the first round again.
        """
        best = choose(family.whole, self.wish.objective, self.wish.constraints)
        if isinstance(best, Unreachable):
            return grid
        tried = finer_thresholds(grid.thresholds, best.threshold, own.floor)
        idle = min(self.regions.areas) <= 1 and not all(self.regions.fills)
        if idle and self.wish.objective.name != MEAN_DICE:
            curve = Curve.from_cells(own.floor, own.pos, own.neg)
            exact = choose(curve, self.wish.objective, self.wish.constraints)
            if not isinstance(exact, Unreachable):
                tried = tuple(sorted({*tried, exact.threshold}))
            if max(self.regions.areas) <= 1 and not any(self.regions.fills):
                self.said = (
                    "every distinct score" if own.exact else "every cell of a grid of scores"
                )
        return replace(grid, thresholds=tried)

    def _scanned(self, grids: list[Grid | None], stride: int) -> list[MaskFamily | None]:
        hits = scan(self.stack, grids, self.calibrate, stride=stride, threads=self.threads)
        return [
            None
            if grid is None or one is None
            else flattened(
                grid.thresholds,
                grid.areas,
                grid.fills,
                one.right,
                one.wrong,
                one.positives,
                one.pixels,
            )
            for grid, one in zip(grids, hits, strict=True)
        ]

    def _sought(self, k: int, first: MaskFamily | None, second: MaskFamily | None) -> Sought:
        name = self.stack.structures[k]
        where = OVERALL if self.found.single else Where("class", name)
        if first is None or second is None:
            if k == self.background:
                return Sought(where, name, "background: what no other structure claims")
            reason = "no pixel is of it, or all are"
            text = f"{name}: {reason}, so it gets no cut-off"
            self.warnings.append(Warning("one-label", text))
            return Sought(where, name, reason)
        wish = self.wish
        if wish.guarantee is not None:
            return Sought(where, name, "", first, second, certified(second, wish, self.images))
        best = choose(second.whole, wish.objective, wish.constraints)
        if isinstance(best, Unreachable):
            refused = Refused(
                best.message(), "no thresholds were written", unreachable=True, best=best.nearest()
            )
            return Sought(where, name, "", first, second, refused)
        return Sought(where, name, "", first, second, best)


def _judged(
    search: _Search, sought: list[Sought], rule: MaskRule, conventions: Conventions
) -> list[tuple[CutOff, Together]]:
    """Return each structure's cut-off, and its figures among all, as the masks of `apply` have it.

    Raises:
        AnswerNoError: a constraint that the masks of a structure meet, and not after conflicts.
    """
    level = conventions.confidence

    def counted(own: ImageRule) -> DecidedImages:
        return count_images(search.stack, own, search.calibrate, threads=search.threads)

    decided = counted(rule)
    plain = crossed = None
    if not all(one.idle for one in rule.cleaning):
        bare = replace(rule, cleaning=tuple(Cleaning() for _ in rule.cleaning))
        plain = Judged(counted(bare).counts)
    if level is not None and search.wish.guarantee is None:
        crossed = cross_fitted(
            sought,
            search.wish,
            decided.unit,
            search.stride,
            conventions.seed,
            search.rule,
            lambda own: Judged(counted(own).counts),
        )
    judged = Judged(decided.counts)
    made = []
    for k, one in enumerate(sought):
        slot = 1 if search.found.single else k
        item = MaskItem(search.wish, one, judged, slot)
        made.append((item.entry(conventions, plain, crossed), item.together(level)))
    return made


def _write_candidates(path: str, curves: Sequence[RegionCurve]) -> None:
    """Write every candidate of the first round."""
    from calibcli.workflows.threshold.candidates import write_candidates

    names = ("threshold", "dice", "iou", "mean_dice")
    slices = []
    for curve in curves:
        size = len(curve.threshold)
        regions = [[curve.min_area] * size, [curve.fill_holes] * size]
        columns = [*regions, *(getattr(curve, name) for name in names)]
        slices.append((curve.slice.title, columns))
    write_candidates(path, ("min_area", "fill_holes", *names), slices)
