"""The task of `explain` as a plain function: read a window's rows again, and write what says why beside its graph."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.graphs.build_graph import find_block_rows, name_window
from driftmap.pipeline.graphs.orders import Refusal
from driftmap.pipeline.graphs.traits import SCALE_ROWS, NumberTaker, describe_traits, has_all_traits, take_words
from driftmap.pipeline.sources.opening import open_source
from driftmap.pipeline.sources.row_ranges import rows_to_runs, runs_to_rows
from driftmap.pipeline.sources.rows.pieces import digest_pieces, digest_prose, read_piece_columns, read_pieces
from driftmap.pipeline.sources.rows.row_digest import digest_parts
from driftmap.pipeline.store.attempts import Attempt, list_graph_arrays, name_group, name_ids, name_small_attempt
from driftmap.pipeline.store.disk.arrays import write_arrays
from driftmap.pipeline.store.log.layouts import GraphReceipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from driftmap.engine.settings import GraphSettings
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.graphs.orders import GraphOrder
    from driftmap.pipeline.sources.rows.pieces import PieceColumns, PieceRows
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.windows import WindowState

    Array = np.ndarray[Any, Any]

OTHER_ROWS = "its rows are others in the source than its map was made of"


def explain_task(
    store: Location, order: GraphOrder, window: WindowState, settings: GraphSettings, max_bytes: int | None = None
) -> tuple[int, GraphReceipt | Refusal | None]:
    """Write the group of a window's graph again, with words and numbers of its rows and what is shown of them.

    Rows of ids that the window was not built of are left out: they came after it was final.

    Parameters
    ----------
    store
        Where the store lies.
    order
        Where the window's rows are.
    window
        What the log says of it; its graph may have been removed.
    settings, max_bytes
        As for `build_graph_task`: a window that is read in blocks there is read so here.

    Returns
    -------
    tuple
        The window's number, and the receipt of the same graph under a new name; None where all that is there is as the
        source has it, and the reason where its rows are others in the source, or cannot be used.
    """
    try:
        before = Attempt(store, window.index, str(window.graph_attempt), window.label, window.n_rows)
        order = _leave_out_late(order, before.read("ids"))
        spec = order.pieces[0].spec
        is_kept = list(window.label_columns) == _list_kept(spec, window)
        if is_kept and has_all_traits(window.traits, spec, _digest_now(order)):
            return order.index, None
        block_rows = find_block_rows(order, settings.for_rows(order.n_rows), max_bytes)
        return order.index, _explain(before, order, window, block_rows)
    except SourceError as error:
        return order.index, Refusal(order.index, str(error))
    except Exception as error:
        name_window(error, order.label)
        raise


def _list_kept(spec: SourceSpec, window: WindowState) -> list[str]:
    """List the columns that the store is to keep of a window row by row: those that it has, and those asked for."""
    return [name for name in dict.fromkeys((*window.label_columns, *spec.beside)) if spec.is_kept(name)]


def _leave_out_late(order: GraphOrder, ids: Array) -> GraphOrder:
    """Leave out rows of other ids than these, where there are more rows than the window has."""
    name = order.pieces[0].spec.id
    if name is None or order.n_rows <= len(ids):
        return order
    pieces = []
    for piece in order.pieces:
        found = open_source(piece.spec).key_columns([name], piece.runs)[name]
        runs = rows_to_runs(runs_to_rows(piece.runs)[np.isin(found, ids)])
        pieces += [piece._replace(runs=runs)] if len(runs) else []
    if not pieces:
        raise SourceError(OTHER_ROWS)
    return replace(order, pieces=tuple(pieces), n_rows=len(ids))


def _digest_now(order: GraphOrder) -> str | None:
    """Digest texts and what is shown, read without vectors; None where there is neither."""
    spec = order.pieces[0].spec
    is_any = any(spec.is_prose(name) for name in spec.beside)
    return digest_prose(read_piece_columns(order.pieces, by_id=order.by_id), spec) if is_any else None


class _Read(NamedTuple):
    """Rows of a window as the source has them now."""

    columns: PieceRows | PieceColumns
    digest: str
    read: Callable[[Array], Iterator[Array]]
    """Gives the vectors of rows in the order that is asked for, some at a time."""


def _explain(before: Attempt, order: GraphOrder, window: WindowState, block_rows: int | None) -> GraphReceipt:
    started, spec = time.perf_counter(), order.pieces[0].spec
    columns, digest, read = _read_rows(order, block_rows)
    if window.rows_digest not in (None, digest):
        raise SourceError(OTHER_ROWS)
    stored = dict(zip(window.label_columns, name_ids(len(window.label_columns))[1:], strict=True))
    graph = list_graph_arrays(has_mid_near=window.has_mid_near)
    names = ("ids", *(() if window.pruned == "graph" else graph))
    arrays = {name: before.read(name) for name in names}
    places = _find_places(columns.ids, arrays["ids"])
    numbers = _take_numbers(spec, places, read)
    texts = {name: values[places] for name, values in columns.labels.items()}
    kept = _list_kept(spec, window)
    for number, name in enumerate(kept):
        is_new = name not in stored or name not in spec.label
        arrays[f"label_{number}"] = texts[name] if is_new and name in texts else before.read(stored[name])
    arrays |= numbers.finish() | take_words(spec, texts)
    attempt = name_small_attempt(arrays.values(), may_pack=order.may_pack)
    n_bytes = write_arrays(before.root, name_group(window.index, attempt), arrays)
    return GraphReceipt(
        index=window.index,
        label=window.label,
        attempt=attempt,
        n_rows=window.n_rows,
        n_edges=window.n_edges,
        has_ids=window.has_ids,
        label_columns=kept,
        seconds=round(window.seconds + time.perf_counter() - started, 6),
        bytes=n_bytes,
        rows_digest=window.rows_digest,  # type: ignore[typeddict-item]  # none in stores of before 0.2
        has_mid_near=window.has_mid_near,
        traits=describe_traits(spec, numbers.columns, digest_prose(columns, spec)),
    )


def _read_rows(order: GraphOrder, block_rows: int | None) -> _Read:
    """Read a window whole, or in blocks where it does not fit whole."""
    spec = order.pieces[0].spec
    if block_rows is None:
        rows = read_pieces(order.pieces, by_id=order.by_id)

        def read(wanted: Array) -> Iterator[Array]:
            for begin in range(0, len(wanted), SCALE_ROWS):
                yield rows.vectors[wanted[begin : begin + SCALE_ROWS]]

        return _Read(rows, digest_pieces(rows, spec), read)
    reader = BlockReader(order.pieces, block_rows, by_id=order.by_id)
    beside = reader.read_beside()
    digest = digest_parts(reader.read_in_order, reader.n_features, beside.ids, spec.pick_digested(beside.labels))
    return _Read(beside, digest, reader.read_in_order)


def _take_numbers(spec: SourceSpec, places: Array, read: Callable[[Array], Iterator[Array]]) -> NumberTaker:
    """Take numbers of named columns, in the order of the store."""
    numbers = NumberTaker(spec, len(places))
    if numbers.columns:
        numbers.start(np.concatenate([*read(places[:SCALE_ROWS])]))
    if numbers.columns:
        begin = 0
        for vectors in read(places):
            numbers.take(begin, vectors)
            begin += len(vectors)
    return numbers


def _find_places(found: Array, wanted: Array) -> Array:
    """Find the rows that were read in the order of the store."""
    if len(found) == len(wanted):
        places = np.empty(len(wanted), dtype=np.int64)
        places[np.argsort(wanted, kind="stable")] = np.argsort(found, kind="stable")
        if bool((found[places] == wanted).all()):
            return places
    raise SourceError(OTHER_ROWS)
