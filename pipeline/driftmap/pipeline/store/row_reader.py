"""Some rows of a window of any size: its arrays are read chunk by chunk, and never held whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import RowTerms
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.attempts import TURNOVER, Attempt
from driftmap.pipeline.store.disk.arrays import RowChunk
from driftmap.pipeline.store.id_types import show_ids
from driftmap.pipeline.store.row_traits import NUMBER_ARRAYS, TERM_ARRAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.store import Store

_ROWS_AT_ONCE = 2**17
"""Rows hashed or searched at a time: what is computed of them stays in the cache."""
_LIST_TYPES = {"term_indices": np.int32, "indices": np.int32, "data": np.float32}
"""Of arrays that have a list for each row; without any row they have no type of their own."""
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Array = npt.NDArray[Any]
UInt64Array = npt.NDArray[np.uint64]


class ChosenIds(NamedTuple):
    """Some ids of a window, by row."""

    rows: npt.NDArray[np.int64]
    marks: UInt64Array
    ids: Array
    """As they are shown."""


class RowReader:
    """Reads rows of one window by their numbers.

    Parameters
    ----------
    store
        An opened store.
    state
        What its log says of the window, which has a map.
    """

    def __init__(self, store: Store, state: WindowState) -> None:
        state.refuse_pruned({"map"})
        if state.layout_attempt is None or state.graph_attempt is None:
            raise StoreError(f"window {state.label!r} has no map yet (status: {state.status})")
        self._id_type, self.columns, self.n_rows = store.id_type, state.label_columns, state.n_rows
        self._graph, self._map, clusters = (
            Attempt(store.location, state.index, name, state.label, state.n_rows)
            for name in (state.graph_attempt, state.layout_attempt, (state.clusters or {}).get("attempt", ""))
        )
        self._clusters = clusters if state.clusters else None
        self._has_turnover = bool(state.clusters and state.clusters.get("has_turnover"))
        traits = state.traits or {}
        self._has_terms = bool(traits.get("has_terms"))
        self.number_columns = tuple(traits.get("columns") or ())
        """Names of the columns of numbers."""

    def list_marks(self) -> Iterator[UInt64Array]:
        """Give each id a number that looks random and is the same in every window, some rows at a time."""
        for part in self._list_ids():
            yield _mark(part.values)

    def choose_ids(self, limit: int) -> ChosenIds:
        """Choose the ids whose marks are at most `limit`; they are read once."""
        rows, marks, ids = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)], []
        for part in self._list_ids():
            own = _mark(part.values)
            here = np.flatnonzero(own <= np.uint64(limit))
            rows.append(here + part.start)
            marks.append(own[here])
            ids.append(part.decode(here))
        return ChosenIds(np.concatenate(rows), np.concatenate(marks), self._show_ids(ids))

    def _list_ids(self) -> Iterator[RowChunk]:
        for chunk in self._graph.list_chunks("ids"):
            for start in range(0, len(chunk.values), _ROWS_AT_ONCE):
                yield RowChunk(chunk.start + start, chunk.values[start : start + _ROWS_AT_ONCE], chunk.kind)
            del chunk  # before the next one is read

    def take_marks(self, rows: Array) -> UInt64Array:
        """Give the marks of the ids of rows, ascending."""
        parts = []
        for chunk in self._graph.list_chunks("ids", rows):
            first, end = np.searchsorted(rows, [chunk.start, chunk.start + len(chunk.values)])
            parts.append(_mark(chunk.values[rows[first:end] - chunk.start]))
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)

    def list_positions(self) -> Iterator[npt.NDArray[np.float32]]:
        """Give the positions of all rows, chunk by chunk."""
        for chunk in self._map.list_chunks("positions"):
            yield chunk.values

    def take_positions(self, rows: Array) -> Array:
        """Read the positions of rows, ascending."""
        return _take(self._map, "positions", rows)

    def take_ids(self, rows: Array) -> Array:
        """Read the ids of rows, ascending, as they are shown."""
        return self._show_ids(_list_taken(self._graph, "ids", rows))

    def _show_ids(self, parts: Iterable[Array]) -> Array:
        return show_ids([_as_text(_join(parts))], self._id_type)[0]

    def take_labels(self, column: str, rows: Array) -> Array:
        """Read a label column at rows, ascending."""
        return _as_text(_take(self._graph, f"label_{self.columns.index(column)}", rows))

    def take_clusters(self, rows: Array) -> Array | None:
        """Read the clusters of rows, ascending; None where the store has none."""
        return None if self._clusters is None else _take(self._clusters, "clusters", rows)

    def take_turnover_codes(self, rows: Array) -> Array | None:
        """Read the turnover of rows, ascending, as `turnover_codes` made it; None where the store has none."""
        return _take(self._clusters, TURNOVER, rows) if self._clusters is not None and self._has_turnover else None

    def take_words(self, rows: Array) -> RowTerms | None:
        """Read the words of rows, ascending; None where the store has none."""
        if not self._has_terms:
            return None
        words, pointers, indices = TERM_ARRAYS
        indptr, (own,) = self._take_lists(rows, pointers, (indices,))
        known = self._graph.read(words)
        return RowTerms(np.char.decode(known, "utf-8") if len(known) else known.astype(np.str_), indptr, own)

    def take_edges(self, rows: Array) -> tuple[Array, Array, Array]:
        """Read the fuzzy graph at rows, ascending: where each row's edges begin, their other rows and their weights."""
        indptr, (others, weights) = self._take_lists(rows, "indptr", ("indices", "data"))
        return indptr, others, weights

    def _take_lists(self, rows: Array, pointers: str, arrays: Sequence[str]) -> tuple[Array, list[Array]]:
        """Read arrays that have a list for each row, at rows, ascending: where the lists begin, and their values."""
        wanted = np.unique(np.concatenate([rows, rows + 1, [self.n_rows]])).astype(np.int64)
        bounds = _take(self._graph, pointers, wanted, self.n_rows + 1)
        starts, ends = (bounds[np.searchsorted(wanted, rows + beyond)] for beyond in (0, 1))
        indptr = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
        places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], ends - starts)
        n_values = int(bounds[-1])
        return indptr, [_take(self._graph, array, places, n_values).astype(_LIST_TYPES[array]) for array in arrays]

    def take_number_codes(self, rows: Array) -> tuple[Array, Array] | None:
        """Read the rounded numbers of rows, ascending, and the scale of their codes; None where the store has none."""
        if not self.number_columns:
            return None
        return _take(self._graph, NUMBER_ARRAYS[0], rows), self._graph.read(NUMBER_ARRAYS[1])

    def find_same(self, other: RowReader, row: int) -> int:
        """Find the row that has the id of a row of another window; -1 where there is none."""
        wanted = next(other._graph.list_chunks("ids", np.array([row])))
        value = wanted.values[row - wanted.start]
        for chunk in self._graph.list_chunks("ids"):
            rows = _find_equal(chunk.values, value)
            if len(rows):
                return int(rows[0]) + chunk.start
        return -1

    def find_ids(self, text: str, most: int) -> Array:
        """Find the first rows whose id is a number, or begins with a text; ids of other types as they are kept."""
        found: list[Array] = []
        for chunk in self._graph.list_chunks("ids"):
            rows = _find(chunk.values, text)[:most]
            found.append(rows + chunk.start)
            most -= len(rows)
            if most <= 0:
                break
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _take(attempt: Attempt, array: str, rows: Array, n_values: int | None = None) -> Array:
    return _join(_list_taken(attempt, array, rows, n_values))


