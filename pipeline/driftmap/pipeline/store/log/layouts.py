"""What the log says of graphs and maps: the one form of it, for blocks of a run and steps of an ingest."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

N_DIGITS = 6
"""Decimals of figures in the log."""


class GraphReceipt(TypedDict):
    """What a worker says of the graph it wrote; becomes true when the coordinator commits it."""

    index: int
    label: str
    attempt: str
    n_rows: int
    n_edges: int
    has_ids: bool
    label_columns: list[str]
    seconds: float
    bytes: int
    rows_digest: str
    has_mid_near: NotRequired[bool]
    """Whether the group holds mid-near rows; not where a window is too large for them, or its metric has none."""
    traits: NotRequired[dict[str, Any]]
    """`has_terms`, `columns`, `text`: what the group holds besides, and the column of its words; see `row_traits`."""


class ClusterRecord(TypedDict):
    """Clusters of one window, numbered for life."""

    attempt: str
    """Name of the group that holds the cluster of each row."""
    n_clusters: int
    n_known: int
    """Numbers given in the windows up to this one."""
    passages: list[list[str | int]]
    """Kind, older cluster, newer cluster, rows; see `Passage`."""
    has_turnover: NotRequired[bool]
    """Whether the group holds the rows' turnover against the window before, too."""


class LayoutCommit(TypedDict):
    """What a commit `layout` says; a window that it names has its map from there on."""

    block: int
    """Number of the layout; the next one has one more."""
    attempt: str
    """Name of the groups that hold the maps."""
    final: list[int]
    provisional: list[int]
    strengths: dict[str, float]
    """Of the alignment, by the window's number; stores made before driftmap 0.2 have none."""
    seconds: float
    clusters: NotRequired[dict[str, ClusterRecord]]
    """By the window's number, of those whose clusters were found here; stores made before driftmap 0.2 have none."""


class ExchangeCommit(LayoutCommit, total=False):
    """The same of a block that exchanged halos with others: its seconds by what they were spent on."""

    read_seconds: float
    carry_seconds: float
    move_seconds: float
    write_seconds: float


class BuiltWindow(TypedDict):
    """A window that an ingest built: what it is, and the graph that waits for its place in the log."""

    facts: dict[str, Any]
    receipt: GraphReceipt


class StepCommit(LayoutCommit):
    """What a commit `ingest` says besides: which windows it added, how far others moved, how good the maps are."""

    windows: list[BuiltWindow]
    moved: dict[str, float]
    """By the window's number, over the spread of its map."""
    quality: dict[str, dict[str, float]]
    """By the window's number; see `MapFigures`."""
