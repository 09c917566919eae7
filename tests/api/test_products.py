"""Products of matrices use one thread while a command runs in the caller's process."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from calibcli.api.call import _one_thread_a_product
from calibcli.cli.main import LINEAR_ALGEBRA


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_they_are_held_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LINEAR_ALGEBRA:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, "blas"):
        before = threads()
        with _one_thread_a_product():
            assert threads() <= {1}
        assert threads() == before


def test_what_the_environment_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LINEAR_ALGEBRA[0], "2")
    with threadpool_limits(2, "blas"):
        before = threads()
        with _one_thread_a_product():
            assert threads() == before
