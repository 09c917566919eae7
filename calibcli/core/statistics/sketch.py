"""A fixed-size sketch of which rows were seen, and how many of other rows it has seen too.

The sketch keeps the smallest distinct hashes of rows and how often each came (a bottom-k sketch:
Beyer, Haas, Reinwald, Sismanis and Gemulla, "On synopses for distinct-value estimation under
multiset operations", SIGMOD 2007). That is a sample of the distinct rows which depends on the rows
alone: not on their order, partition or file. Two sketches therefore sample the same rows of two
data sets, and rows that are in both are in both samples.

Rows of a calibrator's dump can equal others by chance. How often is known from the dump itself: a
row that was not in it equals one that came exactly once with a probability of 2 f2 / n, where f2
is the number of rows that came exactly twice (Good, "The population frequencies of species and
the estimation of population parameters", Biometrika 40, 1953). So only rows that came once count
as evidence, and only beyond that chance.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.numeric.mixing import mixed
from calibcli.core.numeric.proportions import clopper_pearson
from calibcli.core.numeric.special import betainc, norm_ppf
from calibcli.core.results.comparisons import Overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Counts = NDArray[np.int64]

CAPACITY = 8192
"""Distinct rows that a calibrator's sketch keeps."""
CURRENT_CAPACITY = 32_768
"""Distinct rows of the current data that are looked up."""
ALARM = 0.001
"""Chance of an alarm where no row was used to fit."""
FEWEST_DISTINCT = 0.05
"""Share of rows that came once, below which rows cannot be told apart."""
_ALL = 2**64 - 1
_DIGEST_BITS = 32
_POWER = 0.95
_LARGE_MEAN = 500.0


class RowSketch:
    """The `capacity` smallest distinct hashes of the rows added, and how often each came.

    Hashes above `limit` are not looked at.
    """

    def __init__(self, capacity: int, limit: int = _ALL) -> None:
        self.capacity = capacity
        self.rows = 0
        self.limit = limit
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._counts: Counts = np.zeros(0, np.int64)
        self._pending: list[tuple[Hashes, Counts]] = []
        self._held = 0

    def add(self, hashes: Hashes, counts: Counts | None = None, rows: int | None = None) -> None:
        """Add rows by their hash (n,); `counts` (n,) how many identical rows each stands for.

        `rows` is how many there are, where some of hashes above the limit were left out.
        """
        if rows is None:
            rows = len(hashes) if counts is None else int(counts.sum())
        self.rows += rows
        if self.limit < _ALL:
            low = hashes <= np.uint64(self.limit)
            hashes = hashes[low]
            counts = None if counts is None else counts[low]
        if not len(hashes):
            return
        mass = np.ones(len(hashes), np.int64) if counts is None else counts.astype(np.int64)
        self._pending.append((hashes, mass))
        self._held += len(hashes)
        if self._held > 4 * self.capacity:
            self._compact()

    def merge(self, other: RowSketch) -> None:
        """Add the rows of another sketch of this capacity."""
        hashes, counts = other.sample()
        rows = self.rows + other.rows
        self.limit = min(self.limit, other.limit)
        self.add(hashes, counts)
        self.rows = rows
        self._compact()

    def sample(self) -> tuple[Hashes, Counts]:
        """Return the hashes kept, sorted (m,), and how often each came (m,)."""
        self._compact()
        return self._hashes, self._counts

    @property
    def rate(self) -> float:
        """The share of distinct rows that is kept."""
        return (self.limit + 1) / 2.0**64

    def _compact(self) -> None:
        hashes = np.concatenate([self._hashes, *(h for h, _ in self._pending)])
        counts = np.concatenate([self._counts, *(c for _, c in self._pending)])
        self._pending, self._held = [], 0
        distinct, totals = _summed(*self._fewest(hashes, counts))
        if len(distinct) > self.capacity:
            distinct, totals = distinct[: self.capacity], totals[: self.capacity]
            self.limit = min(self.limit, int(distinct[-1]))
        keep = distinct <= np.uint64(self.limit)
        self._hashes, self._counts = distinct[keep], totals[keep]

    def _fewest(self, hashes: Hashes, counts: Counts) -> tuple[Hashes, Counts]:
        """Return the rows of small hashes, where they alone hold `capacity` distinct ones."""
        some = 2 * self.capacity
        if len(hashes) <= 2 * some:
            return hashes, counts
        low = hashes <= np.partition(hashes, some)[some]
        few = hashes[low]
        if len(_summed(few, few)[0]) <= self.capacity:
            return hashes, counts
        return few, counts[low]


