"""Steps of blocks in parallel: each after those it needs, none missing, early blocks moving while late are carried."""

from __future__ import annotations

import pytest

from driftmap.pipeline.planning.blocks import plan_exchange_blocks
from driftmap.pipeline.planning.exchange_schedule import Step, group_blocks, place_step, plan_steps


@pytest.mark.parametrize(
    ("n_windows", "block_windows", "reach"), [(20, 4, 3), (20, 2, 3), (5, 1, 3), (7, 9, 2), (6, 2, 0)]
)
def test_every_step_stands_once_and_after_what_it_needs(n_windows, block_windows, reach):
    blocks = plan_exchange_blocks(n_windows, block_windows, reach)
    steps = plan_steps(blocks, n_rounds=3)
    names = [step for step, _ in steps]
    expected = [
        Step(kind, block) for kind in ("read", "pieces", "cluster", "carry", "write") for block in range(len(blocks))
    ]
    expected += [Step("move", block, number) for block in range(len(blocks)) for number in range(3)]
    assert sorted(names) == sorted(expected)
    assert all(needed < number for number, (_, needs) in enumerate(steps) for needed in needs)


@pytest.mark.parametrize(("n_blocks", "n_slots", "n_blocks_done"), [(8, 2, 0), (9, 1, 0), (9, 1, 5), (9, 1, 9)])
def test_a_group_moves_when_all_around_its_blocks_have_moved(n_blocks, n_slots, n_blocks_done):
    blocks, groups = plan_exchange_blocks(2 * n_blocks, 2, 3), group_blocks(n_blocks, n_slots)
    assert max(map(len, groups)) > 1
    steps = plan_steps(blocks, 3, n_blocks_done, groups=groups)
    moves = [step for step, _ in steps if step.kind == "move"]
    last = [number for step in moves if step.round == 2 for number in step.blocks]
    assert set(range(n_blocks_done, n_blocks)) <= set(last)
    assert len(last) == len(set(last))
    for number in (0, 1):
        assert {step.blocks for step in moves if step.round == number} == set(groups)
    for number, (step, needs) in enumerate(steps):
        assert all(needed < number for needed in needs)
        if step.kind == "move":
            needed = [steps[other][0] for other in needs]
            kind, before = ("move", step.round - 1) if step.round else ("carry", 0)
            assert {(other.kind, other.round) for other in needed} == {(kind, before)}
            there = {index for other in needed for block in other.blocks for index in blocks[block].core}
            assert {index for block in step.blocks for index in blocks[block].windows} <= there
        elif step.kind == "write":
            assert step.block in steps[needs[0]][0].blocks


@pytest.mark.parametrize("n_slots", [1, 2, 3, 10, 14, 1_000])
@pytest.mark.parametrize("n_blocks", [0, 1, 2, 8, 125])
def test_groups_leave_work_for_every_slot(n_blocks, n_slots):
    groups = group_blocks(n_blocks, n_slots)
    assert [block for group in groups for block in group] == list(range(n_blocks))
    assert len(groups) >= min(n_blocks, 2 * n_slots)
    longest = max(map(len, groups), default=0)
    # Units are epochs of the usual layout: the last group has all its rounds before it once all blocks are carried.
    assert longest <= 1 or 0.1 * n_blocks + 1.3 * longest <= 1.4 * n_blocks / n_slots


def test_clusters_are_found_beside_the_group_that_is_carried():
    groups = group_blocks(8, 2)
    assert groups == [range(2), range(2, 4), range(4, 6), range(6, 8)]
    for block in range(8):
        carry, cluster = (place_step(Step(kind, block), groups, 2) % 2 for kind in ("carry", "cluster"))
        assert carry == place_step(Step("move", block), groups, 2) % 2 == 1 - cluster


@pytest.mark.parametrize("n_threads", [1, 2, 16])
@pytest.mark.parametrize("n_blocks", [2, 5, 6, 7, 8, 9, 11, 40])
def test_two_workers_hold_a_half_of_the_groups_each(n_blocks, n_threads):
    groups = group_blocks(n_blocks, 2 * n_threads)
    places = [place_step(Step("move", group.start), groups, 2) for group in groups]
    assert places == sorted(places)
    assert set(places) == {0, 1}
    assert 0 <= 2 * places.count(0) - len(places) <= 1


@pytest.mark.parametrize("n_workers", [1, 3, 8])
def test_groups_alternate_over_more_workers(n_workers):
    groups = group_blocks(48, n_workers)
    assert [place_step(Step("move", group.start), groups, n_workers) for group in groups] == list(range(len(groups)))


def test_a_step_gets_the_positions_of_all_windows_that_it_reads():
    blocks = plan_exchange_blocks(11, 2, 3)
    steps = plan_steps(blocks, n_rounds=2)
    for step, needs in steps:
        needed = [steps[number][0] for number in needs]
        windows, core = blocks[step.block].windows, blocks[step.block].core
        there = {index for other in needed if other.kind != "read" for index in blocks[other.block].core}
        if step.kind == "carry":
            assert needed[0] == Step("read", step.block)
            assert set(range(windows.start, core.start)) <= there
            assert {other.block for other in needed[1:]} <= set(range(step.block))
        elif step.kind == "write":
            assert needed == [Step("move", step.block, 1), Step("cluster", step.block)]
        elif step.kind == "cluster":
            before = [Step("cluster", step.block - 1)] if step.block else []
            assert needed == [Step("pieces", step.block), *before]
        elif step.kind == "move":
            assert set(windows) <= there
            before = ("carry", 0) if step.round == 0 else ("move", step.round - 1)
            assert {(other.kind, other.round) for other in needed} == {before}


def test_early_blocks_move_while_late_ones_are_carried():
    blocks = plan_exchange_blocks(40, 2, 3)
    order = [step for step, _ in plan_steps(blocks, n_rounds=10)]
    assert order.index(Step("move", 0, 3)) < order.index(Step("carry", 19))
    assert order.index(Step("read", 19)) < order.index(Step("carry", 17))


def test_blocks_that_are_done_still_move_up_to_their_last_round():
    blocks = plan_exchange_blocks(12, 3, 2)
    left_out = {step for step, _ in plan_steps(blocks, 4)} - {
        step for step, _ in plan_steps(blocks, 4, n_blocks_done=2)
    }
    last = (("move", 3), ("pieces", 0), ("cluster", 0), ("write", 0))
    assert left_out == {Step(kind, block, number) for block in (0, 1) for kind, number in last}


def test_without_writing_the_last_round_is_the_end():
    steps = plan_steps(plan_exchange_blocks(12, 3, 2), 4, is_written=False)
    used = {number for _, needs in steps for number in needs}
    ends = {step for number, (step, _) in enumerate(steps) if number not in used}
    assert ends == {Step("move", block, 3) for block in range(4)}
