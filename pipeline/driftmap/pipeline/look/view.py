"""The page of a store over HTTP, on this machine only: without a file, and made again once the store has grown."""

from __future__ import annotations

import secrets
import tempfile
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.store import open_store

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store

LOOPBACK = "127.0.0.1"


class PageServer(ThreadingHTTPServer):
    """Serves the page of a store at an address that nobody guesses.

    Parameters
    ----------
    store
        An opened store with at least one map.
    title
        Heading of the page; the store's name when left out.
    port
        Of this machine; 0: any that is free.

    Raises
    ------
    OSError
        When the port is taken.
    StoreError
        When the store has no map.
    """

    daemon_threads = True

    def __init__(self, store: Store, title: str | None = None, port: int = 0) -> None:
        self._path, self._title = store.path, title
        self._lock = threading.Lock()
        self._page, self._n_commits = self._render(store), store.n_commits
        self.path = f"/{secrets.token_urlsafe(16)}/"
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{LOOPBACK}:{self.server_port}{self.path}"

    def read_page(self) -> bytes:
        """Give the page, of the store as it is now."""
        with self._lock:
            store = open_store(self._path)
            if store.n_commits != self._n_commits:
                self._page, self._n_commits = self._render(store), store.n_commits
            return self._page

    def _render(self, store: Store) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            write_report(store, page, title=self._title)
            return page.read_bytes()


class _Handler(BaseHTTPRequestHandler):
    """Gives the page to who knows its address, and nothing else."""

    server: PageServer

    def do_GET(self) -> None:
        if not secrets.compare_digest(self.path.partition("?")[0].encode(), self.server.path.encode()):
            self._answer(HTTPStatus.NOT_FOUND, b"not found", "text/plain")
            return
        try:
            self._answer(HTTPStatus.OK, self.server.read_page(), "text/html")
        except DriftmapError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode(), "text/plain")

    def log_message(self, *_: object) -> None:
        """Write no line for each request."""

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
