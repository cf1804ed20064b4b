"""New rows placed into the newest map at once, between ingests; the map stays as it is.

The store keeps no vectors, so the rows of that window are read from the source again; they are held for as many new
rows as come.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from driftmap.engine import (
    TRANSFORM_STREAM,
    find_nearest_rows,
    is_sparse,
    make_seed,
    place_rows,
    relate_ids,
    tidy_sparse_rows,
    window_values,
)
from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.errors import ConfigError, SourceError, StoreError
from driftmap.pipeline.executors.address_space import check_for_computing
from driftmap.pipeline.graphs.bad_rows import drop_bad_rows
from driftmap.pipeline.graphs.scale import Scale
from driftmap.pipeline.ingestion.parts.source_parts import Feed
from driftmap.pipeline.ingestion.slots import make_slots
from driftmap.pipeline.planning.cuts import encode_keys
from driftmap.pipeline.planning.windows import plan_windows
from driftmap.pipeline.sources import as_source, needs_workers, open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.opening import list_columns
from driftmap.pipeline.sources.row_ranges import name_some, rows_to_runs
from driftmap.pipeline.sources.rows.pieces import Piece, PieceRows, read_pieces
from driftmap.pipeline.sources.rows.repeated_ids import average_rows, choose_rows, group_rows
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.id_types import as_id_column, as_value_column
from driftmap.pipeline.store.shared_rows import read_bad_rows
from driftmap.pipeline.store.tables.map_tables import as_coordinates

if TYPE_CHECKING:
    import pyarrow as pa

    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.protocol import Rows
    from driftmap.pipeline.store.log.windows import WindowState


class PlaceKeywords(TypedDict, total=False):
    """Options of `place` about the rows that are placed."""

    vectors_file: str | Path | None
    duplicates: str | None
    on_bad_rows: str | None


class Placer:
    """A map into which rows are placed, again and again.

    Parameters
    ----------
    store
        The store.
    source
        Where its source is now, when it was moved.
    window
        Label of the window whose map it is; the newest when left out.

    Raises
    ------
    DriftmapError
        When there is no map yet, or the source no longer has the rows of its window.
    """

    def __init__(
        self, store: str | Path | Store, *, source: str | Path | None = None, window: str | None = None
    ) -> None:
        check_for_computing()
        opened = store if isinstance(store, Store) else Store.open(store)
        self._config = RunConfig.from_json(opened.config)
        if source is not None:
            moved = self._config.source.model_copy(update={"path": str(SourcePlace(source))})
            self._config = self._config.model_copy(update={"source": moved})
        self._window = _find_window(opened, window)
        self.n_left_out = 0
        """Rows of the last call of `place` that were dropped, or that another row of the same id stands for."""
        self._positions = opened.positions(self._window.index)
        self._scaler = Scale.of(self._config).load(opened.location)
        self._rows = self._scaler.apply(_read_window(opened, self._config, self._window))
        if self._window.schema:  # new rows have the columns of that window's
            own = self._config.schemas[self._window.schema - 1].apply(self._config.source)
            self._config = self._config.model_copy(update={"source": own})
        settings = self._config.layout_settings().extend(self._window.index + 1)
        self._values = window_values(settings, self._window.index, len(self._positions))

    @property
    def label(self) -> str:
        """Label of the window whose map it is."""
        return self._window.label

    def place_vectors(self, vectors: Rows) -> Float32Array:
        """Place vectors (m, d) as the source has them; float32 (m, c), NaN where a row's neighbours have no place."""
        graph, index = self._config.graph_settings(), self._window.index
        scaled = vectors if self._scaler.kind == "none" else self._scaler.apply(_copy_rows(vectors))
        near = find_nearest_rows(scaled, self._rows, graph)
        seed = make_seed(self._config.random_state, index, TRANSFORM_STREAM)
        connectivity = graph.local_connectivity
        return place_rows(*near, self._positions, local_connectivity=connectivity, values=self._values, seed=seed)

    def place(
        self,
        rows: object,
        *,
        vectors_file: str | Path | None = None,
        duplicates: str | None = None,
        on_bad_rows: str | None = None,
    ) -> pa.Table:
        """Place rows.

        Parameters
        ----------
        rows
            What `run` takes as a source, with columns of the same names; only the vectors are needed.
        vectors_file
            A `.npy` file with the vectors, where `rows` is a file that has none.
        duplicates, on_bad_rows
            As for `run`, of these rows; None: as the run has it. Where the rule is to refuse ids that come more than
            once in a window, each row is placed by itself.

        Returns
        -------
        One row for each: window, id (where it has one), x, y (z, or dim_0 ...), and the label columns.
        """
        import pyarrow as pa

        must_pin = self._config.source.pin is not None
        roles, known = _find_roles(rows, self._config), self._config.source.vectors_file
        if vectors_file is None and known is not None and isinstance(rows, str | Path):
            raise SourceError(
                f"the run's vectors are in {known}; name the .npy file with those of {rows} (vectors_file)"
            )
        if vectors_file is not None:
            roles = {name: value for name, value in roles.items() if name != "vectors"} | {"vectors_file": vectors_file}
        rules = {"duplicates": duplicates, "on_bad_rows": on_bad_rows}
        roles |= {name: value for name, value in rules.items() if value is not None}
        given = as_source(rows, must_pin=must_pin, **roles)
        if needs_workers(given):
            raise SourceError("a Dask collection was given; call its compute() first, or write it and give the file")
        if given.spec.duplicates != "refuse" and given.spec.id is None:
            raise ConfigError(f"duplicates is {given.spec.duplicates!r}, but the rows have no id column; leave it out")
        read = _read_given(given)
        self.n_left_out = given.n_rows - read.vectors.shape[0]
        placed = self.place_vectors(read.vectors)
        columns: dict[str, Any] = {"window": pa.array([self.label] * len(placed), pa.string())}
        if given.spec.id is not None:
            columns["id"] = as_id_column(read.ids, given.spec.id_type)
        columns |= as_coordinates(placed)
        for name, values in read.labels.items():
            columns[f"label_{name}" if name in columns else name] = as_value_column(values)
        return pa.table(columns)


