"""The page of a store over HTTP: without a file, and of a store of any size."""

from __future__ import annotations

import secrets
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from driftmap.pipeline.look.changes import BIN_EDGES
from driftmap.pipeline.look.live.app import make_app
from driftmap.pipeline.look.live.head import describe_head, list_quality
from driftmap.pipeline.look.live.windows import SAMPLE_ROWS, LiveWindows
from driftmap.pipeline.look.page_data import MAX_ROWS
from driftmap.pipeline.look.report import render_live, render_page
from driftmap.pipeline.look.run_codes import list_laid_out
from driftmap.pipeline.store import open_store
from driftmap.pipeline.store.turnover_codes import TURNOVER_STEPS

if TYPE_CHECKING:
    from starlette.requests import Request

    from driftmap.pipeline.look.live.app import Answerer
    from driftmap.pipeline.store import Store

LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - only where it is asked for
POLL_SECONDS = 4.0
_CLOSING_SECONDS = 2


class PageServer:
    """Serves the page of a store at an address that nobody guesses.

    Up to `max_rows` rows it is the page that `report` writes, made again once the store has grown. Above, the page asks
    for windows as they are looked at.

    Parameters
    ----------
    store
        An opened store with at least one map.
    title
        Heading of the page; the store's name when left out.
    port
        Of this machine; 0: any that is free.
    host
        Address of this machine at which it is served; by default one that other machines do not reach.
    max_rows
        Rows, of all windows, up to which the page is whole.
    sample_rows, poll_seconds
        Above: rows that are drawn of the largest window, about; seconds after which the page looks for new windows.

    Raises
    ------
    OSError
        When the port is taken, or the machine has no such address.
    StoreError
        When the store has no map.
    """

    def __init__(
        self,
        store: Store,
        title: str | None = None,
        port: int = 0,
        host: str = LOOPBACK,
        *,
        max_rows: int = MAX_ROWS,
        sample_rows: int = SAMPLE_ROWS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store, self._title, self._poll_seconds = open_store(store.path), title, poll_seconds
        self._lock = threading.Lock()
        self._page: tuple[int, str] | None = None
        self._windows: LiveWindows | None = None
        if sum(fact.n_rows for fact in list_laid_out(store)) > max_rows:
            self._windows = LiveWindows(self._store, sample_rows)
        else:
            self.read_page()
        token = secrets.token_urlsafe(16)
        self.path = f"/{token}/"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.server_port = int(self._socket.getsockname()[1])
        """Port at which it is served."""
        shown = socket.gethostname() if host in EVERY_ADDRESS else host
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.server_port}{self.path}"
        """The page's address."""
        answerers: dict[str, Answerer] = {"": lambda _: self.read_page()}
        if self._windows is not None:
            answerers |= {"head": lambda _: self._read_head(), "window/{index:int}": self._give_window}
        app = make_app(token, answerers, is_far=host != LOOPBACK)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=_CLOSING_SECONDS, lifespan="off")
        self._server = uvicorn.Server(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def is_live(self) -> bool:
        """Whether windows are read as they are looked at."""
        return self._windows is not None

    def serve_forever(self) -> None:
        """Serve until `shutdown`, or Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """End `serve_forever`."""
        self._server.should_exit = True

    def read_page(self) -> str:
        """Give the page, of the store as it is now."""
        with self._lock:
            if self._windows is not None:
                self._store.refresh()
                return render_live(self._store, self._describe(self._windows), list_quality(self._store), self._title)
            store = open_store(self._store.path)
            if self._page is None or store.n_commits != self._page[0]:
                self._page = store.n_commits, render_page(store, title=self._title).html
            return self._page[1]

    def _read_head(self) -> dict[str, Any]:
        with self._lock:
            self._store.refresh()
            return self._describe(self._live)

    def _describe(self, windows: LiveWindows) -> dict[str, Any]:
        scales = {"bin_edges": BIN_EDGES.tolist(), "turnover_steps": TURNOVER_STEPS, "poll_seconds": self._poll_seconds}
        return {**describe_head(self._store, windows), **scales}

    def _give_window(self, request: Request) -> bytes:
        return self._live.encode(request.path_params["index"])

    @property
    def _live(self) -> LiveWindows:
        if self._windows is None:
            raise LookupError("the page is whole")
        return self._windows
