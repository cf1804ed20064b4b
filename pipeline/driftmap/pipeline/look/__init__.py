"""Look at a store: quality of each window, pictures, and a page with the maps. Reads the store only.

`plot_grid`, `plot_points`, `plot_connectivity`, `plot_curves` and `animate` take an opened store, a fitted estimator or
a list of embeddings; `read_sequence` chooses windows of a store for them. `plot_river` and `plot_change` take an opened
store, `make_widget` a store or a fitted estimator. What pictures need beyond driftmap comes with `pip install
'driftmap[plot]'`, and what the widget needs with `'driftmap[widget]'`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmap.pipeline.look.animation import animate
    from driftmap.pipeline.look.change_picture import plot_change
    from driftmap.pipeline.look.curves import plot_curves
    from driftmap.pipeline.look.grid import plot_grid
    from driftmap.pipeline.look.one_map.connectivity import plot_connectivity
    from driftmap.pipeline.look.one_map.points import plot_points
    from driftmap.pipeline.look.quality import measure_windows
    from driftmap.pipeline.look.report import write_report
    from driftmap.pipeline.look.river import plot_river
    from driftmap.pipeline.look.sequence import MapSequence, read_sequence
    from driftmap.pipeline.look.widget import make_widget

__all__ = [
    "MapSequence",
    "animate",
    "make_widget",
    "measure_windows",
    "plot_change",
    "plot_connectivity",
    "plot_curves",
    "plot_grid",
    "plot_points",
    "plot_river",
    "read_sequence",
    "write_report",
]

_HOMES = {
    "MapSequence": "sequence",
    "animate": "animation",
    "make_widget": "widget",
    "measure_windows": "quality",
    "plot_change": "change_picture",
    "plot_connectivity": "one_map.connectivity",
    "plot_curves": "curves",
    "plot_grid": "grid",
    "plot_points": "one_map.points",
    "plot_river": "river",
    "read_sequence": "sequence",
    "write_report": "report",
}


def __getattr__(name: str) -> object:
    """Import what is asked for only now: a page needs no plotly, and a picture no jinja."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