def _copy_rows(vectors: Rows) -> Rows:
    """Copy rows as float32."""
    return tidy_sparse_rows(vectors) if is_sparse(vectors) else np.array(vectors, dtype=np.float32)


def _read_given(given: Source) -> PieceRows:
    """Read the rows to place, by the rules of the run: without bad ones, and one for each id unless it refuses several.

    Where the run refuses ids that come more than once, each row is placed by itself.
    """
    numbers = drop_bad_rows(given, np.arange(given.n_rows, dtype=np.int64))
    spec, groups = given.spec, None
    if spec.id is not None and spec.duplicates != "refuse" and len(numbers):
        names = list(dict.fromkeys(name for name in (spec.id, spec.time) if name is not None))
        keys = {name: column[numbers] for name, column in given.key_columns(names).items()}
        if spec.duplicates == "mean":
            groups = group_rows(keys[spec.id], by_id=False)
        else:
            times = None if spec.time is None else keys[spec.time]
            numbers = numbers[choose_rows(encode_keys(keys[spec.id])[1], spec.duplicates, times)]
    if not len(numbers):
        if not given.n_rows:
            raise SourceError("there are no rows to place")
        raise SourceError("none of the rows can be placed: all lack an id, or have missing or infinite numbers")
    read = given.read_rows(rows_to_runs(numbers))
    if read.vectors is None:
        raise SourceError("the rows have no vectors")
    ids = numbers if read.ids is None else read.ids
    if groups is None:
        return PieceRows(read.vectors, ids, read.labels)
    firsts = groups.firsts
    labels = {name: column[firsts] for name, column in read.labels.items()}
    return PieceRows(average_rows(read.vectors, groups), ids[firsts], labels)


def place(
    store: str | Path | Store,
    rows: object,
    *,
    source: str | Path | None = None,
    window: str | None = None,
    **options: Unpack[PlaceKeywords],
) -> pa.Table:
    """Place new rows into the newest map of a store, without moving anything.

    Each row goes near the rows of that window that are nearest to it; new rows do not see each other. To place rows
    again and again, keep a `Placer`: most of the time goes into loading.

    Parameters
    ----------
    store, source, window
        As for `Placer`.
    rows
        As for `Placer.place`.
    **options
        `vectors_file`, `duplicates`, `on_bad_rows`, as for `Placer.place`.

    Returns
    -------
    pyarrow.Table
        The rows with their coordinates: `id`, x, y (and z), and the label columns.

    Raises
    ------
    DriftmapError
        When the store, its source or the rows cannot be used.
    """
    return Placer(store, source=source, window=window).place(rows, **options)


