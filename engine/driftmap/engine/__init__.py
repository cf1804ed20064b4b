"""Aligned UMAP maps of windows of data: arrays in, arrays out.

Everything is imported when it is first used, so that `import driftmap.engine` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.engine.block import BlockWindow, lay_out_block
    from driftmap.engine.curve import fit_curve
    from driftmap.engine.errors import DriftmapError, InvalidInputError, InvalidRelationError
    from driftmap.engine.estimator import AlignedUMAP
    from driftmap.engine.exchange import lay_out_side_by_side
    from driftmap.engine.fuzzy import build_fuzzy_graph, smooth_knn_distances
    from driftmap.engine.graphs import build_window_graph, build_window_graph_from_blocks
    from driftmap.engine.knn import build_knn_graph
    from driftmap.engine.quality import (
        count_bad_rows,
        drift,
        neighbour_preservation,
        neighbour_preservation_from_graph,
        trustworthiness,
    )
    from driftmap.engine.relations import (
        alignment_weights,
        as_relation,
        compose_relations,
        invert_relation,
        relate_ids,
    )
    from driftmap.engine.settings import GraphSettings, LayoutSettings
    from driftmap.engine.types import FuzzyGraph, KnnGraph, Relation, WindowGraph

__all__ = [
    "AlignedUMAP",
    "BlockWindow",
    "DriftmapError",
    "FuzzyGraph",
    "GraphSettings",
    "InvalidInputError",
    "InvalidRelationError",
    "KnnGraph",
    "LayoutSettings",
    "Relation",
    "WindowGraph",
    "alignment_weights",
    "as_relation",
    "build_fuzzy_graph",
    "build_knn_graph",
    "build_window_graph",
    "build_window_graph_from_blocks",
    "compose_relations",
    "count_bad_rows",
    "drift",
    "fit_curve",
    "invert_relation",
    "lay_out_block",
    "lay_out_side_by_side",
    "neighbour_preservation",
    "neighbour_preservation_from_graph",
    "relate_ids",
    "smooth_knn_distances",
    "trustworthiness",
]

_ROOMS = {
    "block": ("BlockWindow", "lay_out_block"),
    "curve": ("fit_curve",),
    "errors": ("DriftmapError", "InvalidInputError", "InvalidRelationError"),
    "estimator": ("AlignedUMAP",),
    "exchange": ("lay_out_side_by_side",),
    "fuzzy": ("build_fuzzy_graph", "smooth_knn_distances"),
    "graphs": ("build_window_graph", "build_window_graph_from_blocks"),
    "knn": ("build_knn_graph",),
    "quality": (
        "count_bad_rows",
        "drift",
        "neighbour_preservation",
        "neighbour_preservation_from_graph",
        "trustworthiness",
    ),
    "relations": ("alignment_weights", "as_relation", "compose_relations", "invert_relation", "relate_ids"),
    "settings": ("GraphSettings", "LayoutSettings"),
    "types": ("FuzzyGraph", "KnnGraph", "Relation", "WindowGraph"),
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
