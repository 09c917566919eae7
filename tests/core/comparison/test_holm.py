from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.comparison.holm import holm


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([], []),
        ([0.04], [True]),
        ([0.04, 0.04], [False, False]),
        ([0.024, 0.04], [True, True]),
        # Holm's own order: 0.01 <= .05/4, 0.016 <= .05/3, 0.03 > .05/2.
        ([0.03, 0.01, 0.04, 0.016], [False, True, False, True]),
    ],
)
def test_steps_down_from_the_smallest(p_values, rejected):
    assert holm(p_values, 0.05) == rejected


def test_false_claims_of_a_family_are_rare_and_bonferroni_is_never_better():
    rng = np.random.default_rng(0)
    draws = rng.random((2000, 20))
    draws[:, :5] /= 200  # five that are false
    claims = np.array([holm(row, 0.05) for row in draws.tolist()])
    assert claims[:, 5:].any(axis=1).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)
    assert (claims >= (draws <= 0.05 / 20)).all()
    assert claims.sum() > (draws <= 0.05 / 20).sum()