def _find_window(store: Store, label: str | None) -> WindowState:
    placed = [window for window in store.state() if window.layout_attempt is not None and window.pruned != "map"]
    if label is not None:
        found = [window for window in placed if window.label == label]
        if not found:
            raise StoreError(f"{store.path} has no map of a window {label!r}; its maps are {_name_windows(placed)}")
        return found[0]
    if not placed:
        raise StoreError(f"{store.path} has no map yet; finish its run first")
    return placed[-1]


def _read_window(store: Store, config: RunConfig, window: WindowState) -> Rows:
    """Read the vectors of a window's rows from the source, in the order of the store's."""
    if config.windows.rows is not None or (config.source.id is None and config.source.format != "zarr"):
        return _read_as_planned(store, config, window)
    slots = make_slots(config, store.growth.origin)
    feed = Feed(config.source, slots, store.location, schemas=config.schemas)
    known = store.growth.parts
    parts = feed.list_parts(known)
    facts = {name: known[name] if name in known else feed.scan(ref) for name, ref in parts.items()}
    parts = {name: feed.refer(ref, facts[name].schema if ref.schema == 0 else 0) for name, ref in parts.items()}
    counts = {name: part.counts for name, part in facts.items()}
    slot = slots.find(window.label, window.start)
    gone = [name for name, part in known.items() if part.counts.get(slot) and name not in parts]
    if gone:
        raise SourceError(_explain_gone(window, f"{name_some(gone)} is gone"))
    selected = feed.select([ref for name, ref in parts.items() if counts[name].get(slot)], slot)
    wanted = store.window_keys(window.index)
    if not selected.pieces:
        raise SourceError(_explain_gone(window, "none of them is there"))
    vectors, ids, _ = read_pieces(selected.pieces)
    if ids.dtype.kind == "S" and wanted.dtype.kind == "U":
        ids = np.char.decode(ids, "utf-8")
    rows = relate_ids(wanted, ids)
    if (rows < 0).any():
        raise SourceError(_explain_gone(window, f"{int((rows < 0).sum()):,} of its {len(wanted):,} rows are missing"))
    return vectors[rows]


def _read_as_planned(store: Store, config: RunConfig, window: WindowState) -> Rows:
    source = open_source(config.source)
    bad_rows = None if config.bad_rows is None else read_bad_rows(store.location, config.bad_rows)
    planned = plan_windows(source, config.window_rule, config.graph.n_neighbors, bad_rows=bad_rows).windows
    if window.index >= len(planned) or planned[window.index].n_rows != window.n_rows:
        raise SourceError(_explain_gone(window, "its rows fall into other windows now"))
    return read_pieces((Piece(config.source, planned[window.index].runs),), by_id=False).vectors


def _explain_gone(window: WindowState, what: str) -> str:
    return (
        f"the rows of window {window.label!r} are not in the source any more ({what}), and the store keeps no vectors; "
        "bring the source back, say where it is (source), or name a window that it still has (window)"
    )


def _find_roles(rows: object, config: RunConfig) -> dict[str, Any]:
    """Name the columns of new rows as the run's are named, those that they have."""
    names = _list_columns(rows)
    roles: dict[str, Any] = {}
    pin, vectors = config.source.pin, config.source.vectors
    if isinstance(vectors, str):
        roles["vectors"] = vectors
    if pin is not None:
        roles |= {"pin": pin.relax(), "id_type": config.source.id_type}
        if names is not None and not isinstance(rows, dict | tuple | np.ndarray):
            roles["vectors"] = pin.names  # what else is in the rows does not matter
    roles |= {"on_bad_rows": config.source.on_bad_rows, "clock": config.source.clock}
    for role in ("time", "id", "label", "by"):
        wanted = getattr(config.source, role)
        if isinstance(wanted, tuple):
            wanted = tuple(name for name in wanted if names is None or name in names)
        elif names is not None and wanted not in names:
            wanted = None
        if wanted:
            roles[role] = wanted
    if "id" in roles:
        roles["duplicates"] = config.source.duplicates
    return roles


def _list_columns(rows: object) -> list[str] | None:
    if isinstance(rows, str | Path):
        return list_columns(SourcePlace(rows))
    if isinstance(rows, dict):
        return [str(name) for name in rows]
    return [str(name) for name in getattr(rows, "column_names", getattr(rows, "columns", []))]


def _name_windows(windows: list[WindowState]) -> str:
    return name_some([repr(window.label) for window in windows[::-1]])
