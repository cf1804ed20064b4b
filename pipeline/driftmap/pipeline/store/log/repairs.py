"""Commits that mend a store: arrays that were found damaged and made again, and what was cleaned away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from driftmap.pipeline.store.log.growth import replace_graph, replace_shared

if TYPE_CHECKING:
    from driftmap.pipeline.store.log.commits import Commit
    from driftmap.pipeline.store.log.growth import Growth
    from driftmap.pipeline.store.log.windows import WindowState

REPAIR_KINDS = ("rebuilt", "relaid", "reclustered", "clean")
"""`rebuilt`: the graph of a window (`receipt`); `relaid`: maps of a block (`attempt`, `windows`); `reclustered`: the
clusters of windows (`clusters`). All name in `replaces` the attempt that each window had, which counts no longer.
`clean`: files that no commit named were deleted (`files`, `bytes`); it stands in the log so that a writer that was
taken over cannot commit what is gone."""

MIGRATED = "migrated"
"""Kind of the commit that says of which format the store is from there on (`version`); it also chains the log."""


def apply_repair(windows: list[WindowState], growth: Growth, commit: Commit) -> None:
    """Apply one commit of `REPAIR_KINDS`; how far a window has come does not change."""
    payload = commit.payload
    if commit.kind == "rebuilt":
        receipt = payload["receipt"]

        def rebuild(window: WindowState) -> WindowState:
            return replace(replace_graph(window, receipt), status=window.status, commit=commit.number)

        replace_shared(windows, growth, receipt["index"], rebuild)
    elif commit.kind == "relaid":
        for index in payload["windows"]:
            windows[index] = replace(windows[index], layout_attempt=payload["attempt"], commit=commit.number)
    elif commit.kind == "reclustered":
        for name, record in payload["clusters"].items():
            windows[int(name)] = replace(windows[int(name)], clusters=record, commit=commit.number)
