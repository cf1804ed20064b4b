"""Attempts at a window: groups of arrays, written once, which count only when a commit names them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine.types import FuzzyGraph, KnnGraph
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.arrays import list_chunks, read_of_group, write_arrays
from driftmap.pipeline.store.disk.packed import SUFFIX, GroupFiles, is_packed, keep_members
from driftmap.pipeline.store.disk.stored_graph import StoredGraph
from driftmap.pipeline.store.superseded import is_named, read_log_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from driftmap.engine.types import Float32Array, Int32Array, WindowGraph
    from driftmap.pipeline.store.disk.arrays import RowChunk
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.turnover_codes import UInt8Array

ATTEMPTS = "windows"
"""Folder of a store that holds all attempts."""

STAGED = "staged"
"""Folder of a store that holds rows sorted by window, while graphs are built of them."""

MID_NEAR = "mid_near"
"""Array of a graph that has mid-near rows."""

GRAPH_ARRAYS = ("knn_indices", "knn_distances", "indptr", "indices", "data", MID_NEAR)
"""Arrays of a graph; its group holds those of `name_ids` too."""

NEIGHBOURS = "knn_indices"
"""Array of the nearest rows of each row."""

MAP_ARRAYS = ("positions",)

CLUSTER_ARRAYS = ("clusters",)

TURNOVER = "turnover"
"""Array beside the clusters, of a window that has one before it: see `turnover_codes`."""

_EDGE_ARRAYS = ("indices", "data", "term_words", "term_indices", "number_scale")
"""Arrays of one entry per edge, or word; of the others each has one per row, or one more (_POINTERS)."""

_POINTERS = ("indptr", "term_indptr")
_N_DIGITS = 8

PACKED_BYTES = 16 * 2**20
"""Groups up to this size are packed, such as graphs of 45,000 rows with 15 neighbours: who reads a part reads all."""


@dataclass(frozen=True)
class Attempt:
    """One group of arrays of a window, and what to call the window in errors."""

    root: Location
    index: int
    name: str
    label: str
    n_rows: int | None = None
    """Of the window, as the log says; None where it does not say yet."""
    has_mid_near: bool = False
    """Whether a graph's group has mid-near rows, as the log says."""

    def read(self, array: str) -> np.ndarray[Any, Any]:
        """Read one array; StoreError names the window and the array when it is missing or damaged."""
        n_rows = None if self.n_rows is None or array in _EDGE_ARRAYS else self.n_rows + (array in _POINTERS)
        return read_of_group(self._files, array, f"window {self.label!r}", n_rows)

    def list_chunks(
        self, array: str, rows: np.ndarray[Any, Any] | None = None, n_values: int | None = None
    ) -> Iterator[RowChunk]:
        """Read an array chunk by chunk; where `rows` are given, chunks that hold any of them.

        It has one value per row, unless `n_values` says how many it has.
        """
        n_all = (self.n_rows or 0) if n_values is None else n_values
        return list_chunks(self._files, array, f"window {self.label!r}", n_all, rows)

    def read_mid_near(self) -> Int32Array | None:
        """Read the mid-near rows of a graph's group; None where it has none."""
        return self.read(MID_NEAR) if self.has_mid_near else None

    @property
    def is_packed(self) -> bool:
        """Whether the group is one file, which is read as a whole."""
        return is_packed(self.name)

    def open_graph(self) -> StoredGraph:
        """Open the fuzzy graph that `write_graph` wrote, to be read some rows at a time."""
        return StoredGraph(self._files, f"window {self.label!r}", self.n_rows or 0)

    @cached_property
    def _files(self) -> _AttemptFiles:
        # A copy: in a circle with this one, files that are held would be freed late.
        return _AttemptFiles(replace(self))


class _AttemptFiles(GroupFiles):
    """The files of an attempt. Where one is not there, the log is read again: another process may have removed it."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt.root, name_group(attempt.index, attempt.name))
        self._attempt = attempt

    def read(self, name: str) -> bytes | None:
        content = super().read(name)
        if content is None:
            self._refuse_superseded(name)
        return content

    def has(self, name: str) -> bool:
        is_there = super().has(name)
        if not is_there:
            self._refuse_superseded(name)
        return is_there

    def _refuse_superseded(self, name: str) -> None:
        log, own = read_log_again(self.location), self._attempt
        if log is None or is_named(log, own.index, own.name, is_graph=name.partition("/")[0] in GRAPH_ARRAYS):
            return  # it is damaged
        raise StoreError(
            f"window {own.label!r} of the store {self.location}: its former arrays are gone, since another process "
            "built it or laid it out again, or removed them (`driftmap prune`); open the store again, or run the same "
            "command again"
        )


def new_attempt() -> str:
    """Name a new attempt; no two writers ever share one."""
    return uuid.uuid4().hex[:16]


def name_small_attempt(arrays: Iterable[np.ndarray[Any, Any]], *, may_pack: bool) -> str:
    """Name an attempt that is one file where its arrays are small and the store's format knows such files."""
    is_small = sum(array.nbytes for array in arrays) <= PACKED_BYTES
    return new_attempt() + (SUFFIX if may_pack and is_small else "")


