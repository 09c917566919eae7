"""Many classes in more rows than distinct scores are kept of: every figure beside whole rows."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from calibcli.core.metrics import multiclass
from calibcli.core.metrics.binary import View
from calibcli.core.statistics.curves import Binning
from calibcli.tasks.pairs import pairs_of
from calibcli.tasks.population import Layout, Scope

K, ROWS = 150, 8000


def measured(scores, labels, *, logits):
    names = tuple(map(str, range(K)))
    layout = Layout("multiclass", names, edges=Binning().edges, logits=logits, intervals=False)
    scope = Scope(layout, grouped=False, hopeless=set())
    for rows in np.array_split(np.arange(ROWS), 7):
        scope.add(pairs_of("multiclass", scores[rows], labels[rows], logits=logits), None, None)
    found = scope.population()
    assert not found.classes[0].exact
    top, classes = ([View(one, Binning()) for one in some] for some in (found.top, found.classes))
    whole = View(found.pairs, Binning())
    figures = multiclass.measure(whole, top, classes, confidence=None, losses=found.losses)
    return {name: figure[0] for name, figure in figures.items()}


@pytest.mark.parametrize("kind", ["float32 logits", "float64 logits", "probabilities"])
def test_every_figure_of_many_classes_is_that_of_the_rows(kind):
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2.0, (ROWS, K))
    y = rng.integers(0, K, ROWS)
    z[np.arange(ROWS), y] += rng.normal(5.0, 3.0, ROWS)
    z = z.astype(np.float32 if kind == "float32 logits" else np.float64)
    p = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    logits = kind != "probabilities"
    found = measured(z if logits else p, y, logits=logits)
    truth = np.eye(K)[y]
    own = p[np.arange(ROWS), y]
    assert found["nll"] == pytest.approx(-np.log(own).mean(), abs=1e-12)
    assert found["brier"] == pytest.approx(((p - truth) ** 2).sum(axis=1).mean(), abs=1e-12)
    assert found["accuracy"] == (p.argmax(axis=1) == y).mean()
    home = np.searchsorted(np.array(Binning().edges[1:-1]), p, side="left")
    gaps = [np.bincount(home[:, k], (p - truth)[:, k], 15) for k in range(K)]
    assert found["classwise_ece"] == pytest.approx(np.abs(gaps).sum() / K / ROWS, abs=1e-10)
    assert found["auc"] == pytest.approx(roc_auc_score(truth, p), abs=2e-6)
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, p), abs=2e-5)


@pytest.mark.slow
def test_the_mean_average_precision_of_rare_classes_is_covered():
    """Each positive counts itself among the hits at its score: of every class, so of their mean."""
    classes, binning = 30, Binning()

    def figure(rng, rows, level):
        z = rng.normal(0, 2.0, (rows, classes))
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        y = (rng.random((rows, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
        layout = Layout("multiclass", tuple(map(str, range(classes))), logits=True)
        scope = Scope(layout, grouped=False, hopeless=set())
        pairs = pairs_of("multiclass", z, y, logits=True)
        scope.add(pairs, None, None)
        scope.rows.add(np.arange(rows, dtype=np.uint64), pairs[-1].rows.p, y, None)
        found = scope.population()
        top, own = ([View(one, binning) for one in some] for some in (found.top, found.classes))
        whole = View(found.pairs, binning)
        told = multiclass.measure(
            whole, top, own, confidence=level, rows=found.rows, losses=found.losses
        )
        return told["average_precision"][:3]

    truth = figure(np.random.default_rng(0), 60_000, None)[0]
    held = [figure(np.random.default_rng(k), 900, 0.95) for k in range(1, 121)]
    assert np.mean([low <= truth <= high for _, low, high in held]) >= 0.9
