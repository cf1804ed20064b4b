"""What changed, in at most five sentences: the newest final window first, then the run's most unusual ones.

Groups are the labels of the first column of categories, or the clusters of the windows' graphs where there is none.
What is named is measured on all rows, also where the page draws a sample.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from driftmap.engine import (
    compose_relations,
    displacement,
    find_strongest,
    join_passages,
    noise_floor,
    relate_ids,
    turnover,
)
from driftmap.pipeline.layout.figures import relate_neighbours
from driftmap.pipeline.look.clusters import FoundClusters, read_clusters
from driftmap.pipeline.look.moves import Moves
from driftmap.pipeline.look.sentences import Answer, Pair
from driftmap.pipeline.store.turnover_codes import encode_turnover, relate_turnover

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.look.run_codes import Int32Array, Run
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.turnover_codes import UInt8Array

N_ANSWERS = 5
MAX_GROUPS = 200
"""A column of more labels than this gives no groups."""
MAX_PAIR_ROWS = 1_500_000
"""Rows of all pairs of windows, up to which every two windows are compared."""

Windows = tuple[int, int]
Held = TypeVar("Held")


class Answers(NamedTuple):
    """What a run has to say."""

    pairs: dict[Windows, list[Answer]]
    """Of two windows by their numbers in the run, older first: at most five sentences, the most unusual first."""
    newest: Windows
    """The newest final window and the one before it."""
    noise_floors: list[float | None]
    """Of each window against the one before, over the spread; None where it is not known."""
    turnovers: list[UInt8Array | None]
    """Of the rows of each window against the one before, as `encode_turnover` gives them; None where not known."""
    clusters: FoundClusters

    @property
    def is_complete(self) -> bool:
        """Whether every two windows were compared."""
        n_windows = len(self.noise_floors)
        return len(self.pairs) == n_windows * (n_windows - 1) // 2

    @property
    def highlights(self) -> list[Answer]:
        """The most unusual sentences of all consecutive windows; then what only the whole run shows."""
        steps = [one for (a, b), found in self.pairs.items() if b == a + 1 for one in found]
        listed = sorted(steps, key=lambda one: (-one.unusual, one.window))[:N_ANSWERS]
        known = {(one.kind, one.group) for one in listed}
        whole = [one for one in self.pairs.get((0, self.newest[1]), []) if (one.kind, one.group) not in known]
        return [*listed, *whole][:N_ANSWERS]

    @property
    def sentences(self) -> list[Answer]:
        """Those of the first screen: of the newest final window, then the highlights."""
        now = self.pairs.get(self.newest, [])
        return [*now, *(one for one in self.highlights if (one.since, one.window) != self.newest)][:N_ANSWERS]


def find_answers(store: Store, run: Run, spread: float, clusters: FoundClusters | None = None) -> Answers:
    """Find the sentences of a run, none where nothing unusual happened.

    Every two windows are compared where they have few rows; else each with the one before, two in memory at a time, and
    the newest final one with the first.

    Parameters
    ----------
    store
        An opened store.
    run
        Its ids and label columns.
    spread
        Of the maps, the unit of displacements.
    clusters
        What `read_clusters` gave, where it is at hand already.
    """
    known = read_clusters(store, run) if clusters is None else clusters
    comparison = _Comparison(store, run, spread, known)
    n_windows = len(run.facts)
    finals = [t for t, fact in enumerate(run.facts) if fact.status == "final"]
    newest = max(finals[-1], min(1, n_windows - 1)) if finals else n_windows - 1  # the first has none before it
    floors: list[float | None] = [None] * n_windows
    turnovers: list[UInt8Array | None] = [None] * n_windows
    pairs = {}
    for a, b in _choose_pairs(run, newest):
        moves = comparison.measure(a, b)
        pairs[a, b] = comparison.say(a, b, moves)
        if b == a + 1 and moves is not None:
            floor = noise_floor(moves.change, moves.moved)
            floors[b] = round(floor, 4) if np.isfinite(floor) else None
            turnovers[b] = comparison.read_turnover(b)
    return Answers(pairs, (newest - 1, newest), floors, turnovers, known)


def compare_windows(store: Store, run: Run, spread: float, windows: Windows) -> list[Answer]:
    """Find the sentences about two windows, at most five, the most unusual first.

    Parameters
    ----------
    store, run, spread
        As in `find_answers`.
    windows
        Their numbers in the run, the older one first.
    """
    comparison = _Comparison(store, run, spread, read_clusters(store, run))
    return comparison.say(*windows, comparison.measure(*windows))


def _choose_pairs(run: Run, newest: int) -> list[Windows]:
    n_windows = len(run.facts)
    steps = list(itertools.pairwise(range(n_windows)))
    far = [(a, b) for a, b in itertools.combinations(range(n_windows), 2) if b > a + 1]
    n_rows = sum(fact.n_rows for fact in run.facts) * (n_windows - 1) // 2
    if n_rows > MAX_PAIR_ROWS:
        far = [(0, newest)] if newest > 1 else []
    return [*steps, *far]


class _Comparison:
    """Compares windows of a run two by two; the graph and map of a few of them are held."""

    def __init__(self, store: Store, run: Run, spread: float, found: FoundClusters) -> None:
        self._store, self._run, self._spread = store, run, spread
        self._clusters, self._names = found.windows, found.names
        self._forks = [[one for one in w.passages if one.kind in ("split", "merge")] for w in found.windows]
        self._has_books = bool(store.read_relations().books)
        n_rows = sum(fact.n_rows for fact in run.facts)
        self._most_held = len(run.facts) if n_rows * (len(run.facts) - 1) // 2 <= MAX_PAIR_ROWS else 2
        self._graphs: dict[int, Int32Array] = {}
        self._maps: dict[int, Float32Array] = {}
        self._turnovers: dict[int, UInt8Array | None] = {}
        self._steps: dict[int, Int32Array] = {}
        self._column = next((c for c in run.columns if c.kind == "category" and 1 < len(c.values) <= MAX_GROUPS), None)

    def measure(self, a: int, b: int) -> Moves | None:
        """Measure turnover and displacement of the older window's rows; None where turnover is not known any more."""
        relation = self._relate(a, b)
        if b == a + 1:
            codes = self.read_turnover(b)
            change = None if codes is None else relate_turnover(codes, relation)
        else:
            change = self._compare_graphs(a, b, relation)
        if change is None:
            return None
        return Moves(change, displacement(self._read_map(a), self._read_map(b), relation, self._spread))

    def read_turnover(self, t: int) -> UInt8Array | None:
        """Read the turnover of a window's rows against the one before; an older driftmap kept none: from the graphs."""
        if t not in self._turnovers:
            old, new = self._run.facts[t - 1], self._run.facts[t]
            codes = self._store.read_turnover_codes(new) if new.index == old.index + 1 else None
            if codes is None:
                relation = self._relate(t - 1, t)
                change = self._compare_graphs(t - 1, t, relation)
                codes = None if change is None else encode_turnover(change, relation, new.n_rows)
            self._turnovers = {t: codes}
        return self._turnovers[t]

    def _compare_graphs(self, a: int, b: int, relation: Int32Array) -> Float32Array | None:
        if self._run.facts[a].pruned or self._run.facts[b].pruned:
            return None
        return turnover(self._read_graph(a), self._read_graph(b), relation)

    def say(self, a: int, b: int, moves: Moves | None) -> list[Answer]:
        """Make at most N_ANSWERS sentences about two windows."""
        old, new, relation = self._clusters[a].of_row, self._clusters[b].of_row, self._relate(a, b)
        passages = self._clusters[b].passages
        if b > a + 1:
            passages = join_passages(old, new, relation, self._forks[a + 1 : b + 1])
        pair = Pair(self._run, (a, b), relation, (old, new), self._column, self._names)
        return sorted(pair.say(passages, moves), key=lambda one: -one.unusual)[:N_ANSWERS]

    def _read_graph(self, t: int) -> Int32Array:
        index = self._run.facts[t].index
        return self._hold(self._graphs, t, lambda: self._store.knn_graph(index).indices)

    def _read_map(self, t: int) -> Float32Array:
        return self._hold(self._maps, t, lambda: self._store.positions(self._run.facts[t].index))

    def _hold(self, held: dict[int, Held], t: int, read: Callable[[], Held]) -> Held:
        if t not in held:
            while len(held) >= self._most_held:
                del held[next(iter(held))]
            held[t] = read()
        return held[t]

    def _relate(self, a: int, b: int) -> Int32Array:
        """Relate the rows of two windows one to one, as their layout did; where ids do not, through those between."""
        if not self._has_books:
            return relate_ids(self._run.entities[a], self._run.entities[b])
        relation = self._relate_step(a + 1)
        for t in range(a + 2, b + 1):
            relation = compose_relations(relation, self._relate_step(t))
        return relation

    def _relate_step(self, t: int) -> Int32Array:
        if t not in self._steps:
            facts = self._run.facts
            old, new = ((facts[i].label, self._store.window_keys(facts[i].index)) for i in (t - 1, t))
            self._steps[t] = find_strongest(relate_neighbours(self._store, old, new), len(old[1]))
        return self._steps[t]