def _summed(hashes: Hashes, counts: Counts) -> tuple[Hashes, Counts]:
    """Return distinct hashes, sorted, and the sum of the counts of each."""
    if not len(hashes):
        return hashes, counts
    order = np.argsort(hashes)
    hashes, counts = hashes[order], counts[order]
    starts = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    return hashes[starts], np.add.reduceat(counts, starts)


@dataclass(frozen=True, slots=True)
class FittedRows:
    """What a calibrator keeps of the rows that it was fitted on.

    Attributes:
        rows: how many there were.
        limit: hashes up to this were sampled.
        sampled: rows in the sample; `twice` distinct ones that came exactly twice.
        salt: mixed into the digests, so that two artifacts' digests cannot be compared.
        once: sorted 32-bit salted digests of the sampled rows that came exactly once.
        digits: bits of the scores' floating point type: 16, 32 or 64.
        certain: whether only copies are equal, as images are: no two by chance.
    """

    rows: int
    limit: int
    sampled: int
    twice: int
    salt: int
    once: NDArray[np.uint32]
    digits: int = 64
    certain: bool = False

    @classmethod
    def of(cls, sketch: RowSketch, digits: int, *, certain: bool = False) -> Self:
        """Return what is kept of a sketch; the same for the same rows."""
        hashes, counts = sketch.sample()
        content = hashlib.sha256(hashes.tobytes() + counts.tobytes()).digest()
        salt = int.from_bytes(content[:8], "little")
        once = np.sort(_digests(hashes[counts == 1], salt))
        twice = int((counts == 2).sum())
        return cls(sketch.rows, sketch.limit, int(counts.sum()), twice, salt, once, digits, certain)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        found = {
            "rows": self.rows,
            "limit": f"{self.limit:016x}",
            "sampled": self.sampled,
            "twice": self.twice,
            "salt": f"{self.salt:016x}",
            "digits": self.digits,
            "once": base64.b64encode(self.once.astype("<u4").tobytes()).decode(),
        }
        return found | {"certain": True} if self.certain else found

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Restore what `to_dict` returned.

        Raises:
            ValueError: it is damaged.
        """
        try:
            once = np.frombuffer(base64.b64decode(payload["once"], validate=True), "<u4")
            limit, salt = int(payload["limit"], 16), int(payload["salt"], 16)
            rows, sampled = int(payload["rows"]), int(payload["sampled"])
            twice, digits = int(payload["twice"]), int(payload["digits"])
            certain = bool(payload.get("certain", False))
        except (LookupError, TypeError) as error:
            raise ValueError(f"a damaged sketch of rows: {error}") from error
        if not (0 <= limit <= _ALL and 0 <= salt <= _ALL and digits in (16, 32, 64)):
            raise ValueError("a damaged sketch of rows")
        return cls(rows, limit, sampled, twice, salt, once.astype(np.uint32), digits, certain)

    @property
    def distinct(self) -> float:
        """The share of rows that came exactly once."""
        return len(self.once) / self.sampled if self.sampled else 0.0

    def chance(self, z: float = 0.0) -> float:
        """Return how likely a row that was not among these is counted all the same.

        Good's estimate, and the chance that two digests are equal. `z` standard errors of the
        number of pairs are added (Byar's approximation to the limits of a Poisson mean).
        """
        digests = len(self.once) / 2.0**_DIGEST_BITS
        if self.certain:
            return digests
        pairs = float(self.twice)
        if z:
            base = pairs + 1.0 if z > 0.0 else max(pairs, 1e-9)
            pairs = base * max(1.0 - 1.0 / (9.0 * base) + z / (3.0 * math.sqrt(base)), 0.0) ** 3
        return 2.0 * pairs / max(self.sampled, 1) + digests


def _digests(hashes: Hashes, salt: int) -> NDArray[np.uint32]:
    digests: NDArray[np.uint32] = (
        mixed(hashes ^ np.uint64(salt)) >> np.uint64(64 - _DIGEST_BITS)
    ).astype(np.uint32)
    return digests


def overlap(fitted: FittedRows, current: RowSketch, confidence: float = 0.95) -> Overlap:
    """Return how many of the current rows were used to fit, and how sure that is."""
    if fitted.distinct < FEWEST_DISTINCT:
        return Overlap(None, reason="too many rows of the fit have the same scores as others")
    hashes, counts = current.sample()
    both = hashes <= np.uint64(min(fitted.limit, current.limit))
    hashes, counts = hashes[both], counts[both]
    looked_up = int(counts.sum())
    if not looked_up:
        return Overlap(None, reason="too few rows: none of them is in the sample")
    found = np.isin(_digests(hashes, fitted.salt), fitted.once)
    matches, matched = int(found.sum()), int(counts[found].sum())
    p = chance_of(matches, fitted, looked_up)
    alarm = p < ALARM
    # Rows that come together with their copies tell as much as fewer rows.
    worth = looked_up**2 / float(counts.astype(np.float64) @ counts)
    share = matched / looked_up
    low, high = (float(end) for end in clopper_pearson(share * worth, worth, confidence))
    z = norm_ppf((1.0 + confidence) / 2.0)

    def leaked(share: float, chance: float) -> float:
        return min(max((share - chance) / max(fitted.distinct - chance, 1e-12), 0.0), 1.0)

    return Overlap(
        leaked(share, fitted.chance()) if alarm else 0.0,
        leaked(low, fitted.chance(z)) if alarm else 0.0,
        leaked(high, fitted.chance(-z)),
        looked_up,
        matches,
        looked_up * fitted.chance(),
        p,
        detectable_share(fitted, looked_up),
    )


def chance_of(matches: int, fitted: FittedRows, looked_up: int) -> float:
    """Return the chance of as many matches where no row was used to fit.

    Matches by chance and pairs in the fit are two Poisson counts whose means have a known ratio,
    so given their sum the matches are binomial (Przyborowski and Wilenski, Biometrika 31, 1940):
    how little a few pairs tell about the chance is part of the test.
    """
    if not matches:
        return 1.0
    if fitted.certain:
        return poisson_sf(matches, looked_up * fitted.chance())
    ratio = 2.0 * looked_up / fitted.sampled
    return float(betainc(matches, fitted.twice + 1.0, ratio / (1.0 + ratio)))


def least_matches(fitted: FittedRows, looked_up: int) -> int:
    """Return how many matches raise the alarm."""
    low, high = 0, 1
    while chance_of(high, fitted, looked_up) >= ALARM:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if chance_of(middle, fitted, looked_up) >= ALARM:
            low = middle
        else:
            high = middle
    return high


def detectable_share(fitted: FittedRows, looked_up: int) -> float | None:
    """Return the smallest share of leaked rows that raises the alarm with probability `_POWER`."""
    needed, chance = least_matches(fitted, looked_up), fitted.chance()

    def caught(share: float) -> float:
        return poisson_sf(needed, looked_up * (chance + share * (fitted.distinct - chance)))

    if caught(1.0) < _POWER:
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if caught(middle) < _POWER else (low, middle)
    return high


def poisson_sf(k: int, mean: float) -> float:
    """Return P(X >= k) for a Poisson variable; of a large mean by the normal distribution."""
    if k <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    if mean > _LARGE_MEAN:
        return math.erfc((k - 0.5 - mean) / math.sqrt(2.0 * mean)) / 2.0

    def term(i: int) -> float:
        return math.exp(i * math.log(mean) - mean - math.lgamma(i + 1))

    if k > mean:
        total, i = 0.0, k
        while True:
            step = term(i)
            total += step
            i += 1
            if step <= 1e-17 * total or step == 0.0:
                return min(total, 1.0)
    return max(1.0 - sum(term(i) for i in range(k)), 0.0)
