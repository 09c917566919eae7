"""Chosen cut-offs of raw scores in the unit of the scores, as they are printed and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.threshold import CutOff, GroupCut

    Cut = TypeVar("Cut", CutOff, GroupCut)


def in_raw_unit(shown: Sequence[Cut], chosen: Sequence[CutOff], scale: RawScale) -> list[Cut]:
    """Return cut-offs of the logits that raw scores became, in the unit of the scores.

    Those of groups are among the `chosen` ones, which have logits. The intervals of the cut-offs
    are in the unit already.
    """
    cuts = {one.threshold: scale.cut(one.logit) for one in chosen if one.logit is not None}
    found = []
    for one in shown:
        at = cuts[one.threshold]
        assert one.confusion is not None
        table = structs.replace(one.confusion, threshold=at)
        own = structs.replace(one, threshold=at, confusion=table)
        found.append(structs.replace(own, logit=None) if hasattr(own, "logit") else own)
    return found
