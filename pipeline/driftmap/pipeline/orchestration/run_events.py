"""What happens in a run, for who watches it: events for logs, and spans of traces."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.tracing import record, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.commits import Commit

    OnEvent = Callable[[str, dict[str, Any]], None]


class RunEvents:
    """Tells what a run commits, under a name of its own.

    Parameters
    ----------
    on_event
        Called with a name and facts; None: only traces are made.
    """

    def __init__(self, on_event: OnEvent | None) -> None:
        self.run = uuid.uuid4().hex[:12]
        self._on_event = on_event
        self._stage = "start"

    @contextmanager
    def begin(self, location: Location) -> Iterator[None]:
        """Tell when the run begins and how it ends."""
        with trace("run", run=self.run, store=str(location)):
            self._tell("started", store=str(location))
            try:
                yield
            except BaseException as error:
                kind = type(error).__name__
                self._tell("failed", reason=str(error) or kind, kind=kind)
                raise
            self._stage = "end"
            self._tell("done")

    def follow(self, store: Store) -> None:
        """Tell what is committed to a store from now on."""
        store.on_commit = lambda commit: self._note(store, commit)

    def _note(self, store: Store, commit: Commit) -> None:
        payload = commit.payload
        if commit.kind in ("graph", "graphs"):
            self._stage = "graphs"
            labels = store.labels
            for receipt in [payload["receipt"]] if commit.kind == "graph" else payload["receipts"]:
                window, rows, seconds = labels[receipt["index"]], receipt["n_rows"], receipt["seconds"]
                self._tell("graph", window=window, rows=rows, seconds=seconds)
                record("graph", seconds, run=self.run, stage="graphs", window=window, rows=rows)
        elif commit.kind == "layout":
            self._stage = "layout"
            labels = store.labels
            states = {labels[index]: state for state in ("final", "provisional") for index in payload[state]}
            for label, state in states.items():
                self._tell("map", window=label, state=state, block=payload["block"])
            record(
                "block", payload["seconds"], run=self.run, stage="layout", windows=list(states), block=payload["block"]
            )

    def _tell(self, name: str, **facts: Any) -> None:
        if self._on_event is not None:
            self._on_event(name, {**facts, "run": self.run, "stage": self._stage})
