"""What a page of a large store knows before any window is read: what the log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftmap.pipeline.layout.figures import MapFigures
from driftmap.pipeline.look.quality import WindowQuality
from driftmap.pipeline.look.run_codes import list_laid_out

if TYPE_CHECKING:
    from driftmap.pipeline.look.live.windows import LiveWindows
    from driftmap.pipeline.store import Store


def list_quality(store: Store) -> list[WindowQuality]:
    """Give the figures of every window that the log holds; what a run measures only when it is reported is left out."""
    found = []
    for fact in store.state():
        kept = fact.quality or {}
        figures = MapFigures(**{name: kept.get(name) for name in MapFigures._fields})
        found.append(WindowQuality(fact.label, fact.index, fact.n_rows, fact.status, *figures, fact.strength))
    return found


def describe_head(store: Store, windows: LiveWindows) -> dict[str, Any]:
    """Describe the windows that have a map; `map` changes when a window is laid out again."""
    figures = {row.index: row for row in list_quality(store)}
    return {
        "n_commits": store.n_commits,
        "share": windows.share,
        "has_clusters": windows.has_clusters,
        "has_traits": any(fact.traits for fact in list_laid_out(store)),
        "windows": [
            {"index": fact.index, "map": fact.layout_attempt, **figures[fact.index].describe()}
            for fact in list_laid_out(store)
        ],
    }
