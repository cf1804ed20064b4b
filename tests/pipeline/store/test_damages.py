"""Every file of a small store is damaged, one at a time: nothing wrong is read in silence, and nothing crashes.

All of it: `pytest -n 0 -s -m long tests/pipeline/store/test_damages.py`, which prints the counts.
"""

from __future__ import annotations

import functools
from collections import Counter

import pytest
from tests.pipeline.store.damages import (
    damage_files,
    flip_every_bit,
    make_real_store,
    read_everything,
    read_former_states,
    try_everything,
)

SOME, ALL = 0.2, 1.0
SHARES = [
    pytest.param(SOME, id="some"),
    pytest.param(ALL, id="all", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store, and what judges a damage to it."""
    path = make_real_store(tmp_path_factory.mktemp("damaged"))
    right = read_everything(path)
    return path, functools.partial(try_everything, path, right, read_former_states(path))


def show(counts):
    for kind, outcomes in counts.items():
        print(f"{kind}: {sum(outcomes.values()):,}, of these {dict(outcomes)}")  # noqa: T201 - with -s, the figures
    return sum(counts.values(), Counter())


@pytest.mark.parametrize("share", SHARES)
def test_no_damage_to_a_file_is_read_in_silence(store, share):
    path, judge = store
    found = show(damage_files(path, judge, share=share))
    assert judge() == "same"  # everything was put back
    assert set(found) <= {"same", "refused", "former"}
    assert found["refused"] > found["same"]
    assert share == SOME or found["former"] >= 5  # the newest commit, cut short or lost


@pytest.mark.parametrize("share", SHARES)
def test_no_flipped_bit_of_a_commit_is_read_in_silence(store, share):
    path, judge = store
    found = show(flip_every_bit(path, judge, step=1 if share == ALL else 97))
    assert judge() == "same"
    assert set(found) <= {"refused", "former"}
