"""A map in threads: the order of the items, few in flight, the first error."""

from __future__ import annotations

import threading
import time

import pytest

from calibcli.engines.threads import cores, map_ordered


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_items(threads):
    def slow(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(map_ordered(slow, range(30), threads)) == [i * i for i in range(30)]
    assert list(map_ordered(slow, iter(range(30)), threads)) == [i * i for i in range(30)]


@pytest.mark.parametrize("threads", [1, 4])
def test_no_items(threads):
    assert list(map_ordered(str, [], threads)) == []


def test_few_are_in_flight():
    """What a slow reader has not taken yet does not pile up."""
    begun = []
    taken = 0
    for _ in map_ordered(begun.append, iter(range(100)), 3):
        time.sleep(0.001)
        assert len(begun) - taken <= 3 + 2
        taken += 1
    assert taken == 100


def test_the_first_error_is_raised_where_it_is_due():
    done = []

    def fail(item):
        if item in (7, 9):
            raise ValueError(item)
        done.append(item)
        return item

    found = []
    with pytest.raises(ValueError, match="7"):
        found.extend(map_ordered(fail, range(1000), 4))
    assert found == [] or found == list(range(7))
    assert len(done) < 30


def test_an_abandoned_map_ends_its_threads():
    before = threading.active_count()
    found = map_ordered(lambda item: item, iter(range(10_000)), 4)
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before


def test_one_item_needs_no_thread():
    (name,) = map_ordered(lambda _: threading.current_thread().name, [0], 4)
    assert name == threading.current_thread().name


def test_cores_are_those_of_this_process():
    assert cores() >= 1
