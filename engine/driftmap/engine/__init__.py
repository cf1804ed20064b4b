"""Aligned UMAP maps of windows of data: arrays in, arrays out.

Everything is imported when it is first used, so that `import driftmap.engine` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.engine.core.jit import cache_kernels_in, load_compiler
    from driftmap.engine.core.rounding import estimate_rounding, explain_rounding, float32_holds
    from driftmap.engine.core.seeds import CLUSTER_STREAM, START_STREAM, TRANSFORM_STREAM, make_graph_seed, make_seed
    from driftmap.engine.core.threads import count_threads, limit_blas, limit_threads
    from driftmap.engine.errors import DriftmapError, InvalidInputError, InvalidRelationError
    from driftmap.engine.estimator.aligned_umap import AlignedUMAP
    from driftmap.engine.estimator.repr_html import choose_maps, draw_thumbnails
    from driftmap.engine.graph.fuzzy import build_fuzzy_graph, smooth_knn_distances
    from driftmap.engine.graph.memory import (
        LEAST_BLOCK_ROWS,
        blocked_graph_bytes,
        choose_block_rows,
        fuzzy_graph_bytes,
        graph_bytes,
        sparse_graph_bytes,
        target_bytes,
    )
    from driftmap.engine.graph.supervise import read_target, supervise_graph
    from driftmap.engine.graph.window_graph import build_window_graph, build_window_graph_from_blocks
    from driftmap.engine.layout.block import (
        BlockWindow,
        WindowKind,
        find_block_strengths,
        find_graph_strengths,
        lay_out_block,
    )
    from driftmap.engine.layout.block_part import BlockPart, join_parts, place_window
    from driftmap.engine.layout.curve import fit_curve
    from driftmap.engine.layout.exchange import ExchangeBlock, as_halo, lay_out_in_exchange
    from driftmap.engine.layout.optimiser import has_compiled_kernels
    from driftmap.engine.layout.pace import N_EXCHANGES, PACE, plan_rounds
    from driftmap.engine.layout.procrustes import fit_similarity
    from driftmap.engine.layout.repulsion import pick_repulsion
    from driftmap.engine.layout.row_share import LEAST_SHARED_ROWS, RowShare
    from driftmap.engine.layout.start.initialise import start_from_previous
    from driftmap.engine.layout.start.memory import far_start_bytes, start_bytes
    from driftmap.engine.layout.transform import find_nearest_rows, place_rows
    from driftmap.engine.layout.window_values import WindowValues, window_values
    from driftmap.engine.neighbours.blocked import can_search_blocks
    from driftmap.engine.neighbours.mid_near import find_mid_near
    from driftmap.engine.neighbours.rows import is_sparse, read_window_rows
    from driftmap.engine.neighbours.scaling.column_scaling import ColumnMoments, ColumnScaling, scale_to_unit
    from driftmap.engine.neighbours.search import EXACT_WORK, build_knn_graph, refuse_sparse_metric
    from driftmap.engine.neighbours.sparse_rows import (
        average_sparse_rows,
        join_sparse_rows,
        make_sparse_rows,
        tidy_sparse_rows,
    )
    from driftmap.engine.quality.change import displacement, noise_floor, turnover
    from driftmap.engine.quality.clusters import Islands, compare_islands, find_islands
    from driftmap.engine.quality.communities import MERGED_ROWS, find_clusters
    from driftmap.engine.quality.diagnostics import find_movers
    from driftmap.engine.quality.follow import Clustered, Passage, cluster_bytes, find_pieces, follow_clusters
    from driftmap.engine.quality.lineage import GroupChange, compare_clusters, compare_groups, join_passages
    from driftmap.engine.quality.measures import (
        count_bad_rows,
        drift,
        neighbour_preservation,
        neighbour_preservation_from_graph,
        trustworthiness,
    )
    from driftmap.engine.quality.terms import RowTerms, count_terms, name_groups, rate_terms
    from driftmap.engine.quality.trajectories import smooth_paths
    from driftmap.engine.relations.couplings import find_strongest, read_relation
    from driftmap.engine.relations.related_windows import relate_windows
    from driftmap.engine.relations.relations import (
        alignment_weights,
        as_relation,
        compose_relations,
        invert_relation,
        relate_ids,
        sort_ids,
    )
    from driftmap.engine.settings import (
        BLAS_METRICS,
        BOOLEAN_METRICS,
        PAIRWISE_METRICS,
        GraphSettings,
        LayoutSettings,
        TargetSettings,
    )
    from driftmap.engine.types import Coupling, FuzzyGraph, KnnGraph, Relation, WindowGraph

__all__ = [
    "BLAS_METRICS",
    "BOOLEAN_METRICS",
    "CLUSTER_STREAM",
    "EXACT_WORK",
    "LEAST_BLOCK_ROWS",
    "LEAST_SHARED_ROWS",
    "MERGED_ROWS",
    "N_EXCHANGES",
    "PACE",
    "PAIRWISE_METRICS",
    "START_STREAM",
    "TRANSFORM_STREAM",
    "AlignedUMAP",
    "BlockPart",
    "BlockWindow",
    "Clustered",
    "ColumnMoments",
    "ColumnScaling",
    "Coupling",
    "DriftmapError",
    "ExchangeBlock",
    "FuzzyGraph",
    "GraphSettings",
    "GroupChange",
    "InvalidInputError",
    "InvalidRelationError",
    "Islands",
    "KnnGraph",
    "LayoutSettings",
    "Passage",
    "Relation",
    "RowShare",
    "RowTerms",
    "TargetSettings",
    "WindowGraph",
    "WindowKind",
    "WindowValues",
    "alignment_weights",
    "as_halo",
    "as_relation",
    "average_sparse_rows",
    "blocked_graph_bytes",
    "build_fuzzy_graph",
    "build_knn_graph",
    "build_window_graph",
    "build_window_graph_from_blocks",
    "cache_kernels_in",
    "can_search_blocks",
    "choose_block_rows",
    "choose_maps",
    "cluster_bytes",
    "compare_clusters",
    "compare_groups",
    "compare_islands",
    "compose_relations",
    "count_bad_rows",
    "count_terms",
    "count_threads",
    "displacement",
    "draw_thumbnails",
    "drift",
    "estimate_rounding",
    "explain_rounding",
    "far_start_bytes",
    "find_block_strengths",
    "find_clusters",
    "find_graph_strengths",
    "find_islands",
    "find_mid_near",
    "find_movers",
    "find_nearest_rows",
    "find_pieces",
    "find_strongest",
    "fit_curve",
    "fit_similarity",
    "float32_holds",
    "follow_clusters",
    "fuzzy_graph_bytes",
    "graph_bytes",
    "has_compiled_kernels",
    "invert_relation",
    "is_sparse",
    "join_parts",
    "join_passages",
    "join_sparse_rows",
    "lay_out_block",
    "lay_out_in_exchange",
    "limit_blas",
    "limit_threads",
    "load_compiler",
    "make_graph_seed",
    "make_seed",
    "make_sparse_rows",
    "name_groups",
    "neighbour_preservation",
    "neighbour_preservation_from_graph",
    "noise_floor",
    "pick_repulsion",
    "place_rows",
    "place_window",
    "plan_rounds",
    "rate_terms",
    "read_relation",
    "read_target",
    "read_window_rows",
    "refuse_sparse_metric",
    "relate_ids",
    "relate_windows",
    "scale_to_unit",
    "smooth_knn_distances",
    "smooth_paths",
    "sort_ids",
    "sparse_graph_bytes",
    "start_bytes",
    "start_from_previous",
    "supervise_graph",
    "target_bytes",
    "tidy_sparse_rows",
    "trustworthiness",
    "turnover",
    "window_values",
]

_ROOMS = {
    "core.jit": ("cache_kernels_in", "load_compiler"),
    "core.rounding": ("estimate_rounding", "explain_rounding", "float32_holds"),
    "core.seeds": (
        "CLUSTER_STREAM",
        "START_STREAM",
        "TRANSFORM_STREAM",
        "make_graph_seed",
        "make_seed",
    ),
    "core.threads": ("count_threads", "limit_blas", "limit_threads"),
    "errors": (
        "DriftmapError",
        "InvalidInputError",
        "InvalidRelationError",
    ),
    "estimator.aligned_umap": ("AlignedUMAP",),
    "estimator.repr_html": (
        "choose_maps",
        "draw_thumbnails",
    ),
    "graph.fuzzy": (
        "build_fuzzy_graph",
        "smooth_knn_distances",
    ),
    "graph.memory": (
        "LEAST_BLOCK_ROWS",
        "blocked_graph_bytes",
        "choose_block_rows",
        "fuzzy_graph_bytes",
        "graph_bytes",
        "sparse_graph_bytes",
        "target_bytes",
    ),
    "graph.supervise": ("read_target", "supervise_graph"),
    "graph.window_graph": (
        "build_window_graph",
        "build_window_graph_from_blocks",
    ),
    "layout.block": (
        "BlockWindow",
        "WindowKind",
        "find_block_strengths",
        "find_graph_strengths",
        "lay_out_block",
    ),
    "layout.curve": ("fit_curve",),
    "layout.exchange": (
        "ExchangeBlock",
        "as_halo",
        "lay_out_in_exchange",
    ),
    "layout.block_part": (
        "BlockPart",
        "join_parts",
        "place_window",
    ),
    "layout.row_share": ("LEAST_SHARED_ROWS", "RowShare"),
    "layout.window_values": ("WindowValues", "window_values"),
    "layout.start.initialise": ("start_from_previous",),
    "layout.start.memory": ("far_start_bytes", "start_bytes"),
    "layout.optimiser": ("has_compiled_kernels",),
    "layout.procrustes": ("fit_similarity",),
    "layout.pace": ("N_EXCHANGES", "PACE", "plan_rounds"),
    "layout.repulsion": ("pick_repulsion",),
    "layout.transform": (
        "find_nearest_rows",
        "place_rows",
    ),
    "neighbours.blocked": ("can_search_blocks",),
    "neighbours.mid_near": ("find_mid_near",),
    "neighbours.scaling.column_scaling": ("ColumnMoments", "ColumnScaling", "scale_to_unit"),
    "neighbours.rows": ("is_sparse", "read_window_rows"),
    "neighbours.search": (
        "EXACT_WORK",
        "build_knn_graph",
        "refuse_sparse_metric",
    ),
    "neighbours.sparse_rows": (
        "average_sparse_rows",
        "join_sparse_rows",
        "make_sparse_rows",
        "tidy_sparse_rows",
    ),
    "quality.change": (
        "displacement",
        "noise_floor",
        "turnover",
    ),
    "quality.clusters": (
        "Islands",
        "compare_islands",
        "find_islands",
    ),
    "quality.communities": ("MERGED_ROWS", "find_clusters"),
    "quality.diagnostics": ("find_movers",),
    "quality.follow": (
        "Clustered",
        "Passage",
        "cluster_bytes",
        "find_pieces",
        "follow_clusters",
    ),
    "quality.lineage": (
        "GroupChange",
        "compare_clusters",
        "compare_groups",
        "join_passages",
    ),
    "quality.measures": (
        "count_bad_rows",
        "drift",
        "neighbour_preservation",
        "neighbour_preservation_from_graph",
        "trustworthiness",
    ),
    "quality.terms": ("RowTerms", "count_terms", "name_groups", "rate_terms"),
    "quality.trajectories": ("smooth_paths",),
    "relations.couplings": (
        "find_strongest",
        "read_relation",
    ),
    "relations.related_windows": ("relate_windows",),
    "relations.relations": (
        "alignment_weights",
        "as_relation",
        "compose_relations",
        "invert_relation",
        "relate_ids",
        "sort_ids",
    ),
    "settings": (
        "BLAS_METRICS",
        "BOOLEAN_METRICS",
        "PAIRWISE_METRICS",
        "GraphSettings",
        "LayoutSettings",
        "TargetSettings",
    ),
    "types": (
        "Coupling",
        "FuzzyGraph",
        "KnnGraph",
        "Relation",
        "WindowGraph",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
