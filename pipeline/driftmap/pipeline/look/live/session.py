"""All that a page of a large store asks, by its address."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.look.changes import BIN_EDGES
from driftmap.pipeline.look.live.head import describe_head, list_quality
from driftmap.pipeline.look.live.movers import describe_movers
from driftmap.pipeline.look.live.rows import TILE_ROWS, LiveRows
from driftmap.pipeline.look.live.sentences import describe_changes
from driftmap.pipeline.look.live.traits import LiveTraits
from driftmap.pipeline.look.live.windows import SAMPLE_ROWS, LiveWindows
from driftmap.pipeline.look.report import render_live
from driftmap.pipeline.store.turnover_codes import TURNOVER_STEPS

if TYPE_CHECKING:
    from starlette.requests import Request

    from driftmap.pipeline.look.live.app import Answerer
    from driftmap.pipeline.store import Store


class LiveOptions(NamedTuple):
    """What a page of a large store draws, and how often it looks for new windows."""

    sample_rows: int = SAMPLE_ROWS
    """Rows drawn of the largest window, about."""
    tile_rows: int = TILE_ROWS
    """Rows drawn besides of what is seen closer, at most."""
    poll_seconds: float = 4.0


class LiveSession:
    """Answers the page of one store.

    Parameters
    ----------
    store
        An opened store with at least one map; it is read again as it grows.
    title
        Heading of the page; the store's name when left out.
    options
        Bounds of what is drawn.
    """

    def __init__(self, store: Store, title: str | None, options: LiveOptions) -> None:
        self._store, self._title, self._options = store, title, options
        self._windows = LiveWindows(store, options.sample_rows)
        self._rows = LiveRows(store, self._windows, options.tile_rows)
        self._traits = LiveTraits(self._windows)
        self._lock = threading.Lock()

    def list_answerers(self) -> dict[str, Answerer]:
        """Give what answers each address."""
        return {
            "": lambda _: self._render(),
            "head": lambda _: self._describe(),
            "window/{index:int}": lambda request: self._windows.encode(request.path_params["index"]),
            "changes": lambda _: describe_changes(self._store, self._windows),
            "movers/{index:int}": lambda request: self._describe_movers(**request.path_params),
            "traits/{a:int}/{b:int}": lambda request: self._traits.encode(**request.path_params),
            "tile/{index:int}": self._give_tile,
            "row/{index:int}/{row:int}": lambda request: self._rows.describe_row(**request.path_params),
            "follow/{index:int}/{origin:int}/{row:int}": lambda request: self._rows.follow(**request.path_params),
            "find/{first:int}": self._find,
        }

    def _render(self) -> str:
        return render_live(self._store, self._describe(), list_quality(self._store), self._title)

    def _describe(self) -> dict[str, Any]:
        with self._lock:
            self._store.refresh()
            head = describe_head(self._store, self._windows)
        scales = {"bin_edges": BIN_EDGES.tolist(), "turnover_steps": TURNOVER_STEPS}
        return {**head, **scales, "poll_seconds": self._options.poll_seconds, "shown": self._rows.shown}

    def _describe_movers(self, index: int) -> dict[str, Any]:
        with self._windows.lock:
            found = describe_movers(self._store, self._windows, index)
            release_memory()
        return found

    def _give_tile(self, request: Request) -> bytes:
        asked = request.query_params
        box = [float(asked[name]) for name in ("x0", "x1", "y0", "y1")]
        return self._rows.encode_tile(request.path_params["index"], box, int(asked["c"]))

    def _find(self, request: Request) -> dict[str, Any]:
        return self._rows.find(request.query_params["text"], request.path_params["first"])
