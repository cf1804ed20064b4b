"""One window's work as a plain function: read its rows, build its graph, write it. No Dask."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import build_window_graph, build_window_graph_from_blocks
from driftmap.engine.errors import DriftmapError
from driftmap.engine.settings import GraphSettings
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.planning.task_size import size_task
from driftmap.pipeline.sources import open_source
from driftmap.pipeline.sources.row_digest import digest_parts, digest_rows
from driftmap.pipeline.sources.row_ranges import runs_to_rows
from driftmap.pipeline.sources.stamps import explain_change
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import Attempt, GraphReceipt, new_attempt, write_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from driftmap.engine.types import WindowGraph
    from driftmap.pipeline.config.run_config import SourceSpec
    from driftmap.pipeline.planning.windows import WindowPlan
    from driftmap.pipeline.sources import Source
    from driftmap.pipeline.sources.protocol import WindowRows
    from driftmap.pipeline.store.location import Location


def build_graph_task(
    source_spec: SourceSpec,
    store: Location,
    window: WindowPlan,
    settings: GraphSettings,
    seed: int,
    fingerprint: Mapping[str, Any],
    max_bytes: int | None = None,
) -> GraphReceipt:
    """Build the graph of one window and write it to the store; nothing counts before its receipt is committed.

    Parameters
    ----------
    source_spec
        Where the rows are; the source is opened here, on the worker.
    store
        Where the store lies.
    window
        Which rows the window has.
    settings, seed
        Passed to the engine.
    fingerprint
        Of the source when it was planned with, in short (`summarise`): the rows are refused when it changed since.
    max_bytes
        What the task may take: a window that takes more is read in blocks, where that helps. None: anything.

    Returns
    -------
    A small receipt; rows and graph stay where they are.

    Raises
    ------
    DriftmapError
        Of the class the source or the engine raised, its message led by the window's label.
    """
    started, settings = time.perf_counter(), settings.for_rows(window.n_rows)
    try:
        source = open_source(source_spec)
        refuse_change = partial(_refuse_changed_source, source_spec, store, fingerprint)
        block_rows = _choose_block_rows(source, window, settings, max_bytes)
        if block_rows is None:
            built = _build_whole(source, window, settings, seed, refuse_change)
        else:
            built = _build_in_blocks(source, window, settings, block_rows, refuse_change)
    except Exception as error:
        _name_window(error, window.label)
        raise
    attempt = Attempt(store, window.index, new_attempt(), window.label)
    n_bytes = write_graph(attempt, built.ids, built.labels, built.graph)
    return GraphReceipt(
        index=window.index,
        label=window.label,
        attempt=attempt.name,
        n_rows=len(built.ids),
        n_edges=len(built.graph.fuzzy.indices),
        has_ids=source_spec.id is not None,
        label_columns=list(built.labels),
        seconds=round(time.perf_counter() - started, 6),
        bytes=n_bytes,
        rows_digest=built.digest,
    )


class _Built(NamedTuple):
    """A window's graph, and what its rows are."""

    ids: np.ndarray[Any, Any]
    labels: dict[str, np.ndarray[Any, Any]]
    graph: WindowGraph
    digest: str


def _choose_block_rows(
    source: Source, window: WindowPlan, settings: GraphSettings, max_bytes: int | None
) -> int | None:
    return None if max_bytes is None else size_task(source, window.n_rows, settings, max_bytes).block_rows


def _build_whole(
    source: Source, window: WindowPlan, settings: GraphSettings, seed: int, refuse_change: Callable[[], None]
) -> _Built:
    rows = source.read_rows(window.runs)
    refuse_change()
    if rows.vectors is None or len(rows.vectors) != window.n_rows:
        raise SourceError(f"{window.n_rows} rows were planned and others were read: the source changed; plan anew")
    graph = build_window_graph(rows.vectors, settings, seed)
    ids = _number_rows(rows, window)
    return _Built(ids, rows.labels, graph, digest_rows(rows.vectors, ids, rows.labels))


def _build_in_blocks(
    source: Source, window: WindowPlan, settings: GraphSettings, block_rows: int, refuse_change: Callable[[], None]
) -> _Built:
    reader = BlockReader(source, window, block_rows)
    rows = reader.read_beside()
    ids = _number_rows(rows, window)
    digest = digest_parts(reader.read_in_order, reader.n_features, ids, rows.labels)
    graph = build_window_graph_from_blocks(reader.read_vectors, window.n_rows, settings, block_rows)
    refuse_change()
    return _Built(ids, rows.labels, graph, digest)


def _number_rows(rows: WindowRows, window: WindowPlan) -> np.ndarray[Any, Any]:
    return runs_to_rows(window.runs) if rows.ids is None else rows.ids  # row numbers tie rows that have no id


def warm_up() -> None:
    """Load, or compile, the kernels that every graph task needs.

    Arrow's memory comes from the C library from here on, which gives it back: reading 100,000 rows of 64 features peaks
    at 64 MB instead of 100, and leaves 31 instead of 70.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    rows = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    build_window_graph(rows, GraphSettings(n_neighbors=4), 0)


def _refuse_changed_source(spec: SourceSpec, store: Location, fingerprint: Mapping[str, Any]) -> None:
    # After the last rows were read, so that what changed while they were read is seen too.
    now = open_source(spec).fingerprint()
    if not explain_change(fingerprint, now):
        return
    stored = Store.open(store).fingerprint  # which knows each file
    raise SourceError(
        f"the source {spec.path} changed while the run was at work ({explain_change(stored, now)}); put it back and "
        "run again, or make a new store"
    )


def _name_window(error: Exception, label: str) -> None:
    where = f"window {label!r}"
    if isinstance(error, DriftmapError):
        message: list[Any] = [f"{where}: {error}"]
        error.args = (*message, *error.args[1:])
    else:
        error.add_note(f"while the graph of {where} was built")
