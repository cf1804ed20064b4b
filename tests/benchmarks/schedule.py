"""The schedule of blocks in parallel, played through with given times of its steps: what more workers would bring."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.planning.blocks import plan_exchange_blocks
from driftmap.pipeline.planning.exchange_schedule import group_blocks, place_step, plan_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.planning.exchange_schedule import Step


PIECES_SHARE = 0.4
"""Of the time that a window's clusters take, what needs no window before: 41 % at 50,000 rows, 24 % at 5,000."""


class Costs(NamedTuple):
    """Seconds of the parts of a layout."""

    read: float
    """Of a window, its share of the halo's reading included."""
    carry: float
    """Of a window."""
    first: float
    """Of the first window of the run, which is carried for more epochs."""
    move: float
    """Of a window, in all rounds together."""
    write: float
    """Of a window."""
    hop: float
    """From the scheduler's word to the start of a task on its worker."""
    schedule: float
    """Of the scheduler, for each task; it does one at a time."""
    cluster: float = 0.0
    """Of a window, for its clusters; some hundredths of what its layout takes."""


class Forecast(NamedTuple):
    """What a layout would take."""

    seconds: float
    work_seconds: float
    """All steps one after the other, without Dask."""
    carry_seconds: float
    """The part that cannot be shared out: the carry pass, one block after the other."""
    bound_seconds: float
    """No schedule is quicker: the longest of all work shared out evenly, the carry pass and then the rounds of the last
    block, and the scheduler's part."""


def forecast(
    n_windows: int, n_workers: int, n_rounds: int, costs: Costs, block_windows: int = 8, reach: int = 3
) -> Forecast:
    """Play the steps of a layout through on some workers of one thread, placed as the executor places them."""
    blocks = plan_exchange_blocks(n_windows, block_windows, reach)
    groups = group_blocks(len(blocks), n_workers)
    steps = plan_steps(blocks, n_rounds, groups=groups)
    seconds = [_price(step, blocks, n_rounds, costs) for step, _ in steps]
    places = [place_step(step, groups, n_workers) % n_workers for step, _ in steps]
    carry = sum(price for price, (step, _) in zip(seconds, steps, strict=True) if step.kind == "carry")
    last = len(blocks[-1].core) * costs.move
    bound = max(sum(seconds) / n_workers, carry + last, costs.schedule * len(steps))
    taken = play(seconds, [needed for _, needed in steps], places, costs)
    return Forecast(taken, sum(seconds), carry, bound)


def play(seconds: Sequence[float], needs: Sequence[Sequence[int]], places: Sequence[int], costs: Costs) -> float:
    """Return when the last task ends: each goes through the scheduler to its worker; the earliest listed goes first."""
    users: list[list[int]] = [[] for _ in needs]
    for number, needed in enumerate(needs):
        for other in needed:
            users[other].append(number)
    n_open = [len(needed) for needed in needs]
    cluster = _Cluster(seconds, places, costs)
    for number, n_needed in enumerate(n_open):
        if not n_needed:
            cluster.send(number)
    while (ended := cluster.wait()) is not None:
        for user in users[ended]:
            n_open[user] -= 1
            if not n_open[user]:
                cluster.send(user)
    return cluster.now


class _Cluster:
    """A scheduler that handles one task at a time, and workers that run one at a time."""

    def __init__(self, seconds: Sequence[float], places: Sequence[int], costs: Costs) -> None:
        self.now = 0.0
        self._seconds = seconds
        self._places = places
        self._costs = costs
        self._scheduler_free = 0.0
        self._ready: dict[int, list[int]] = {place: [] for place in places}
        self._is_busy = dict.fromkeys(places, False)
        self._events: list[tuple[float, int, bool]] = []

    def send(self, number: int) -> None:
        """Send a task whose needs are met."""
        self._scheduler_free = max(self._scheduler_free, self.now) + self._costs.schedule
        heapq.heappush(self._events, (self._scheduler_free + self._costs.hop, number, False))

    def wait(self) -> int | None:
        """Return the task that ends next; None when there is none."""
        while self._events:
            self.now, number, is_end = heapq.heappop(self._events)
            place = self._places[number]
            if is_end:
                self._is_busy[place] = False
            else:
                heapq.heappush(self._ready[place], number)
            if self._ready[place] and not self._is_busy[place]:
                self._is_busy[place] = True
                chosen = heapq.heappop(self._ready[place])
                heapq.heappush(self._events, (self.now + self._seconds[chosen], chosen, True))
            if is_end:
                return number
        return None


def _price(step: Step, blocks: Sequence[Block], n_rounds: int, costs: Costs) -> float:
    n_windows = sum(len(blocks[number].core) for number in step.blocks)
    if step.kind in {"read", "write"}:
        return n_windows * (costs.read if step.kind == "read" else costs.write)
    if step.kind in {"pieces", "cluster"}:
        return n_windows * costs.cluster * (PIECES_SHARE if step.kind == "pieces" else 1 - PIECES_SHARE)
    if step.kind == "carry":
        return n_windows * costs.carry + (costs.first - costs.carry if step.block == 0 else 0)
    return n_windows * costs.move / n_rounds
