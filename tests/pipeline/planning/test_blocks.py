"""Blocks: cores partition the windows, lookahead and halo lie around them, and memory is kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.planning.blocks import (
    MAX_CORE_WINDOWS,
    Block,
    block_bytes,
    choose_block_windows,
    is_final,
    plan_blocks,
)

plans = st.tuples(st.integers(0, 200), st.integers(1, 30), st.integers(0, 8), st.integers(0, 8))


@given(plans)
def test_cores_partition_the_windows(plan):
    blocks = plan_blocks(*plan)
    assert [window for block in blocks for window in block.core] == list(range(plan[0]))
    assert all(len(block.core) > 0 for block in blocks)


@given(plans)
def test_halo_and_lookahead_touch_the_core(plan):
    n_windows, block_windows, lookahead, reach = plan
    for block in plan_blocks(*plan):
        assert list(block.windows) == [*block.halo, *block.core, *block.lookahead]
        assert len(block.halo) == min(reach, block.core.start)
        assert block.lookahead.stop == min(n_windows, block.core.stop + lookahead)
        assert len(block.core) + len(block.lookahead) <= block_windows + lookahead


@given(plans)
def test_every_halo_window_is_final_and_every_other_one_may_move(plan):
    n_windows, _, lookahead, _ = plan
    final: set[int] = set()
    for block in plan_blocks(*plan):
        assert set(block.halo) <= final
        assert not final & {*block.core, *block.lookahead}
        final |= {window for window in block.core if is_final(window, n_windows, lookahead)}
    assert len(final) == max(0, n_windows - lookahead)


@given(plans)
def test_a_window_is_laid_out_again_only_with_more_windows_ahead(plan):
    for before, after in pairwise(plan_blocks(*plan)):
        assert after.windows.stop > before.windows.stop


def test_blocks_of_ten_windows():
    assert plan_blocks(10, 3, 2, 1) == [
        Block(range(0), range(3), range(3, 5)),
        Block(range(2, 3), range(3, 6), range(6, 8)),
        Block(range(5, 6), range(6, 10), range(10, 10)),
    ]


def test_one_block_holds_everything_that_fits():
    assert plan_blocks(10, 10, 3, 3) == plan_blocks(10, 7, 3, 3) == [Block(range(0), range(10), range(10, 10))]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-1, 1, 0, 0), "n_windows"),
        ((1, 0, 0, 0), "block_windows"),
        ((1, 1, -1, 0), "lookahead"),
        ((1, 1, 0, -1), "reach"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(arguments, name):
    with pytest.raises(PlanError, match=name):
        plan_blocks(*arguments)


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=100),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(1, 200 * 2**20),
)
def test_no_block_is_larger_than_the_limit(rows, lookahead, reach, limit):
    sizes = {"n_neighbors": 15, "n_components": 2, "reach": reach}

    def need(block):
        part = rows[block.windows.start : block.windows.stop]
        return block_bytes(sum(part), max(part), len(part), **sizes)

    try:
        chosen = choose_block_windows(rows, limit, lookahead=lookahead, **sizes)
    except PlanError:
        n_windows = min(len(rows), 1 + lookahead + reach)
        n_rows = max(sum(rows[first : first + n_windows]) for first in range(len(rows) - n_windows + 1))
        assert block_bytes(n_rows, max(rows), n_windows, **sizes) > limit
        return
    assert 1 <= chosen <= min(MAX_CORE_WINDOWS, len(rows))
    for block in plan_blocks(len(rows), chosen, lookahead, reach):
        assert need(block) <= limit


def test_more_memory_gives_longer_blocks_up_to_a_cap():
    def choose(limit: int) -> int:
        return choose_block_windows([2000] * 1000, limit, n_neighbors=15, n_components=2, lookahead=3, reach=3)

    def need(n_windows: int) -> int:
        return block_bytes(2000 * n_windows, 2000, n_windows, n_neighbors=15, n_components=2, reach=3)

    assert choose(need(7)) == choose(need(8) - 1) == 1
    assert choose(need(16)) == 10
    assert choose(10**12) == MAX_CORE_WINDOWS


def test_a_block_that_cannot_fit_is_refused_with_what_it_needs():
    for limit, said in ((2**20, r"1\.05 MB"), (5, "5 B")):
        with pytest.raises(PlanError, match=rf"memory_limit is {said}, .* takes [\d.]+ MB; raise memory_limit \(bytes"):
            choose_block_windows([10_000] * 9, limit, n_neighbors=15, n_components=2, lookahead=3, reach=3)
