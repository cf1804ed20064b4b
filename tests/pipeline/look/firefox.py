"""Firefox as a person has it, without a driver: WebDriver BiDi, which it speaks itself, over tornado's web socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Self

from tornado.websocket import websocket_connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_SECONDS = 60


class Firefox:
    """A headless Firefox with a profile of its own; every complaint of its console is kept.

    Parameters
    ----------
    profile
        An empty folder.
    """

    def __init__(self, profile: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        command = [str(FIREFOX), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        lines = (re.search(r"BiDi listening on (ws://\S+)", line) for line in self._process.stderr)
        address = next(found[1] for found in lines if found)
        self._socket = self._wait(lambda: websocket_connect(f"{address}/session", max_message_size=2**26))
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._page = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
        self._loop.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and give its result; events before it are noted."""
        number = next(self._numbers)
        command = json.dumps({"id": number, "method": method, "params": parameters})
        self._wait(lambda: self._socket.write_message(command))
        while True:
            message = json.loads(self._wait(self._socket.read_message))
            if message.get("id") == number:
                assert message["type"] == "success", message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def visit(self, url: str, width: int, height: int) -> None:
        """Open a page in a window of this size, once it is drawn."""
        self.call("browsingContext.setViewport", context=self._page, viewport={"width": width, "height": height})
        self.call("browsingContext.navigate", context=self._page, url=url, wait="complete")
        self.evaluate(
            "new Promise((done) => { const look = () => document.documentElement.hasAttribute('data-ready') "
            "? done(1) : requestAnimationFrame(look); look(); })"
        )

    def evaluate(self, script: str) -> Any:
        """Evaluate an expression; gives what JSON holds of it."""
        target = {"context": self._page}
        expression = f"(async () => JSON.stringify(await ({script})))()"
        found = self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        text = found["result"].get("value")
        return None if text is None else json.loads(text)

    def press(self, key: str) -> None:
        """Press a key."""
        self._act("key", "keys", [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")])

    def drag(self, points: list[tuple[float, float]], *, is_held: bool = True) -> None:
        """Move the mouse along points of the page, its button held from the first to the last."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in points]
        if is_held:
            moves = [
                moves[0],
                {"type": "pointerDown", "button": 0},
                *({**move, "duration": 30} for move in moves[1:]),
                {"type": "pointerUp", "button": 0},
            ]
        self._act("pointer", "mouse", moves)

    def _act(self, kind: str, name: str, actions: list[dict[str, Any]]) -> None:
        self.call("input.performActions", context=self._page, actions=[{"type": kind, "id": name, "actions": actions}])
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "log.entryAdded":
            self.complaints.append(str(message["params"].get("text")))
        if message.get("method") == "network.beforeRequestSent":
            self.requests.append(message["params"]["request"]["url"])

    def _wait(self, ask: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return await asyncio.wait_for(ask(), _SECONDS)

        return self._loop.run_until_complete(run())
