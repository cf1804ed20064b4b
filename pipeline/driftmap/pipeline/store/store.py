"""The store of a run: made, opened, its arrays read by window, and moved on commit by commit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store import attempts
from driftmap.pipeline.store.create import is_unfinished, prepare_location
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.id_types import as_id_column, decode_ids
from driftmap.pipeline.store.log import commits
from driftmap.pipeline.store.log.commits import CommitConflictError, CommitLog
from driftmap.pipeline.store.log.lock import describe_holder, has_lock
from driftmap.pipeline.store.log.state import make_first_commit
from driftmap.pipeline.store.log_writer import LogWriter
from driftmap.pipeline.store.relation_book import OutsideRelations, RelationBook, read_book
from driftmap.pipeline.store.row_traits import NUMBER_ARRAYS, read_terms, read_traits
from driftmap.pipeline.store.shown_store import ShownStore
from driftmap.pipeline.store.turnover_codes import decode_turnover

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

    from driftmap.engine import RowTerms
    from driftmap.engine.types import Float32Array, FuzzyGraph, Int32Array, KnnGraph, ReadableGraph
    from driftmap.pipeline.store.attempts import Attempt
    from driftmap.pipeline.store.log.layouts import GraphReceipt
    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.row_traits import RowTraits
    from driftmap.pipeline.store.turnover_codes import UInt8Array


class LayoutInput(NamedTuple):
    """What a layout takes of a window."""

    graph: FuzzyGraph
    ids: np.ndarray[Any, Any]
    """As they are kept: `Store.window_keys`."""
    neighbours: Int32Array | None
    """Nearest rows of each row, (n, k), where they came with the same file; else they are read when they are needed."""
    mid_near: Int32Array | None
    """Mid-near rows of each row, (n, m); None where there are none."""


class Store(ShownStore, LogWriter):
    """A run's store: its windows, graphs and maps, as far as the log says that they are there.

    Open one with `open_store(path)`. A window is named by its label, or by its number in the run.

    Parameters
    ----------
    location
        Where the store lies.
    read_only
        Refuse to write.
    generation
        Show the windows of this generation; None: those of the newest.
    is_migrating
        Take a store of an older format for writing.
    """

    _books: tuple[tuple[str, ...], tuple[RelationBook, ...]] | None = None

    @classmethod
    def open(cls, path: str | Path | Location, *, read_only: bool = True, generation: int | None = None) -> Store:
        """Open an existing store, a folder or `s3://bucket/prefix`; one of an earlier generation is for reading only.

        Raises
        ------
        StoreError
            When there is none at `path`, it was made by a newer version, its log is damaged, or it has no such
            generation.
        """
        location = Location(path)
        if not location.exists():
            raise StoreError(f"no store at {location}: there is no such folder; `run` makes one")
        if not commits.has_commits(location):
            if not location.is_local or (location.folder / commits.FOLDER).is_dir():
                CommitLog(location).refuse_gap()
                if has_lock(location) and is_unfinished(location):
                    if holder := describe_holder(location):
                        raise StoreError(f"the store {location} holds nothing yet; it is being made by {holder}")
                    raise StoreError(
                        f"the store {location} holds nothing yet: its run ended before its first commit; run the same "
                        "command again"
                    )
            raise StoreError(f"{location} is not a driftmap store: it has no {commits.FOLDER} log; name another path")
        return cls(location, read_only=read_only or generation is not None, generation=generation)

    @classmethod
    def create(
        cls,
        path: str | Path | Location,
        *,
        config: Mapping[str, Any],
        windows: Sequence[Mapping[str, Any]],
        fingerprint: Mapping[str, Any],
    ) -> Store:
        """Make a store with its first commit; of two processes that do so at once, one opens what the other made.

        Parameters
        ----------
        path
            A place where nothing is, or one that was prepared by `prepare_location`.
        config
            Settings of the run, as JSON.
        windows
            Per window `label`, `n_rows`, `start`, `end`, `digest` (see `WindowState`).
        fingerprint
            Of the source, to see that it changed.
        """
        location = prepare_location(path)
        payload = make_first_commit(config, windows, fingerprint)
        log = CommitLog(location)
        with suppress(CommitConflictError):  # the other run's store is as good, where the settings agree
            if not log.read_new():  # of a first commit that was cut short it warns, and writes it again
                log.append("create", payload)
        return cls(location, read_only=False)

    def window_ids(self, window: str | int) -> np.ndarray[Any, Any]:
        """Entity ids of a window's rows, (n,); row numbers of the source where it has no ids.

        They are as they came: bytes, UUIDs, decimals and times of day as Python's objects, dates as datetime64 (UTC).
        """
        return decode_ids(self.window_keys(window), self.id_type)

    def window_keys(self, window: str | int) -> np.ndarray[Any, Any]:
        """Ids of a window's rows as they are kept and compared, (n,): integers or text; see `id_types`."""
        return attempts.read_texts(self._graph_attempt(window), "ids")

    def read_relations(self) -> OutsideRelations:
        """Read the relations from outside that the maps rest on; no books where there are none."""
        digests = tuple(self.config.get("relations") or ())
        if self._books is None or self._books[0] != digests:
            self._books = digests, tuple(read_book(self.location, digest) for digest in digests)
        is_alone = bool((self.config.get("windows") or {}).get("relations_only"))
        return OutsideRelations(self._books[1], with_ids=not is_alone)

    def window_labels(self, window: str | int) -> dict[str, np.ndarray[Any, Any]]:
        """Label columns of a window, each (n,)."""
        attempt = self._graph_attempt(window)
        columns = self._find(window).label_columns
        return {column: attempts.read_texts(attempt, f"label_{number}") for number, column in enumerate(columns)}

    def knn_graph(self, window: str | int) -> KnnGraph:
        """Nearest neighbours of a window's rows."""
        self._find(window).refuse_pruned({"graph", "map"})
        return attempts.read_knn_graph(self._graph_attempt(window))

    def fuzzy_graph(self, window: str | int) -> FuzzyGraph:
        """Fuzzy graph of a window."""
        return self.open_graph(window).load()

    def open_graph(self, window: str | int) -> ReadableGraph:
        """Open the fuzzy graph of a window, to be read some rows at a time."""
        self._find(window).refuse_pruned({"graph", "map"})
        return self._graph_attempt(window).open_graph()

    def read_layout_input(self, window: str | int) -> LayoutInput:
        """Read what a layout takes of a window at once."""
        self._find(window).refuse_pruned({"graph", "map"})
        attempt = self._graph_attempt(window)  # once: a packed one is read as a whole
        graph, ids = attempt.open_graph().load(), attempts.read_texts(attempt, "ids")
        neighbours = attempt.read(attempts.NEIGHBOURS) if attempt.is_packed else None
        return LayoutInput(graph, ids, neighbours, attempt.read_mid_near())

    def read_mid_near(self, window: str | int) -> Int32Array | None:
        """Read the mid-near rows of each row of a window, (n, m); None where the store has none."""
        self._find(window).refuse_pruned({"graph", "map"})
        return self._graph_attempt(window).read_mid_near()

    def read_neighbours(self, window: str | int) -> Int32Array:
        """Read the nearest rows of each row of a window, (n, k), without their distances."""
        self._find(window).refuse_pruned({"graph", "map"})
        return self._graph_attempt(window).read(attempts.NEIGHBOURS)

    def embedding(self, window: str | int) -> tuple[np.ndarray[Any, Any], Float32Array]:
        """Ids and positions of a window's rows, (n,) and (n, c); row i of both is the same entity."""
        return self.window_ids(window), self.positions(window)

    def positions(self, window: str | int) -> Float32Array:
        """Positions of a window's rows, (n, c), without reading their ids."""
        state = self._find(window)
        state.refuse_pruned({"map"})
        if state.layout_attempt is None:
            raise StoreError(
                f"window {state.label!r} has no map yet (status: {state.status}); run the same command again to go on"
            )
        return self._attempt(state, state.layout_attempt).read("positions")

    def clusters(self, window: str | int) -> Int32Array:
        """Cluster of each of a window's rows, (n,) int32, found without labels; -1 for none.

        A cluster keeps its number in all windows in which it goes on; `lineage` says which split and merged.
        """
        state = self._find(window)
        state.refuse_pruned({"map"})
        if state.clusters is None:
            raise StoreError(
                f"window {state.label!r} has no clusters (status: {state.status}): they are found when a window is "
                "laid out, and driftmap found none before version 0.2; make the store again to have them"
            )
        return self._attempt(state, state.clusters["attempt"]).read("clusters")

    def turnover(self, window: str | int) -> Float32Array:
        """Share of each row's nearest neighbours that were not among its nearest in the window before, (n,) float32.

        It is measured when a window is laid out, in steps of .01, and stays when graphs are pruned. NaN for rows that
        the window before has not.
        """
        state = self._find(window)
        state.refuse_pruned({"map"})
        codes = self.read_turnover_codes(state)
        if codes is None:
            raise StoreError(
                f"window {state.label!r} has no turnover (status: {state.status}): it is measured against the window "
                "before when a window is laid out, and driftmap kept none before version 0.2"
            )
        return decode_turnover(codes)

    def read_turnover_codes(self, state: WindowState) -> UInt8Array | None:
        """Read what `turnover_codes` made of a window's turnover; None where the store has none."""
        if state.clusters is None or not state.clusters.get("has_turnover"):
            return None
        return self._attempt(state, state.clusters["attempt"]).read(attempts.TURNOVER)

    def read_traits(self, window: str | int) -> RowTraits | None:
        """Read the words of a window's rows and their numbers of named columns; None where the store has none."""
        state = self._find(window)
        return None if not state.traits else read_traits(state.traits, self._graph_attempt(window).read)

    def read_words(self, window: str | int) -> RowTerms | None:
        """Read the words of a window's rows alone; None where the store has none."""
        state = self._find(window)
        has_words = state.traits and state.traits.get("has_terms")
        return read_terms(self._graph_attempt(window).read) if has_words else None

    def read_number_scale(self, window: str | int) -> tuple[tuple[str, ...], np.ndarray[Any, Any]] | None:
        """Read names, and mean and spread by which they are rounded, of a window's columns of numbers; None: none."""
        columns = tuple((self._find(window).traits or {}).get("columns") or ())
        return (columns, self._graph_attempt(window).read(NUMBER_ARRAYS[1])) if columns else None

    def lineage(self) -> pa.Table:
        """How clusters hang together from window to window, as one table.

        Returns
        -------
        Columns `window` and `window_index` of the newer window, `kind`, `old` and `new` cluster, and the `rows` that
        were in the one and are in the other: `same`, `split` (the newer cluster began with them), `merge` (the older
        one ended with them) or `other`. Passages of fewer than 5 rows are left out.
        """
        from driftmap.pipeline.store.tables.map_tables import tabulate_lineage  # late: opening a store needs none of it

        return tabulate_lineage(self.state())

    def to_table(self, windows: Iterable[str | int] | None = None) -> pa.Table:
        """All maps as one table: window, window_index, id, x, y (z, or dim_0 ...), status, cluster and label columns.

        Parameters
        ----------
        windows
            Labels or numbers; all windows that have a map when left out. One of an older driftmap has no clusters.
        """
        import pyarrow as pa  # late: opening a store needs none of it

        from driftmap.pipeline.store.tables.map_tables import join_windows, tabulate_window

        there = (w.index for w in self.state() if w.layout_attempt and w.pruned != "map")
        chosen = there if windows is None else self.list_asked(windows)
        parts = [
            tabulate_window(
                state,
                as_id_column(self.window_keys(state.index), self.id_type),
                self.positions(state.index),
                self.window_labels(state.index),
                None if state.clusters is None else self.clusters(state.index),
            )
            for state in map(self._find, chosen)
        ]
        return join_windows(parts) if parts else pa.table({})

    def to_anndata(self, windows: Iterable[str | int] | None = None) -> Any:
        """All maps as an AnnData object, for scanpy and its kin; needs `pip install anndata`.

        Parameters
        ----------
        windows
            As for `to_table`.

        Returns
        -------
        anndata.AnnData
            Rows of all windows, named `window/id`; `obsm["X_driftmap"]` has the positions, float32 (rows, components),
            `obs` the other columns of `to_table`, `window` as an ordered category; `X` is None.
        """
        from driftmap.pipeline.store.tables.data_sets import convert_to_anndata  # late: rarely needed

        return convert_to_anndata(self.to_table(windows))

    def to_xarray(self, windows: Iterable[str | int] | None = None) -> Any:
        """All maps as a data set of xarray; needs `pip install xarray`.

        Parameters
        ----------
        windows
            As for `to_table`.

        Returns
        -------
        xarray.Dataset
            `position`, float32 (row, axis), and the other columns of `to_table` (row,), with coordinates `window`,
            `window_index`, `id` (row,) and `axis`. Rows of all windows follow each other: `.groupby("window")`.
        """
        from driftmap.pipeline.store.tables.data_sets import convert_to_xarray  # late: rarely needed

        return convert_to_xarray(self.to_table(windows))

    @property
    def n_staged_bytes(self) -> int:
        """Bytes of rows that lie sorted by window while graphs are built of them."""
        return sum(self.location.list(attempts.STAGED).values())

    def new_attempt(self, window: int, name: str | None = None) -> Attempt:
        """Name a new group of arrays for a window; nothing reads it before a commit names it."""
        return self._attempt(self._state.windows[window], name or attempts.new_attempt())

    def make_attempt(self, index: int, name: str) -> Attempt:
        """Give a group of arrays of a window that need not be in the log yet."""
        label = self._state.windows[index].label if index < self.n_windows else f"number {index}"
        return attempts.Attempt(self.location, index, name, label)

    def make_graph_attempt(self, receipt: GraphReceipt) -> Attempt:
        """Give the group of a graph that is not in the log yet."""
        attempt = self.make_attempt(receipt["index"], receipt["attempt"])
        return replace(attempt, has_mid_near=receipt.get("has_mid_near", False))

    def _attempt(self, state: WindowState, name: str) -> Attempt:
        return attempts.Attempt(self.location, state.index, name, state.label, state.n_rows, state.has_mid_near)

    def _graph_attempt(self, window: str | int) -> Attempt:
        state = self._find(window)
        state.refuse_pruned({"map"})
        if state.graph_attempt is None:
            raise StoreError(f"window {state.label!r} has no graph yet; run the same command again to go on")
        return self._attempt(state, state.graph_attempt)


def open_store(path: str | Path, *, generation: int | None = None) -> Store:
    """Open an existing store for reading; `refresh` shows what another process commits meanwhile.

    Parameters
    ----------
    path
        The store: a folder, or `s3://bucket/prefix`.
    generation
        Show the windows of this generation, which `ingest --reopen` left behind; None: the newest.

    Returns
    -------
    Store
        Opened for reading.
    """
    return Store.open(path, generation=generation)
