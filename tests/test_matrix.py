"""Every feature on every kind of scores acts, or is refused with the reason that the table has."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed")

from benchmarks.matrix.commands import TRIALS, World
from benchmarks.matrix.page import COLUMNS, NOT_YET, page
from benchmarks.matrix.run import cluster, tried
from calibcli.tasks.features import FEATURES, refusal
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def scheduler():
    with cluster() as address:
        yield address


@pytest.fixture(scope="module", params=COLUMNS)
def world(request, tmp_path_factory, scheduler):
    return World.make(request.param, tmp_path_factory.mktemp(request.param), scheduler)


@pytest.mark.slow
@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_acts_or_is_refused_with_its_reason(feature, world):
    found = tried(world, TRIALS[feature](world))
    wanted = refusal(feature, world.kind)
    if wanted is not None:
        assert (found.code, found.acts) == (2, False)
        assert wanted.reason in found.said
        assert wanted.hint in found.said
        return
    assert found.acts == ((feature, world.kind) not in NOT_YET), found.said


def test_the_table_of_the_docs_is_that_of_the_program():
    assert (ROOT / "docs" / "matrix.md").read_text(encoding="utf-8") == page()


def test_as_many_cells_act_as_were_promised():
    refused = {(f, kind) for f in FEATURES for kind in COLUMNS if refusal(f, kind) is not None}
    assert not refused & NOT_YET
    acts = len(FEATURES) * len(COLUMNS) - len(refused | NOT_YET)
    assert acts >= 320
