"""A chosen mask rule: what it reaches, and on images that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.decisions.cross_fit import FOLDS
from calibcli.core.decisions.objectives import FIGURES, MEAN_DICE, Objective, f1, fpr, specificity
from calibcli.core.decisions.parity import broken
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.core.decisions.thresholds import Confusion as Counts
from calibcli.core.results.figures import Confusion, Figure
from calibcli.core.results.parts.searches import Together
from calibcli.core.results.threshold import CrossFitted, CutOff, Guarantee, PlainCut
from calibcli.core.segmentation.overlap import overlap
from calibcli.core.segmentation.promises import mask_means
from calibcli.core.segmentation.search import fold_choices, resampled
from calibcli.errors import AnswerNoError
from calibcli.workflows.measure.slices import figure
from calibcli.workflows.threshold.choosing import Refused
from calibcli.workflows.threshold.describing import DRAWS, NEVER
from calibcli.workflows.threshold.honest import crossed, ended, move_between, with_move

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.judged import Judged
    from calibcli.core.decisions.objectives import Figure as Function
    from calibcli.core.results.figures import Where
    from calibcli.core.segmentation.rules import ImageRule, MaskRule
    from calibcli.core.segmentation.search import MaskFamily
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Place = tuple[float, int, bool]
_OVERLAP = {"precision": "precision", "recall": "recall", "f1": "dice", "iou": "iou",
            "mean_dice": "mean_dice"}  # fmt: skip
_VALUE = {"dice": "f1", "f1": "f1", "iou": "iou", MEAN_DICE: "mean_dice",
          "precision": "precision", "recall": "recall"}  # fmt: skip
_MEAN = Objective(MEAN_DICE, f1)


@dataclass(frozen=True, slots=True)
class Sought:
    """One structure: its candidates of both rounds and the best, or why it has none.

    Attributes:
        where: which slice; `name` of the structure.
        reason: why nothing is chosen, "" where something was sought.
        first, second: the candidates of the rounds.
        choice: the best of the second.
    """

    where: Where
    name: str
    reason: str = ""
    first: MaskFamily | None = None
    second: MaskFamily | None = None
    choice: Choice | Refused | None = None

    @property
    def place(self) -> Place | None:
        """Threshold, least area and filling; None for a structure without a cut-off."""
        if isinstance(self.choice, Refused):
            return NEVER, 0, False
        if self.second is None or self.choice is None:
            return None
        return place_of(self.second, self.choice)


@dataclass(frozen=True, slots=True)
class FoldRule:
    """A rule for the images of each fold."""

    rules: tuple[MaskRule, ...]
    home: NDArray[np.int64]

    @property
    def column(self) -> None:
        """Decisions do not differ by group."""
        return

    def decide(
        self, p: NDArray[np.float64], group: str | None = None, image: int = 0
    ) -> NDArray[np.int16]:
        """Return the decision of each pixel of an image, by the choice of the other folds."""
        return self.rules[int(self.home[image])].decide(p)


@dataclass(frozen=True, slots=True)
class CrossFittedMasks:
    """Masks of images that the choice has not seen.

    Attributes:
        judged: their counts; None where the others of a fold find no rule.
        moves: root mean square by which each figure of all images moves between the choices, of
            each structure that has a choice.
        failed: folds without which a structure's bounds cannot be met.
        folds: how many there are.
    """

    judged: Judged | None
    moves: tuple[dict[str, float] | None, ...]
    failed: int
    folds: int


def cross_fitted(
    sought: Sequence[Sought],
    wish: Wish,
    unit: NDArray[np.uint64],
    stride: int,
    seed: int,
    rule_of: Callable[[list[Place | None]], MaskRule],
    count: Callable[[ImageRule], Judged],
) -> CrossFittedMasks | None:
    """Repeat the choice of every structure without the units of each fold, and judge these.

    None where there is one unit alone.

    Args:
        sought: the structures.
        wish: what to achieve.
        unit: (images,) hash of the unit of each image.
        stride: candidates were counted in one of so many images.
        seed: of the draw of folds.
        rule_of: the rule of a place for each structure.
        count: the decisions of a rule on all images.
    """
    units, inverse = np.unique(unit, return_inverse=True)
    folds = min(FOLDS, len(units))
    if folds < 2:
        return None
    home = (np.random.default_rng(seed).permutation(len(units)) % folds)[inverse]
    places: list[list[Place | None]] = [[] for _ in range(folds)]
    moves: list[dict[str, float] | None] = []
    failed: set[int] = set()
    for one in sought:
        if one.first is None or not isinstance(one.choice, Choice):
            for own in places:
                own.append(one.place)
            moves.append(None)
            continue
        choices = fold_choices(one.first, wish.objective, wish.constraints, home[::stride])
        for fold, choice in enumerate(choices):
            if choice is None:
                failed.add(fold)
            places[fold].append(None if choice is None else place_of(one.first, choice))
        moves.append(_moves(one.first, wish, choices))
    if failed and not wish.never:
        return CrossFittedMasks(None, tuple(moves), len(failed), folds)
    judged = count(FoldRule(tuple(map(rule_of, places)), home))
    return CrossFittedMasks(judged, tuple(moves), len(failed), folds)


def place_of(family: MaskFamily, choice: Choice) -> Place:
    """Return threshold, least area and filling of a candidate."""
    return choice.threshold, int(family.area[choice.index]), bool(family.fill[choice.index])


def _moves(
    family: MaskFamily, wish: Wish, choices: Sequence[Choice | None]
) -> dict[str, float] | None:
    curve = family.whole
    here = choose(curve, wish.objective, wish.constraints)
    if isinstance(here, Unreachable):
        return None
    found = {}
    for name in _OVERLAP:
        values = curve.value(_MEAN) if name == "mean_dice" else curve.figure(FIGURES[name])
        gaps = [values[one.index] - values[here.index] for one in choices if one is not None]
        found[name] = move_between(gaps)
    return found


@dataclass(frozen=True, slots=True)
class MaskItem:
    """One structure among the decided masks.

    Attributes:
        wish: what was to be achieved.
        one: its candidates and choice.
        judged: the decisions of all structures together.
        slot: its place among them.
        images: how many images there are.
    """

    wish: Wish
    one: Sought
    judged: Judged
    slot: int

    def together(self, level: float | None) -> Together:
        """Return the figures of the decided masks of a structure."""
        counts = self.judged.by_unit(self.slot)
        shown = {key: figure(value) for key, value in overlap(counts, level).items()}
        tp, fp, fn = (int(v) for v in counts.sum(axis=0))
        return Together(self.one.name, tp, fp, fn, **shown)

    def entry(
        self, conventions: Conventions, plain: Judged | None, folds: CrossFittedMasks | None
    ) -> CutOff:
        """Return the cut-off of a structure.

        Raises:
            AnswerNoError: a constraint that its masks meet by themselves, and not among all.
        """
        one, level = self.one, conventions.confidence
        if one.place is None or one.first is None or one.second is None:
            return CutOff(slice=one.where, threshold=None, n=0, reason=one.reason)
        counts = self.judged.by_unit(self.slot)
        pixels = int(one.second.pixels.sum()) if self.judged.n == 0 else int(self.judged.n)
        told = {name: figure(found) for name, found in overlap(counts, level).items()}
        threshold, area, fill = one.place
        item = CutOff(
            slice=one.where,
            threshold=threshold,
            threshold_low=None,
            threshold_high=None,
            n=pixels,
            value=self._value(counts, pixels, told),
            confusion=_confusion(threshold, counts, pixels, told),
            min_area=area,
            fill_holes=fill,
            pooled_dice=told["dice"],
            pooled_iou=told["iou"],
            mean_dice=told["mean_dice"],
        )
        if isinstance(one.choice, Refused):
            return structs.replace(item, reason=one.choice.words)
        if self.wish.guarantee is None:
            self._check(item)
        else:
            item = structs.replace(item, guarantee=self._promised(self.wish.guarantee))
        if one.second.area.max() > 1 or one.second.fill.any():
            bare = (self.judged if plain is None else plain).by_unit(self.slot)
            alone = {name: figure(found) for name, found in overlap(bare, None).items()}
            cut = PlainCut(threshold, self._value(bare, pixels, alone).value)
            item = structs.replace(item, without_regions=cut)
        if level is None or self.wish.guarantee is not None:
            return item
        item = self._resampled(item, level, conventions.seed)
        if folds is None:
            return item
        entry = self._crossed(folds, level, pixels)
        return structs.replace(
            crossed(item, entry),
            pooled_dice=ended(item.pooled_dice, entry.f1),
            pooled_iou=ended(item.pooled_iou, entry.iou),
            mean_dice=ended(item.mean_dice, entry.mean_dice),
        )

    def _promised(self, confidence: float) -> Guarantee:
        """Return what is certified of the masks, in the mean over images."""
        one, bounds = self.one, self.wish.constraints
        assert one.second is not None
        assert isinstance(one.choice, Choice)
        images, means = mask_means(one.second, bounds, one.choice.index)
        return Guarantee(
            confidence,
            tuple(map(str, bounds)),
            one.choice.threshold,
            one.choice.threshold,
            unit="image",
            units=images,
            means=dict(zip((bound.name for bound in bounds), means, strict=True)),
        )

    def _check(self, item: CutOff) -> None:
        table = item.confusion
        assert table is not None
        counts = Counts(table.tp, table.fp, table.fn, table.tn or 0)
        bad = broken(counts, self.wish.constraints)
        if bad:
            value = counts.figure(bad[0].function)
            reached = "undefined" if value is None else f"{value:.6g}"
            raise AnswerNoError(
                f"{self.one.name}: its own masks meet {bad[0]}, and not those that are left to it "
                f"where several structures claim a pixel: {bad[0].name} is {reached}",
                "no thresholds were written; a higher target, or --background",
            )

    def _value(self, counts: NDArray[np.int64], pixels: int, told: Mapping[str, Figure]) -> Figure:
        name = self.wish.objective.name
        if name in _VALUE:
            return told[_OVERLAP[_VALUE[name]]]
        return _undefined_or(self.wish.objective.function, counts, pixels)

    def _resampled(self, item: CutOff, level: float, seed: int) -> CutOff:
        """Return a cut-off with the interval of the threshold, by resampling images."""
        family, wish = self.one.first, self.wish
        assert family is not None
        assert item.threshold is not None
        start = choose(family.whole, wish.objective, wish.constraints)
        if isinstance(start, Unreachable):
            return item
        spread = resampled(
            family,
            wish.objective,
            wish.constraints,
            start.index,
            confidence=level,
            draws=DRAWS,
            seed=seed,
        )
        if spread is None:
            return item
        return structs.replace(
            item,
            threshold_low=min(spread.threshold[0], item.threshold),
            threshold_high=max(spread.threshold[1], item.threshold),
            optimism=spread.optimism,
            same_regions=spread.same,
        )

    def _crossed(self, folds: CrossFittedMasks, level: float, pixels: int) -> CrossFitted:
        if folds.judged is None:
            reason = f"without {folds.failed} of {folds.folds} folds no rule meets the bounds"
            return CrossFitted(folds.folds, reason=reason)
        counts = folds.judged.by_unit(self.slot)
        told = {name: figure(found) for name, found in overlap(counts, level).items()}
        moves = folds.moves[self.slot if len(folds.moves) > 1 else 0] or {}
        entry: dict[str, Any] = {
            name: with_move(told[other], moves.get(name, 0.0), level)
            for name, other in _OVERLAP.items()
        }
        own = _VALUE.get(self.wish.objective.name)
        value = self._value(counts, pixels, told) if own is None else entry[own]
        return CrossFitted(folds.folds, value, **entry)


def _confusion(
    threshold: float, counts: NDArray[np.int64], pixels: int, told: Mapping[str, Figure]
) -> Confusion:
    tp, fp, fn = (int(v) for v in counts.sum(axis=0))
    return Confusion(
        threshold,
        tp,
        fp,
        fn,
        pixels - tp - fp - fn,
        precision=told["precision"],
        recall=told["recall"],
        f1=told["dice"],
        specificity=_undefined_or(specificity, counts, pixels),
        fpr=_undefined_or(fpr, counts, pixels),
        iou=told["iou"],
    )


def _undefined_or(function: Function, counts: NDArray[np.int64], pixels: int) -> Figure:
    """Return a figure of counts without its interval."""
    tp, fp, fn = (int(v) for v in counts.sum(axis=0))
    return Figure(Counts(tp, fp, fn, pixels - tp - fp - fn).figure(function))