def name_group(index: int, attempt: str) -> str:
    """Path of an attempt below the store's root."""
    return f"{ATTEMPTS}/{index:0{_N_DIGITS}d}/{attempt}"


def name_ids(n_labels: int) -> tuple[str, ...]:
    """Name the arrays of a graph's group that say what its rows are: ids and label columns."""
    return ("ids", *(f"label_{number}" for number in range(n_labels)))


def list_arrays(graph: WindowGraph) -> list[np.ndarray[Any, Any]]:
    """List the arrays of a graph."""
    return [*graph.knn, *graph.fuzzy, *(() if graph.mid_near is None else (graph.mid_near,))]


def list_graph_arrays(*, has_mid_near: bool) -> tuple[str, ...]:
    """Name the arrays of a graph that are in its group."""
    return GRAPH_ARRAYS if has_mid_near else tuple(name for name in GRAPH_ARRAYS if name != MID_NEAR)


def write_graph(
    attempt: Attempt,
    ids: np.ndarray[Any, Any],
    labels: Mapping[str, np.ndarray[Any, Any]],
    graph: WindowGraph,
    traits: Mapping[str, np.ndarray[Any, Any]] | None = None,
    unsynced: list[str] | None = None,
) -> int:
    """Write a window's ids, label columns, graph and traits of rows as a new group; returns its bytes in the store.

    Label columns are stored under their number, since a column's name may hold any character; the receipt names them.
    `unsynced` is as for `write_arrays`.
    """
    arrays = {
        "ids": ids,
        "knn_indices": graph.knn.indices,
        "knn_distances": graph.knn.distances,
        "indptr": graph.fuzzy.indptr,
        "indices": graph.fuzzy.indices,
        "data": graph.fuzzy.data,
        **({} if graph.mid_near is None else {MID_NEAR: graph.mid_near}),
        **{f"label_{number}": values for number, values in enumerate(labels.values())},
        **(traits or {}),
    }
    return write_arrays(attempt.root, name_group(attempt.index, attempt.name), arrays, unsynced)


def write_positions(attempt: Attempt, positions: Float32Array, unsynced: list[str] | None = None) -> int:
    """Write a window's map as a new group; returns its bytes in the store. `unsynced` is as for `write_arrays`."""
    return write_arrays(attempt.root, name_group(attempt.index, attempt.name), {"positions": positions}, unsynced)


def write_clusters(
    attempt: Attempt, clusters: Int32Array, turnover: UInt8Array | None = None, unsynced: list[str] | None = None
) -> int:
    """Write cluster and turnover, where known, of a window's rows as a new group; returns its bytes in the store.

    `unsynced` is as for `write_arrays`.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {"clusters": clusters}
    if turnover is not None:
        arrays[TURNOVER] = turnover
    return write_arrays(attempt.root, name_group(attempt.index, attempt.name), arrays, unsynced)


def list_cluster_arrays(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the arrays of the group that a record of clusters names."""
    return (*CLUSTER_ARRAYS, TURNOVER) if record.get("has_turnover") else CLUSTER_ARRAYS


def delete_group(root: Location, group: str) -> None:
    """Delete all of an attempt that no commit names."""
    root.delete([group] if is_packed(group) else root.list(group))


def pack_without_graph(root: Location, group: str) -> tuple[bytes, int] | None:
    """Pack a packed group again without the arrays of its graph.

    Returns
    -------
    The pack, and the bytes that it is smaller by; None where it holds none of these arrays, or is damaged.
    """
    content = root.read(group)
    kept = None if content is None else keep_members(content, lambda name: name.partition("/")[0] not in GRAPH_ARRAYS)
    return None if content is None or kept is None else (kept, len(content) - len(kept))


def read_knn_graph(attempt: Attempt) -> KnnGraph:
    """Read the kNN graph that `write_graph` wrote."""
    return KnnGraph(attempt.read(NEIGHBOURS), attempt.read("knn_distances"))


def read_fuzzy_graph(attempt: Attempt) -> FuzzyGraph:
    """Read the fuzzy graph that `write_graph` wrote."""
    return FuzzyGraph(attempt.read("indptr"), attempt.read("indices"), attempt.read("data"))


_WIDE_BYTES = 64
"""Of texts: longer ones are objects, since numpy's own take four bytes a character of the longest for every row."""


def read_texts(attempt: Attempt, array: str) -> np.ndarray[Any, Any]:
    """Read ids or a label column; bytes that are UTF-8 come back as text, as objects where the longest is long."""
    values = attempt.read(array)
    if values.dtype.kind != "S":
        return values
    try:
        if values.dtype.itemsize > _WIDE_BYTES:
            return _decode_each(values)
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        return values


def _decode_each(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    texts = np.empty(len(values), dtype=object)
    for begin in range(0, len(values), 4096):
        texts[begin : begin + 4096] = [value.decode("utf-8") for value in values[begin : begin + 4096].tolist()]
    return texts
