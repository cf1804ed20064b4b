"""A fitted estimator -> a store of its windows, for what reads stores only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.engine.types import WindowGraph
from driftmap.pipeline.errors import PictureError
from driftmap.pipeline.layout.clusters import find_missing, load_rows
from driftmap.pipeline.layout.publish import describe_layout, name_strengths
from driftmap.pipeline.look.colours import join_windows
from driftmap.pipeline.look.fitted_traits import FittedTraits
from driftmap.pipeline.look.run_codes import as_text
from driftmap.pipeline.look.sequence import as_sequence
from driftmap.pipeline.store import Store
from driftmap.pipeline.store.attempts import list_arrays, name_small_attempt, new_attempt, write_graph, write_positions
from driftmap.pipeline.store.log.layouts import GraphReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftmap.engine import AlignedUMAP

Array = npt.NDArray[Any]

CLUSTER_SEED = 0
"""Clusters are found with it, whatever the seed of the maps."""


def write_fitted(
    model: AlignedUMAP,
    path: Path,
    *,
    label: Sequence[npt.ArrayLike] | None = None,
    names: Sequence[object] | None = None,
    text: Sequence[Sequence[str]] | None = None,
    columns: Sequence[Any] | None = None,
) -> Store:
    """Write a store of a fitted estimator, as a run of its windows would have left it; all of them are final.

    Parameters
    ----------
    model
        A fitted `AlignedUMAP`.
    path
        A folder that is not there yet.
    label, names, text, columns
        As `make_widget` has them.

    Raises
    ------
    PictureError
        When these do not fit the model.
    """
    sequence = as_sequence(model, label, names=names)
    refuse_repeated(sequence.names)
    traits = FittedTraits(text, columns, [len(one) for one in sequence.places])
    ids, n_windows = _join_ids(model.ids_), len(sequence.names)
    labels = None if sequence.values is None else _split(join_windows(sequence.values), sequence.values)
    planned = [
        {"label": name, "n_rows": len(one), "start": None, "end": None, "digest": name}
        for name, one in zip(sequence.names, sequence.places, strict=True)
    ]
    store = Store.create(path, config=_describe(model), windows=planned, fingerprint={})
    for index, graph in enumerate(map(WindowGraph, model.knn_graphs_, model.graphs_)):
        own = {} if labels is None else {"label": labels[index]}
        _add_graph(store, index, ids[index], own, graph, traits)
    clusters = find_missing(store, range(n_windows), CLUSTER_SEED, lambda index: load_rows(store, index))
    attempt = new_attempt()
    for index, positions in enumerate(sequence.places):
        write_positions(store.new_attempt(index, attempt), positions)
    strengths = name_strengths(range(n_windows), model.strengths_)
    described = describe_layout(
        0, attempt, range(n_windows), n_windows=n_windows, lookahead=0, strengths=strengths, seconds=0.0
    )
    store.commit_layout({**described, "clusters": clusters})
    return store


def refuse_repeated(names: Sequence[str]) -> None:
    """Refuse windows that have one name."""
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise PictureError(f"names has {twice!r} twice; give each window a name of its own")


def _describe(model: AlignedUMAP) -> dict[str, Any]:
    """Give the settings that the page names."""
    graph: dict[str, Any] = {}
    if isinstance(model.metric, str):
        graph["metric"] = model.metric
    if isinstance(model.n_neighbors, int):
        graph["n_neighbors"] = model.n_neighbors
    return {"graph": graph, "random_state": CLUSTER_SEED}


def _add_graph(
    store: Store, index: int, ids: Array, labels: dict[str, Array], graph: WindowGraph, traits: FittedTraits
) -> None:
    name = name_small_attempt(list_arrays(graph), may_pack=store.may_pack)
    attempt = store.new_attempt(index, name)
    receipt = GraphReceipt(
        index=index,
        label=attempt.label,
        attempt=name,
        n_rows=len(ids),
        n_edges=len(graph.fuzzy.indices),
        has_ids=True,
        label_columns=list(labels),
        seconds=0.0,
        bytes=write_graph(attempt, ids, labels, graph, traits.encode(index)),
        rows_digest="",
    )
    if traits.record is not None:
        receipt["traits"] = traits.record
    store.commit_graph(receipt)


def _join_ids(windows: Sequence[Array]) -> list[Array]:
    """Give ids as stores keep them: whole numbers where all are some, else texts."""
    joined = join_windows(windows)
    is_whole = joined.dtype.kind in "iu" and int(joined.max(initial=0)) <= np.iinfo(np.int64).max
    kept = joined.astype(np.int64) if is_whole else np.array([as_text(one) for one in joined.tolist()], dtype=str)
    return _split(kept, windows)


def _split(joined: Array, windows: Sequence[Array]) -> list[Array]:
    return np.split(joined, np.cumsum([len(one) for one in windows])[:-1])
