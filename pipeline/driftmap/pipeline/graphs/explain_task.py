"""The task of `explain` as a plain function: read a window's rows again, and write what says why beside its graph."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.graphs.build_graph import name_window, refuse_other_rows
from driftmap.pipeline.graphs.traits import NumberTaker, describe_traits, take_words
from driftmap.pipeline.sources.rows.pieces import digest_pieces, digest_prose, read_pieces
from driftmap.pipeline.store.attempts import (
    GRAPH_ARRAYS,
    Attempt,
    GraphReceipt,
    name_group,
    name_ids,
    name_small_attempt,
)
from driftmap.pipeline.store.disk.arrays import write_arrays

if TYPE_CHECKING:
    from driftmap.pipeline.graphs.orders import GraphOrder
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.windows import WindowState

    Array = np.ndarray[Any, Any]


def explain_task(store: Location, order: GraphOrder, window: WindowState) -> GraphReceipt:
    """Write the group of a window's graph again, with words and numbers of its rows and what is shown of them.

    Parameters
    ----------
    store
        Where the store lies.
    order
        Where the window's rows are.
    window
        What the log says of it; its graph may have been removed.

    Returns
    -------
    GraphReceipt
        Of the same graph under a new name.

    Raises
    ------
    SourceError
        When the rows of the source are others than the window was built of.
    """
    try:
        return _explain(store, order, window)
    except Exception as error:
        name_window(error, order.label)
        raise


def _explain(store: Location, order: GraphOrder, window: WindowState) -> GraphReceipt:
    started, spec = time.perf_counter(), order.pieces[0].spec
    rows = read_pieces(order.pieces, by_id=order.by_id)
    refuse_other_rows(window.rows_digest, digest_pieces(rows, spec))
    before = Attempt(store, window.index, str(window.graph_attempt), window.label, window.n_rows)
    names = (*name_ids(len(window.label_columns)), *(() if window.pruned == "graph" else GRAPH_ARRAYS))
    arrays = {name: before.read(name) for name in names}
    places = _find_places(rows.ids, arrays["ids"])
    numbers = NumberTaker(spec, len(places))
    vectors = rows.vectors[places] if numbers.columns else rows.vectors
    numbers.start(vectors)
    numbers.take(0, vectors)
    texts = {name: values[places] for name, values in rows.labels.items()}
    new = [name for name in texts if spec.is_kept(name) and name not in window.label_columns]
    first = len(window.label_columns)
    arrays |= {f"label_{first + number}": texts[name] for number, name in enumerate(new)}
    arrays |= numbers.finish() | take_words(spec, texts)
    attempt = name_small_attempt(arrays.values(), may_pack=order.may_pack)
    n_bytes = write_arrays(store, name_group(window.index, attempt), arrays)
    return GraphReceipt(
        index=window.index,
        label=window.label,
        attempt=attempt,
        n_rows=window.n_rows,
        n_edges=window.n_edges,
        has_ids=window.has_ids,
        label_columns=[*window.label_columns, *new],
        seconds=round(window.seconds + time.perf_counter() - started, 6),
        bytes=n_bytes,
        rows_digest=window.rows_digest,  # type: ignore[typeddict-item]  # none in stores of before 0.2
        traits=describe_traits(spec, numbers.columns, digest_prose(rows, spec)),
    )


def _find_places(found: Array, wanted: Array) -> Array:
    """Find the rows that were read in the order of the store."""
    if len(found) == len(wanted):
        places = np.empty(len(wanted), dtype=np.int64)
        places[np.argsort(wanted, kind="stable")] = np.argsort(found, kind="stable")
        if bool((found[places] == wanted).all()):
            return places
    raise SourceError("its ids are others in the source than its map was made of; give the source it was made of")
