"""`threshold --search --guarantee`: mask rules that are certified in the mean over images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.decisions.thresholds import Unreachable, choose
from calibcli.core.segmentation.promises import certified_masks
from calibcli.errors import UsageError
from calibcli.io.dataset import IMAGE
from calibcli.workflows.threshold.choosing import Refused

if TYPE_CHECKING:
    from calibcli.core.decisions.thresholds import Choice
    from calibcli.core.segmentation.search import MaskFamily
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.threshold.wish import Wish

BLIND = "quantiles of all scores, which do not depend on labels"
"""Which thresholds a guarantee tries, in words."""


def check_guarantee(found: Gathered, spec: InputSpec, wish: Wish) -> None:
    """Refuse a guarantee of masks where images are not units, or where masks compete.

    Raises:
        UsageError: with the reason.
    """
    if wish.guarantee is None:
        return
    if found.exclusive:
        raise UsageError(
            "a structure is certified by its own masks, and these lose pixels to the others",
            "one structure at a time, or leave out --search",
        )
    if spec.weighted or found.dataset is None or found.dataset.unit != IMAGE:
        raise UsageError(
            "a guarantee of masks counts images one by one",
            "leave out --weight and --cluster, or --search",
        )


def certified(family: MaskFamily, wish: Wish, images: int) -> Choice | Refused:
    """Return the best of the candidates that are certified, or why there is none.

    `images` is how many images the candidates were counted in.
    """
    assert wish.guarantee is not None
    sure = certified_masks(family, wish.constraints, wish.guarantee)
    best = choose(family.whole, wish.objective, allowed=sure)
    if not isinstance(best, Unreachable):
        return best
    reason = (
        f"no rule of masks can be certified for {wish.target} with confidence "
        f"{wish.guarantee:g} on {images} images"
    )
    hint = "no thresholds were written; more images, or a lower target"
    return Refused(reason, hint, unreachable=True, best=reason)
