"""The graph task of run and ingest as a plain function: read a window's rows, build its graph, write it. No Dask."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap import engine
from driftmap.engine.errors import DriftmapError
from driftmap.engine.settings import GraphSettings
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.graphs.orders import GraphOrder, Refusal
from driftmap.pipeline.graphs.traits import SCALE_ROWS, NumberTaker, describe_traits, exchange_texts
from driftmap.pipeline.planning.estimates.task_size import size_task
from driftmap.pipeline.sources.opening import fingerprint_again
from driftmap.pipeline.sources.rows.pieces import digest_pieces, digest_prose, read_pieces
from driftmap.pipeline.sources.rows.row_digest import digest_parts
from driftmap.pipeline.sources.stamps import explain_change
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import Attempt, list_arrays, name_small_attempt, write_graph
from driftmap.pipeline.store.log.layouts import GraphReceipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Float32Array, WindowGraph
    from driftmap.pipeline.graphs.scale import Scaler
    from driftmap.pipeline.store.disk.location import Location


RELEASED_BYTES = 2**20
"""Size of vectors from which what their reading took is given back to the system: that takes as long as 50 rows do."""


def build_graph_task(
    store: Location, order: GraphOrder, settings: GraphSettings, seed: int, max_bytes: int | None = None
) -> GraphReceipt:
    """Build the graph of one window and write it to the store; nothing counts before its receipt is committed.

    Parameters
    ----------
    store
        Where the store lies.
    order
        The window, and where its rows are; their sources are opened here, on the worker.
    settings, seed
        Passed to the engine.
    max_bytes
        Memory limit of the task: a window that takes more is read in blocks of rows, where that helps. None: none.

    Returns
    -------
    GraphReceipt
        A small receipt; rows and graph stay where they are.

    Raises
    ------
    DriftmapError
        Of the class the source or the engine raised, its message led by the window's label.
    """
    try:
        return _build_and_write(store, order, settings, seed, max_bytes)
    except Exception as error:
        name_window(error, order.label)
        raise


def build_graphs_task(
    store: Location, orders: Sequence[GraphOrder], settings: GraphSettings, seeds: Sequence[int]
) -> list[GraphReceipt]:
    """Build the graphs of several small windows; what is written is synced in one go.

    Parameters
    ----------
    store, settings
        As for `build_graph_task`.
    orders, seeds
        Of each window.

    Returns
    -------
    list of GraphReceipt
        Of each window.

    Raises
    ------
    DriftmapError
        As `build_graph_task`, of the first window that cannot be built; then none of them is.
    """
    unsynced: list[str] = []
    receipts = []
    with engine.limit_blas(1):  # once for all: to begin that takes a tenth of the time of 50 rows
        for order, seed in zip(orders, seeds, strict=True):
            try:
                receipts.append(_build_and_write(store, order, settings, seed, None, unsynced))
            except Exception as error:
                name_window(error, order.label)
                raise
    store.sync(unsynced)
    return receipts


def check_rows_task(order: GraphOrder, rows_digest: str, settings: GraphSettings, max_bytes: int | None = None) -> None:
    """Read the rows of a window whose graph is there, and compare them with those that it was built of.

    Parameters
    ----------
    order, settings, max_bytes
        As for `build_graph_task`.
    rows_digest
        Of the rows then.

    Raises
    ------
    SourceError
        When they are others: files of the same size and time need not hold the same rows.
    """
    try:
        block_rows = find_block_rows(order, settings.for_rows(order.n_rows), max_bytes)
        if block_rows is None:
            now = digest_pieces(read_pieces(order.pieces, by_id=order.by_id), order.pieces[0].spec)
        else:
            reader = BlockReader(order.pieces, block_rows, by_id=order.by_id)
            beside = reader.read_beside()
            labels = order.pieces[0].spec.pick_digested(beside.labels)
            now = digest_parts(reader.read_in_order, reader.n_features, beside.ids, labels)
        refuse_other_rows(rows_digest, now)
    except Exception as error:
        name_window(error, order.label)
        raise


def refuse_other_rows(stored: str | None, now: str) -> None:
    """Refuse rows of a window by their digest; of graphs of older versions it is not known.

    Raises
    ------
    SourceError
        When they are others.
    """
    if stored not in (None, now):
        raise SourceError(
            "its rows are others in the source than its graph was built of, though size and time of the files are the "
            "same; put the source back as it was, or make a new store"
        )


def try_graph_task(
    store: Location, order: GraphOrder, settings: GraphSettings, seed: int, max_bytes: int | None = None
) -> GraphReceipt | Refusal:
    """Do as `build_graph_task`; where rows cannot be used, the reason is returned."""
    try:
        return _build_and_write(store, order, settings, seed, max_bytes)
    except Exception as error:
        if isinstance(error, DriftmapError) and not isinstance(error, StoreError):  # which no rows cause
            return Refusal(order.index, str(error))
        name_window(error, order.label)
        raise


def _build_and_write(
    store: Location,
    order: GraphOrder,
    settings: GraphSettings,
    seed: int,
    max_bytes: int | None,
    unsynced: list[str] | None = None,
) -> GraphReceipt:
    started, settings = time.perf_counter(), settings.for_rows(order.n_rows)
    refuse_change = partial(refuse_change_meanwhile, order, store)
    block_rows, scaler = find_block_rows(order, settings, max_bytes), order.scale.load(store)
    try:
        if block_rows is None:
            built = _build_whole(order, settings, seed, scaler, refuse_change)
        else:
            built = _build_in_blocks(order, settings, block_rows, scaler, refuse_change)
    except SourceError:
        refuse_change()  # rows of a file that is being written can hardly be read: then this is the reason
        raise
    built = _supervise(order, settings, seed, built)
    name = name_small_attempt(list_arrays(built.graph), may_pack=order.may_pack)
    attempt = Attempt(store, order.index, name, order.label)
    spec, traits = order.pieces[0].spec, built.traits
    labels = {name: values for name, values in built.labels.items() if spec.is_kept(name)}
    n_bytes = write_graph(attempt, built.ids, labels, built.graph, traits, unsynced)
    receipt = GraphReceipt(
        index=order.index,
        label=order.label,
        attempt=attempt.name,
        n_rows=len(built.ids),
        n_edges=len(built.graph.fuzzy.indices),
        has_ids=spec.id is not None,
        label_columns=list(labels),
        seconds=round(time.perf_counter() - started, 6),
        bytes=n_bytes,
        rows_digest=built.digest,
    )
    if built.graph.mid_near is not None:
        receipt["has_mid_near"] = True
    if traits:  # without any, a receipt is as it was before there were some
        receipt["traits"] = describe_traits(spec, built.columns, built.prose_digest)
    return receipt


class _Built(NamedTuple):
    """A window's graph, and what its rows are."""

    ids: np.ndarray[Any, Any]
    labels: dict[str, np.ndarray[Any, Any]]
    """Without texts, of which only the words are kept."""
    graph: WindowGraph
    digest: str
    columns: tuple[str, ...]
    traits: dict[str, np.ndarray[Any, Any]]
    """Arrays of the numbers of these columns, and of words."""
    prose_digest: str | None = None


