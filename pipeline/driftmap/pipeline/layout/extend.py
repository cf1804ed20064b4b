"""One step of ingestion: the provisional windows, and one new one after them, are laid out before final ones.

A batch of any size is taken in window by window, so that the maps do not depend on how often an ingest runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import (
    START_STREAM,
    BlockWindow,
    find_block_strengths,
    find_strongest,
    fit_similarity,
    lay_out_block,
    make_seed,
    relate_ids,
    start_from_previous,
)
from driftmap.pipeline.layout.block_layout import LaidOut
from driftmap.pipeline.layout.clusters import Rows, find_missing, load_rows
from driftmap.pipeline.layout.figures import measure_map, measure_move, relate_neighbours
from driftmap.pipeline.layout.publish import describe_layout, name_strengths
from driftmap.pipeline.layout.relate import relate_windows
from driftmap.pipeline.layout.step import choose_windows
from driftmap.pipeline.store.attempts import new_attempt, read_fuzzy_graph, read_knn_graph, read_texts, write_positions
from driftmap.pipeline.store.log.layouts import StepCommit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftmap.engine.types import Coupling, Float32Array, FuzzyGraph, Int32Array, Relation
    from driftmap.pipeline.layout.step import StepSettings
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.layouts import BuiltWindow

    Ids = np.ndarray[Any, Any]


MIN_PINS = 16
"""Pairs of related rows below which a map is not turned: a few rows would say too little."""


class _Loaded(NamedTuple):
    graph: FuzzyGraph
    ids: Ids
    mid_near: Int32Array | None


@dataclass
class Stepper:
    """Lays out step after step; the windows of a step are held for the next.

    Parameters
    ----------
    store
        Of the windows; it may be refreshed between steps.
    how
        Settings of the run; of those that have a value for each of its windows, later ones have the last.
    """

    store: Store
    how: StepSettings

    def __post_init__(self) -> None:
        self._loaded: dict[int, _Loaded] = {}
        self._labels: dict[int, str] = {}
        self._built: dict[int, BuiltWindow] = {}
        self._neighbours: dict[int, Int32Array] = {}

    def make_step(self, built: Sequence[BuiltWindow]) -> StepCommit:
        """Take in windows whose graphs are built: one new one, or provisional ones that changed.

        Returns
        -------
        What to commit before the next step; the maps are written.
        """
        started = time.perf_counter()
        store = self.store
        self._neighbours.clear()
        self._built = by_index = {window["receipt"]["index"]: window for window in built}
        self._labels = {index: window["receipt"]["label"] for index, window in by_index.items()}
        halo, free = choose_windows(store, self.how.layout.alignment_window_size, built)
        placed = range(halo.start, store.n_windows)
        before = {index: (store.window_keys(index), store.positions(index)) for index in placed}
        self._load(range(halo.start, free.stop), by_index)
        clusters = find_missing(store, free, self.how.random_state, self._load_rows, by_index)
        places, strengths = self._lay_out(halo, free, before, set(by_index))
        attempt = new_attempt()
        for index in free:
            write_positions(store.make_attempt(index, attempt), places[index])
        moved = {
            str(index): measure_move(before[index], (self._loaded[index].ids, places[index]))
            for index in free
            if index in before
        }
        quality = self._measure_quality(free, places)
        described = describe_layout(
            store.n_blocks_done,
            attempt,
            free,
            n_windows=free.stop,
            lookahead=self.how.lookahead,
            strengths=strengths,
            seconds=time.perf_counter() - started,
        )
        described["clusters"] = clusters
        return StepCommit(**described, windows=list(built), moved=moved, quality=quality)

    def _load_rows(self, index: int) -> Rows:
        known = self._loaded.get(index)
        if known is None:
            return load_rows(self.store, index)
        return Rows(
            known.graph, known.ids, self._name_window(index), lambda: self._read_neighbours(index, is_held=True)
        )

    def _name_window(self, index: int) -> str:
        return self._labels[index] if index in self._labels else self.store.labels[index]

    def _load(self, windows: range, built: Mapping[int, BuiltWindow]) -> None:
        store = self.store
        for index in set(self._loaded).difference(windows) | set(built):
            self._loaded.pop(index, None)
        for index in set(windows).difference(self._loaded):
            if index in built:
                attempt = store.make_graph_attempt(built[index]["receipt"])
                self._loaded[index] = _Loaded(
                    read_fuzzy_graph(attempt), read_texts(attempt, "ids"), attempt.read_mid_near()
                )
            else:
                given = store.read_layout_input(index)
                self._loaded[index] = _Loaded(given.graph, given.ids, given.mid_near)

    def _lay_out(
        self, halo: range, free: range, before: Mapping[int, tuple[Ids, Float32Array]], changed: set[int]
    ) -> LaidOut:
        windows = []
        for index in (*halo, *free):
            positions = before[index][1] if index in before else None
            if index in changed and index in before:
                positions = self._place_anew(index, *before[index])
            graph, _, mid_near = self._loaded[index]
            is_fixed = index in halo
            windows.append(BlockWindow(graph, index, positions=positions, is_fixed=is_fixed, mid_near=mid_near))
        ids = [self._loaded[index].ids for index in (*halo, *free)]
        labels = [self._name_window(index) for index in (*halo, *free)]
        moved, outside = range(len(halo), len(ids)), self.store.read_relations()
        relations = relate_windows(ids, self.how.layout.alignment_window_size, moved, labels, outside)
        settings = self.how.layout.extend(free.stop)
        places = lay_out_block(windows, relations, settings, self.how.random_state)
        pinned = pin_to_halo(places, relations, len(halo))
        strengths = name_strengths((*halo, *free), find_block_strengths(windows, relations, settings))
        return LaidOut(dict(zip((*halo, *free), pinned, strict=True)), strengths)

    def _place_anew(self, index: int, old_ids: Ids, old: Float32Array) -> Float32Array | None:
        """Give the rows of a window that changed their former places; new rows go to their neighbours."""
        graph, ids, _ = self._loaded[index]
        known = np.full((graph.n_rows, old.shape[1]), np.nan, dtype=np.float32)
        relation = relate_ids(old_ids, ids)
        is_there = relation >= 0
        known[relation[is_there]] = old[is_there]
        fallback = old[np.isfinite(old).all(axis=1)]
        if not len(fallback):
            return None
        placed = start_from_previous(graph, known, fallback, make_seed(self.how.random_state, index, START_STREAM))
        placed[np.diff(graph.indptr) == 0] = np.nan
        return placed

    def _measure_quality(self, free: range, places: Mapping[int, Float32Array]) -> dict[str, dict[str, float]]:
        maps = {index: (loaded.ids, places[index]) for index, loaded in self._loaded.items()}
        measured = {}
        for index in free:
            before, relation = maps.get(index - 1), None
            if before is not None:
                names = self._name_window(index - 1), self._name_window(index)
                relation = relate_neighbours(self.store, (names[0], before[0]), (names[1], maps[index][0]))
            neighbours = self._read_neighbours(index)
            measured[str(index)] = measure_map(neighbours, maps[index], before, relation).to_json()
        return measured

    def _read_neighbours(self, index: int, *, is_held: bool = False) -> Int32Array:
        """Read a window's nearest rows; those of the newest windows are held until its map is measured."""
        if index in self._neighbours:
            return self._neighbours[index]
        if index in self._built:
            attempt = self.store.make_graph_attempt(self._built[index]["receipt"])
            found = read_knn_graph(attempt).indices
        else:
            found = self.store.knn_graph(index).indices
        if is_held:
            self._neighbours[index] = found
        return found


def pin_to_halo(
    places: Sequence[Float32Array], relations: Mapping[tuple[int, int], Relation | Coupling], n_halo: int
) -> list[Float32Array]:
    """Turn and shift the windows that moved, all as one, to where their rows lie nearest to related final ones.

    No loss but that of the alignment depends on place and turn, so the noise of every layout would add up: over 120
    windows of 80 rows, a fifth of them new in each, the map slid by .95 of its spread and turned by 6 degrees without
    this, and by .18 and 2 with it (tests/benchmarks/bench_ingest.py gauge).
    """
    singles = {
        (older, newer): find_strongest(relation, len(places[older]))
        for (older, newer), relation in relations.items()
        if older < n_halo <= newer
    }
    pairs = [
        (places[newer][relation[relation >= 0]], places[older][relation >= 0])
        for (older, newer), relation in singles.items()
    ]
    if sum(len(moved) for moved, _ in pairs) < MIN_PINS:
        return list(places)
    moved, fixed = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    similarity = fit_similarity(moved, fixed, with_scale=False)
    if np.linalg.det(similarity.rotation) < 0:  # rows on one line tell no turn
        return list(places)
    return [*places[:n_halo], *(similarity.apply(positions) for positions in places[n_halo:])]