def _list_taken(attempt: Attempt, array: str, rows: Array, n_values: int | None = None) -> Iterator[Array]:
    for chunk in attempt.list_chunks(array, rows, n_values):
        first, end = np.searchsorted(rows, [chunk.start, chunk.start + len(chunk.values)])
        yield chunk.decode(rows[first:end] - chunk.start)
        del chunk  # before the next one is read


def _join(parts: Iterable[Array]) -> Array:
    held = [*parts]
    return np.concatenate(held) if held else np.zeros(0)


def _as_text(values: Array) -> Array:
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        return values


def _mark(values: Array) -> UInt64Array:
    """Hash ids as they are stored (FNV-1a of bytes, then the finaliser of SplitMix64), whatever width they have."""
    if values.ndim == 1:
        own = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    else:
        own = np.full(len(values), _OFFSET)
        for letters in np.ascontiguousarray(values.T):  # zeros stand behind shorter ids: they change nothing
            own = np.where(letters > 0, (own ^ letters) * _PRIME, own)
    for shift, factor in zip((30, 27), _MIX, strict=True):
        own = (own ^ (own >> np.uint64(shift))) * factor
    return np.asarray(own ^ (own >> np.uint64(31)), dtype=np.uint64)


def _find_equal(values: Array, value: Array) -> npt.NDArray[np.int64]:
    """Find the rows that hold a value as it is stored; texts may be of other widths."""
    if values.ndim == 1:
        return np.flatnonzero(values == value)
    width = int(np.max(np.flatnonzero(value), initial=-1)) + 1
    if width > values.shape[1]:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(values[:, max(0, width - 1)] == (value[width - 1] if width else 0))
    is_same = (values[rows, :width] == value[:width]).all(axis=1) & ~values[rows, width:].any(axis=1)
    return np.asarray(rows[is_same], dtype=np.int64)


def _find(values: Array, text: str) -> npt.NDArray[np.int64]:
    if values.ndim == 1:
        is_number = text.lstrip("-").isdecimal() and values.dtype.kind in "iu"
        return np.flatnonzero(values == int(text)) if is_number else np.zeros(0, dtype=np.int64)
    letters = np.frombuffer(text.encode(), dtype=np.uint8)
    if not len(letters) or len(letters) > values.shape[1]:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(values[:, 0] == letters[0])
    is_found = (values[rows, : len(letters)] == letters).all(axis=1)
    return np.asarray(rows[is_found], dtype=np.int64)
