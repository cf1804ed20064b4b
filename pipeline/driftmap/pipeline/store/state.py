"""What the log of a store says: replayed, commit after commit, into facts about every window."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from driftmap.pipeline.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from driftmap.pipeline.store.commits import Commit

FORMAT = "driftmap store"
FORMAT_VERSION = 1

Status = Literal["planned", "graph", "provisional", "final"]
"""How far a window has come; a final one never moves again, a provisional one still may."""


@dataclass(frozen=True)
class WindowState:
    """What the log says of one window."""

    index: int
    label: str
    n_rows: int
    start: str | None
    end: str | None
    digest: str
    """Of the rows that belong to the window: a resumed run must find the same."""
    status: Status = "planned"
    commit: int = 0
    """Number of the last commit that names the window."""
    graph_attempt: str | None = None
    layout_attempt: str | None = None
    n_edges: int = 0
    has_ids: bool = False
    """Whether the window's ids came with the data; else they are row numbers of the source."""
    label_columns: tuple[str, ...] = ()
    seconds: float = 0.0
    """Spent on the graph by the worker."""
    bytes: int = 0
    """On disk: graph and map."""


@dataclass
class StoreState:
    """Everything that the log says, up to the commits read so far."""

    config: dict[str, Any]
    fingerprint: dict[str, Any]
    driftmap_version: str
    windows: list[WindowState]
    n_blocks_done: int = 0
    n_commits: int = 1
    index_by_label: dict[str, int] = field(default_factory=dict)

    def apply(self, commits: Iterable[Commit]) -> None:
        """Add what later commits say."""
        for commit in commits:
            if commit.kind == "graph":
                self._apply_graph(commit)
            elif commit.kind == "layout":
                self._apply_layout(commit)
            else:
                raise StoreError(
                    f"commit {commit.number} of the store is of the unknown kind {commit.kind!r}; "
                    "upgrade driftmap to read this store"
                )
            self.n_commits = commit.number + 1

    def _apply_graph(self, commit: Commit) -> None:
        receipt = commit.payload["receipt"]
        window = self.windows[receipt["index"]]
        self.windows[window.index] = replace(
            window,
            status="graph",
            commit=commit.number,
            graph_attempt=receipt["attempt"],
            n_edges=receipt["n_edges"],
            has_ids=receipt["has_ids"],
            label_columns=tuple(receipt["label_columns"]),
            seconds=receipt["seconds"],
            bytes=receipt["bytes"],
        )

    def _apply_layout(self, commit: Commit) -> None:
        payload = commit.payload
        statuses: tuple[tuple[Status, list[int]], ...] = (
            ("final", payload["final"]),
            ("provisional", payload["provisional"]),
        )
        for status, indices in statuses:
            for index in indices:
                self.windows[index] = replace(
                    self.windows[index],
                    status=status,
                    commit=commit.number,
                    layout_attempt=payload["attempt"],
                )
        self.n_blocks_done = payload["block"] + 1


def read_first_commit(commit: Commit, where: str) -> StoreState:
    """Read the commit that made the store.

    Raises
    ------
    StoreError
        When it was made by a newer version, or is not ours.
    """
    payload = commit.payload
    if payload.get("format") != FORMAT:
        raise StoreError(f"{where} is no driftmap store: its first commit names the format {payload.get('format')!r}")
    if payload["version"] > FORMAT_VERSION:
        raise StoreError(
            f"{where} was made by driftmap {payload['driftmap']} in store format {payload['version']}; this driftmap "
            f"reads formats up to {FORMAT_VERSION}: upgrade it (pip install --upgrade driftmap)"
        )
    windows = [WindowState(index=index, **facts) for index, facts in enumerate(payload["windows"])]
    return StoreState(
        config=payload["config"],
        fingerprint=payload["fingerprint"],
        driftmap_version=payload["driftmap"],
        windows=windows,
        index_by_label={window.label: window.index for window in windows},
    )
