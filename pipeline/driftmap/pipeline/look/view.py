"""The page of a store over HTTP: without a file, and of a store of any size."""

from __future__ import annotations

import hashlib
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.look.live.app import make_app
from driftmap.pipeline.look.live.session import LiveOptions, LiveSession
from driftmap.pipeline.look.page_data import MAX_ROWS
from driftmap.pipeline.look.report import render_page
from driftmap.pipeline.look.run_codes import list_laid_out
from driftmap.pipeline.store import open_store

if TYPE_CHECKING:
    from driftmap.pipeline.look.live.app import Answerer
    from driftmap.pipeline.store import Store

LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - only where it is asked for
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
    options
        How often the page looks for new maps; and of the page above, what is drawn.

    Raises
    ------
    ConfigError
        When the host is an empty text.
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
        options: LiveOptions | None = None,
    ) -> None:
        if not host:  # which the system takes for every address
            raise ConfigError("host is an empty text; an address of this machine was expected, such as 127.0.0.1")
        self._path, self._title, self._store = store.path, title, open_store(store.path)
        self._lock = threading.Lock()
        self._page: tuple[int, str] | None = None
        self.is_live = sum(fact.n_rows for fact in list_laid_out(store)) > max_rows
        """Whether windows are read as they are looked at."""
        self._options = options or LiveOptions()
        answerers: dict[str, Answerer] = {"": lambda _: self.read_page(), "head": lambda _: self._describe_maps()}
        if self.is_live:
            answerers = LiveSession(self._store, title, self._options).list_answerers()
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
        app = make_app(token, answerers, is_far=host != LOOPBACK)
        config = uvicorn.Config(
            app, log_level="error", timeout_graceful_shutdown=_CLOSING_SECONDS, lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def serve_forever(self) -> None:
        """Serve until `shutdown`, or Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """End `serve_forever`."""
        self._server.should_exit = True

    def read_page(self) -> str:
        """Give the whole page, of the store as it is now."""
        with self._lock:
            store = open_store(self._path)
            if self._page is None or store.n_commits != self._page[0]:
                self._page = store.n_commits, self._render(store)
            return self._page[1]

    def _render(self, store: Store) -> str:
        return render_page(store, title=self._title, poll_seconds=self._options.poll_seconds).html

    def _describe_maps(self) -> dict[str, str]:
        """Name the maps that there are: another text once there are others."""
        with self._lock:
            self._store.refresh()
            maps = [(fact.index, fact.layout_attempt, fact.status) for fact in list_laid_out(self._store)]
        return {"maps": hashlib.sha256(repr(maps).encode()).hexdigest()}
