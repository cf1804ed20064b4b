"""Ways to find clusters without labels, side by side: how stable, how like the labels, how many, how long.

Ours follow the window before. The others look at each window by itself, so their clusters are compared between windows
whatever their numbers are. Leiden and label propagation of igraph are left out where it is not installed.
"""

from __future__ import annotations

import random
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, triu
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from tests.benchmarks.data_sets import DataSet, load
from tests.pipeline.look.planted_runs import make_windows

from driftmap.engine import AlignedUMAP, GraphSettings, build_window_graph, follow_clusters
from driftmap.engine.quality.clusters import cut_pieces
from driftmap.engine.quality.communities import find_communities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import FuzzyGraph

    Clusters = list[np.ndarray]

MAX_WINDOWS = 20


def compare_clusters(
    names: Sequence[str], seeds: Sequence[int], say: Callable[[str], Any] = print
) -> dict[str, dict[str, dict[str, float]]]:
    """Find clusters in the first windows of each set; "planted" has five groups and nothing happens to them."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        data = _make_planted() if name == "planted" else load(name).first(MAX_WINDOWS)
        graphs = [build_window_graph(rows, GraphSettings(), 0).fuzzy for rows in data.windows]
        maps = AlignedUMAP(random_state=0).fit(data.windows, relations=data.relations).embeddings_
        say(f"{name}: {len(graphs)} windows, {len(set(np.concatenate(data.labels).tolist()))} labels")
        found[name] = {}
        for how, find in _list_finders(data, maps).items():
            figures = _measure(data, graphs, find, seeds)
            found[name][how] = figures
            say(f"  {how:28}" + "  ".join(f"{key} {value:.3g}" for key, value in figures.items()))
    return found


def _list_finders(data: DataSet, maps: Sequence[np.ndarray]) -> dict[str, Callable[[list[FuzzyGraph], int], Clusters]]:
    def follow(graphs: list[FuzzyGraph], seed: int) -> Clusters:
        found = [follow_clusters(graphs[0], seed)]
        for number, (relation, graph) in enumerate(zip(data.relations, graphs[1:], strict=True), start=1):
            found.append(follow_clusters(graph, seed + number, graphs[number - 1], found[-1], relation))
        return [clusters.of_row for clusters in found]

    spread = float(np.sqrt(np.mean([places.var(axis=0).mean() for places in maps])))
    finders = {
        "ours": follow,
        "Leiden alone": lambda graphs, seed: [find_communities(graph, None, seed) for graph in graphs],
        "HDBSCAN on the map": lambda _, __: [HDBSCAN(min_cluster_size=10, copy=True).fit_predict(m) for m in maps],
        "pieces of the map": lambda _, __: [cut_pieces(places.astype(np.float64), 0.1 * spread) for places in maps],
    }
    if find_spec("igraph") is not None:
        finders |= {
            "Leiden of igraph": lambda graphs, seed: [_ask_igraph(graph, seed, is_leiden=True) for graph in graphs],
            "label propagation of igraph": lambda graphs, seed: [
                _ask_igraph(graph, seed, is_leiden=False) for graph in graphs
            ],
        }
    return finders


def _ask_igraph(graph: FuzzyGraph, seed: int, *, is_leiden: bool) -> np.ndarray:
    import igraph

    upper = triu(csr_matrix((graph.data, graph.indices, graph.indptr), shape=(graph.n_rows,) * 2)).tocoo()
    made = igraph.Graph(n=graph.n_rows, edges=np.column_stack([upper.row, upper.col]))
    igraph.set_random_number_generator(random.Random(seed))
    if is_leiden:
        return np.array(made.community_leiden("modularity", weights=upper.data.astype(float)).membership)
    return np.array(made.community_label_propagation(weights=upper.data.astype(float)).membership)


def _measure(
    data: DataSet,
    graphs: list[FuzzyGraph],
    find: Callable[[list[FuzzyGraph], int], Clusters],
    seeds: Sequence[int],
) -> dict[str, float]:
    started = time.process_time()
    first = find(graphs, seeds[0])
    seconds = time.process_time() - started
    others = [find(graphs, seed) for seed in seeds[1:]]
    kept = []
    for relation, old, new in zip(data.relations, first, first[1:], strict=False):
        rows = np.flatnonzero(relation >= 0)
        kept.append(adjusted_mutual_info_score(old[rows], new[relation[rows]]))
    pairs = [(one, two) for other in others for one, two in zip(first, other, strict=True)]
    with_labels = list(zip(data.labels, first, strict=True))
    return {
        "clusters": float(np.median([len(np.unique(one[one >= 0])) for one in first])),
        "seeds": float(np.mean([adjusted_mutual_info_score(*pair) for pair in pairs])) if pairs else 1.0,
        "windows": float(np.mean(kept)),
        "labels_ami": float(np.mean([adjusted_mutual_info_score(*pair) for pair in with_labels])),
        "labels_ari": float(np.mean([adjusted_rand_score(*pair) for pair in with_labels])),
        "none": float(np.mean([np.mean(one < 0) for one in first])),
        "us_per_row": 1e6 * seconds / sum(graph.n_rows for graph in graphs),
    }


def _make_planted() -> DataSet:
    windows = make_windows("nothing", 0, n_windows=8, n_rows=60)
    same = np.arange(len(windows[0].ids), dtype=np.int32)
    return DataSet("planted", [w.rows for w in windows], [w.labels for w in windows], [same] * 7)
