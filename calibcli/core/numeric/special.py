"""Distribution functions in NumPy and the standard library.

`measure` answers in the time it takes to import NumPy; SciPy's import alone costs as much again,
so the few functions that intervals need live here. SciPy is their oracle in the tests.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

# Wichura's rational approximations, highest power first: (numerator, denominator).
_CENTRE = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
_TAIL = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
_FAR_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)


def norm_ppf(q: float) -> float:
    """Return the standard normal quantile of q in (0, 1), as `statistics.NormalDist` does.

    Source: Wichura, 1988, algorithm AS 241. The module itself takes longer to import.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"no quantile at {q}")
    centre = q - 0.5
    if abs(centre) <= 0.425:
        return _ratio(_CENTRE, 0.180625 - centre * centre) * centre
    depth = math.sqrt(-math.log(q if centre < 0.0 else 1.0 - q))
    x = _ratio(_TAIL, depth - 1.6) if depth <= 5.0 else _ratio(_FAR_TAIL, depth - 5.0)
    return math.copysign(x, centre)


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], x: float) -> float:
    above = below = 0.0
    for a, b in zip(*polynomials, strict=True):
        above, below = above * x + a, below * x + b
    return above / below


def norm_sf_two_sided(z: float) -> float:
    """Return P(|Z| >= |z|) for a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def chi2_sf(x: float, df: int) -> float:
    """Return P(X >= x) for chi-squared with integer df >= 1, by its finite sum.

    Source: Abramowitz and Stegun 26.4.4 (odd df) and 26.4.5 (even df).
    """
    if x <= 0:
        return 1.0
    half = x / 2.0
    if df % 2 == 0:
        term, total = math.exp(-half), 0.0
        for k in range(df // 2):
            total += term
            term *= half / (k + 1)
        return min(total, 1.0)
    total = math.erfc(math.sqrt(half))
    term = math.sqrt(2.0 * x / math.pi) * math.exp(-half)
    for k in range(1, (df + 1) // 2):
        total += term
        term *= x / (2 * k + 1)
    return min(total, 1.0)


def scaled_chi2_sf(x: float, df: int, spread_df: int | None) -> float:
    """Return P(X >= x) for chi-squared whose scale was estimated with `spread_df` freedoms.

    x / df is then F with df and spread_df degrees of freedom; None for a known scale.
    """
    if spread_df is None or x <= 0:
        return chi2_sf(x, df)
    return float(betainc(spread_df / 2.0, df / 2.0, spread_df / (spread_df + x)))


_lgamma = np.frompyfunc(math.lgamma, 1, 1)


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """Return the regularised incomplete beta function I_x(a, b), elementwise, for a, b > 0.

    Source: the continued fraction of Numerical Recipes 6.4 by Lentz's method.
    """
    alpha, beta, at = _broadcast(a, b, x)
    swap = at > (alpha + 1.0) / (alpha + beta + 2.0)
    alpha, beta = np.where(swap, beta, alpha), np.where(swap, alpha, beta)
    at = np.where(swap, 1.0 - at, at)
    with np.errstate(divide="ignore"):
        powers = alpha * np.log(at) + beta * np.log1p(-at)
    front = np.exp(powers - _log_beta(alpha, beta)) / alpha
    tail = np.where(at > 0, front * _beta_fraction(alpha, beta, at), 0.0)
    inside: Array = np.where(swap, 1.0 - tail, tail)
    return inside


def _broadcast(*values: ArrayLike) -> list[Array]:
    return list(np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in values)))


def _log_beta(a: Array, b: Array) -> Array:
    return np.asarray(_lgamma(a) + _lgamma(b) - _lgamma(a + b), dtype=np.float64)


_FEW = 8
"""Numbers up to which a loop in Python takes less time than one of arrays."""


def _beta_fraction(a: Array, b: Array, x: Array) -> Array:
    if x.size <= _FEW:
        each = zip(a.ravel().tolist(), b.ravel().tolist(), x.ravel().tolist(), strict=True)
        return np.array([_one_fraction(*one) for one in each]).reshape(x.shape)
    c = np.ones_like(x)
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    h = d.copy()
    done = np.zeros(h.shape, dtype=bool)  # each stops by itself, whatever stands beside it
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + even * d)
        c = 1.0 + even / c
        following = h * (d * c)
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / (1.0 + odd * d)
        c = 1.0 + odd / c
        step = d * c
        h = np.where(done, h, following * step)
        done |= np.abs(step - 1.0) < 1e-13
        if done.all():
            break
    return h


def _one_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, 100_000):
        place = a + 2 * m
        even = m * (b - m) * x / ((place - 1.0) * place)
        d = 1.0 / (1.0 + even * d)
        c = 1.0 + even / c
        h *= d * c
        odd = -(a + m) * (a + b + m) * x / (place * (place + 1.0))
        d = 1.0 / (1.0 + odd * d)
        c = 1.0 + odd / c
        h *= d * c
        if abs(d * c - 1.0) < 1e-13:
            break
    return h


def beta_ppf(q: ArrayLike, a: ArrayLike, b: ArrayLike) -> Array:
    """Return the quantile of Beta(a, b), elementwise, by Halley steps kept inside a bracket.

    Where both are above 10,000, Cornish and Fisher's expansion (1938) is right to 1e-6 of the
    standard deviation, and takes no longer for a billion rows.
    """
    level, alpha, beta = _broadcast(q, a, b)
    many = np.minimum(alpha, beta) > 1e4
    if many.any():
        found = _beta_of_many(level, np.where(many, alpha, 1e4), np.where(many, beta, 1e4))
        if not many.all():
            found[~many] = beta_ppf(level[~many], alpha[~many], beta[~many])
        return found
    if level.size <= _FEW:
        each = zip(*(one.ravel().tolist() for one in (level, alpha, beta)), strict=True)
        try:
            return np.array([_one_beta_ppf(*one) for one in each]).reshape(level.shape)
        except (ArithmeticError, ValueError):
            pass  # a quantile that rounds to 0 or 1, which arrays have infinities for
    low, high = np.zeros(level.shape), np.ones(level.shape)
    mean = alpha / (alpha + beta)
    spread = np.sqrt(mean * (1.0 - mean) / (alpha + beta + 1.0))
    guess = mean + spread * np.vectorize(norm_ppf)(level) if level.size else mean
    x = np.clip(guess, mean * 0.1, 1.0 - (1.0 - mean) * 0.1)
    log_beta = _log_beta(alpha, beta)
    for _ in range(60):
        excess = betainc(alpha, beta, x) - level
        low, high = np.where(excess < 0, x, low), np.where(excess > 0, x, high)
        with np.errstate(all="ignore"):
            # On the logit of x, where the distribution function is closer to a line.
            slope = np.exp(alpha * np.log(x) + beta * np.log1p(-x) - log_beta)
            newton = excess / slope
            bend = 1.0 - np.clip(0.5 * newton * (alpha - (alpha + beta) * x), -1.0, 0.5)
            odds = x / (1.0 - x) * np.exp(np.clip(-newton / bend, -30.0, 30.0))
            step = odds / (1.0 + odds)
        inside = (step > low) & (step < high)
        found = (excess == 0) | (np.abs(step - x) <= 1e-10 * x)
        if found.all():
            return x
        x = np.where(found, x, np.where(inside, step, (low + high) / 2.0))
    return x


def _one_beta_ppf(level: float, a: float, b: float) -> float:
    """Do the same for one number, bit by bit, which takes a fifth of the time without arrays."""
    low, high = 0.0, 1.0
    mean = a / (a + b)
    guess = mean + math.sqrt(mean * (1.0 - mean) / (a + b + 1.0)) * norm_ppf(level)
    x = min(max(guess, mean * 0.1), 1.0 - (1.0 - mean) * 0.1)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    for _ in range(60):
        if not 0.0 < x < 1.0:
            raise ArithmeticError
        if x > (a + 1.0) / (a + b + 2.0):
            excess = 1.0 - _one_tail(b, a, 1.0 - x, log_beta) - level
        else:
            excess = _one_tail(a, b, x, log_beta) - level
        if excess < 0.0:
            low = x
        elif excess > 0.0:
            high = x
        else:
            return x
        slope = float(np.exp(a * float(np.log(x)) + b * float(np.log1p(-x)) - log_beta))
        newton = excess / slope
        bend = 1.0 - min(max(0.5 * newton * (a - (a + b) * x), -1.0), 0.5)
        odds = x / (1.0 - x) * float(np.exp(min(max(-newton / bend, -30.0), 30.0)))
        step = odds / (1.0 + odds)
        if abs(step - x) <= 1e-10 * x:
            return x
        x = step if low < step < high else (low + high) / 2.0
    return x


def _one_tail(a: float, b: float, x: float, log_beta: float) -> float:
    powers = a * float(np.log(x)) + b * float(np.log1p(-x))
    return float(np.exp(powers - log_beta)) / a * _one_fraction(a, b, x)


def _beta_of_many(level: Array, a: Array, b: Array) -> Array:
    z = np.vectorize(norm_ppf)(level)
    n = a + b
    error = np.sqrt(a * b / (n + 1.0)) / n
    g = 2.0 * (b - a) * np.sqrt(n + 1.0) / ((n + 2.0) * np.sqrt(a * b))
    k = 6.0 * ((a - b) ** 2 * (n + 1.0) - a * b * (n + 2.0)) / (a * b * (n + 2.0) * (n + 3.0))
    away = z + g * (z**2 - 1.0) / 6.0
    away += k * (z**3 - 3.0 * z) / 24.0 - g**2 * (2.0 * z**3 - 5.0 * z) / 36.0
    found: Array = a / n + error * away
    return found


def norm_cdf(x: ArrayLike) -> Array:
    """Return the standard normal distribution function, elementwise, to 8e-8.

    Source: Abramowitz and Stegun 7.1.26.
    """
    at = np.asarray(x, dtype=np.float64)
    size = np.abs(at) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = np.zeros(at.shape)
    for term in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + term) * t
    tail = 0.5 * series * np.exp(-size * size)
    found: Array = np.where(at < 0.0, tail, 1.0 - tail)
    return found


@lru_cache(maxsize=1024)
def t_ppf(q: float, df: float) -> float:
    """Return the quantile of Student's t with df degrees of freedom, of the normal above 1e6."""
    if q == 0.5:
        return 0.0
    if df > 1e6:
        return norm_ppf(q)
    tail = min(q, 1.0 - q)
    x = float(beta_ppf(2.0 * tail, df / 2.0, 0.5))
    return math.copysign(math.sqrt(df * (1.0 - x) / x), q - 0.5)


def digamma(x: ArrayLike) -> Array:
    """Return the logarithmic derivative of the gamma function, elementwise, for x >= 1.

    Source: Abramowitz and Stegun 6.3.18 above 10, and the recurrence 6.3.5 below.
    """
    at = np.asarray(x, dtype=np.float64)
    below = np.zeros(at.shape)
    for _ in range(9):
        small = at < 10.0
        if not small.any():
            break
        below = below + np.where(small, 1.0 / at, 0.0)
        at = np.where(small, at + 1.0, at)
    square = 1.0 / (at * at)
    series = np.zeros(at.shape)
    for term in (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12):
        series = (series + term) * square
    found: Array = np.log(at) - 0.5 / at + series - below
    return found
