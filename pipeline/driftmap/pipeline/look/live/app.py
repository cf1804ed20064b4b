"""What `driftmap view` serves: the page, and of a large store what it asks for."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from driftmap.engine.errors import DriftmapError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    Answerer = Callable[[Request], str | bytes | dict[str, Any]]

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(token: str, answerers: Mapping[str, Answerer], *, is_far: bool) -> ASGIApp:
    """Make the application.

    Parameters
    ----------
    token
        First part of every address that is answered.
    answerers
        By the rest of the address: what gives a page, bytes or JSON, in a thread of its own.
    is_far
        Whether other machines ask: answers are then compressed.
    """
    app: ASGIApp = Starlette(routes=[Route(f"/{path}", _make_endpoint(give)) for path, give in answerers.items()])
    return _Guard(GZipMiddleware(app, compresslevel=1) if is_far else app, token)


def _make_endpoint(give: Answerer) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            found = await run_in_threadpool(give, request)
        except (ValueError, LookupError) as error:
            return PlainTextResponse(f"cannot be answered: {error}", 400, _HEADERS)
        except DriftmapError as error:
            return PlainTextResponse(str(error), 503, _HEADERS)
        if isinstance(found, dict):
            return JSONResponse(found, headers=_HEADERS)
        kind = "text/html" if isinstance(found, str) else "application/octet-stream"
        return Response(found, media_type=kind, headers=_HEADERS)

    return answer


class _Guard:
    """Answers only addresses that begin with the token; to others nothing is there."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _, first, rest = (f"{scope['path']}//").split("/", 2)
            if not secrets.compare_digest(first.encode(), self._token.encode()) or scope["path"].count("/") < 2:
                await PlainTextResponse("not found", 404, _HEADERS)(scope, receive, send)
                return
            scope = {**scope, "path": f"/{rest[:-2]}"}
        await self._app(scope, receive, send)