def _supervise(order: GraphOrder, settings: GraphSettings, seed: int, built: _Built) -> _Built:
    """Draw a window's fuzzy graph towards its target, where there is one."""
    column = order.pieces[0].spec.target
    if order.target is None or column is None:
        return built
    values = built.labels[column]
    if order.target.metric == "categorical":
        values = number_labels(values)
    target = engine.read_target(values, len(values), order.target, f"target {column!r}")
    if target is None:
        return built
    fuzzy = engine.supervise_graph(built.graph.fuzzy, target, settings.n_neighbors, seed)
    return built._replace(graph=built.graph._replace(fuzzy=fuzzy))


def number_labels(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Give each label of a window a number, -1 to rows without one; numbers stay, for the engine to check."""
    kind = values.dtype.kind
    if kind == "f":
        return np.where(np.isnan(values), -1, values)
    if kind in "ib":
        return values
    none = np.zeros(len(values), dtype=bool)
    is_missing = none if kind == "u" else np.isnat(values) if kind == "M" else values == values.dtype.type()
    return np.where(is_missing, -1, np.unique(values, return_inverse=True)[1]).astype(np.int64)


def find_block_rows(order: GraphOrder, settings: GraphSettings, max_bytes: int | None) -> int | None:
    """Find how many rows of a window its tasks read at a time within a limit; None: the whole window."""
    return None if max_bytes is None else size_task(order, order.n_rows, settings, max_bytes, order.target).block_rows


def _build_whole(
    order: GraphOrder, settings: GraphSettings, seed: int, scaler: Scaler, refuse_change: Callable[[], None]
) -> _Built:
    rows = read_pieces(order.pieces, by_id=order.by_id)
    values = rows.vectors.data if engine.is_sparse(rows.vectors) else rows.vectors
    if values.nbytes >= RELEASED_BYTES:
        release_memory()  # of reading: it may be as much again as the rows
    refuse_change()
    spec, ids, labels = order.pieces[0].spec, rows.ids, rows.labels
    digest = digest_pieces(rows, spec)  # before they are scaled where they stand
    prose, words = digest_prose(rows, spec), exchange_texts(spec, rows.labels)
    numbers = NumberTaker(spec, len(rows.ids))
    numbers.start(rows.vectors)
    numbers.take(0, rows.vectors)
    given = settings.n_neighbors, settings.metric, settings.metric_kwds, seed, settings.knn_recall
    vectors = scaler.apply(rows.vectors)
    knn = engine.build_knn_graph(vectors, *given)
    mid_near = engine.find_mid_near(vectors, settings)
    del rows, vectors  # before edges take as much
    graph = engine.build_window_graph(None, settings, seed, knn=knn)._replace(mid_near=mid_near)
    return _Built(ids, labels, graph, digest, numbers.columns, numbers.finish() | words, prose)


def _build_in_blocks(
    order: GraphOrder, settings: GraphSettings, block_rows: int, scaler: Scaler, refuse_change: Callable[[], None]
) -> _Built:
    reader = BlockReader(order.pieces, block_rows, by_id=order.by_id)
    rows = reader.read_beside()
    spec = order.pieces[0].spec
    digest = digest_parts(reader.read_in_order, reader.n_features, rows.ids, spec.pick_digested(rows.labels))
    prose, words = digest_prose(rows, spec), exchange_texts(spec, rows.labels)
    numbers = NumberTaker(spec, len(rows.ids))
    if numbers.columns:
        numbers.start(reader.read_vectors(0, SCALE_ROWS))

    def read_scaled(first: int, last: int) -> Float32Array:
        vectors = reader.read_vectors(first, last)
        numbers.take(first, vectors)
        scaled: Float32Array = scaler.apply(vectors)
        return scaled

    graph = engine.build_window_graph_from_blocks(read_scaled, order.n_rows, settings, block_rows)
    for first, last in numbers.find_rest():
        for begin in range(first, last, block_rows):
            numbers.take(begin, reader.read_vectors(begin, min(begin + block_rows, last)))
    refuse_change()
    return _Built(rows.ids, rows.labels, graph, digest, numbers.columns, numbers.finish() | words, prose)


def warm_up() -> None:
    """Load, or compile, the kernels that every graph task needs."""
    # Imported at their first use; what that takes counts for no window.
    _ = engine.build_window_graph_from_blocks, engine.read_target, engine.supervise_graph
    rows = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    engine.build_window_graph(rows, GraphSettings(n_neighbors=4), 0)


def refuse_change_meanwhile(order: GraphOrder, store: Location) -> None:
    """Refuse rows of a source that changed since the run began.

    It is called after the last rows were read, so that what changed while they were read is seen too.

    Parameters
    ----------
    order
        Of a window; one without a fingerprint is let pass.
    store
        Where the store lies, whose log knows each file.

    Raises
    ------
    SourceError
        Naming what changed.
    """
    if order.fingerprint is None:
        return
    spec = order.pieces[0].spec
    if "://" not in spec.path and not Path(spec.path).exists():
        change = "it is gone"
    else:
        now = fingerprint_again(spec, order.fingerprint)
        if not explain_change(order.fingerprint, now):
            return
        change = explain_change(Store.open(store).fingerprint, now)
    raise SourceError(
        f"the source {spec.path} changed while the run was at work ({change}); put it back and run again, or make a "
        "new store"
    )


def name_window(error: Exception, label: str) -> None:
    """Lead an error's message by the window's label."""
    where = f"window {label!r}"
    if isinstance(error, DriftmapError):
        message: list[Any] = [f"{where}: {error}"]
        error.args = (*message, *error.args[1:])
    else:
        error.add_note(f"while the graph of {where} was built")
