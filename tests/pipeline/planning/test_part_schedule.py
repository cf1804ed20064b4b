"""Steps of a block whose rows are shared out."""

from __future__ import annotations

from driftmap.pipeline.planning.part_schedule import PartStep, plan_part_steps


def test_a_part_moves_once_all_have_moved_by_the_epoch_before():
    steps = plan_part_steps(2, {1: 2, 2: 1}, 2)
    kinds = [step.kind for step, _ in steps]
    assert kinds == ["cluster", "start", *["carry"] * 4, "start", *["carry"] * 2, *["move"] * 4, "write"]
    number_of = {step: number for number, (step, _) in enumerate(steps)}
    needs = {step: [steps[number][0] for number in needed] for step, needed in steps}
    assert all(number < own for own, (_, needed) in enumerate(steps) for number in needed)
    first = [PartStep("carry", 1, 1, part) for part in (0, 1)]
    assert needs[PartStep("start", 1)] == [PartStep("cluster")]
    assert needs[PartStep("carry", 1, 0, 1)] == [PartStep("start", 1)]
    assert needs[first[1]] == [PartStep("carry", 1, 0, part) for part in (0, 1)]
    assert needs[PartStep("start", 2)] == first
    assert needs[PartStep("carry", 2, 0, 1)] == [*first, PartStep("start", 2)]
    second = [PartStep("carry", 2, 0, part) for part in (0, 1)]
    assert needs[PartStep("move", -1, 0, 1)] == [*first, *second]
    last = [PartStep("move", -1, 1, part, is_last=True) for part in (0, 1)]
    assert needs[last[0]] == [PartStep("move", -1, 0, part) for part in (0, 1)]
    assert needs[PartStep("write")] == [PartStep("cluster"), *last]
    assert len(number_of) == len(steps)


def test_a_small_window_is_carried_as_it_is_placed():
    steps = plan_part_steps(3, {0: 0, 1: 1}, 1)
    needs = {step: [steps[number][0] for number in needed] for step, needed in steps}
    assert needs[PartStep("start", 1)] == [PartStep("start", 0)]
    assert needs[PartStep("carry", 1, 0, 2)] == [PartStep("start", 0), PartStep("start", 1)]


def test_windows_that_have_positions_move_at_once_and_may_stand_still():
    steps = plan_part_steps(2, {}, 1)
    assert [needed for step, needed in steps if step.kind == "move"] == [(0,), (0,)]
    assert plan_part_steps(2, {}, 0) == [(PartStep("cluster"), ()), (PartStep("write"), (0, 0))]
