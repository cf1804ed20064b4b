"""What the log says of one window."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from driftmap.pipeline.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    n_dropped: int = 0
    """Rows that were dropped, without an id or with missing or infinite numbers; not among `n_rows`."""
    n_repeated: int = 0
    """Rows of an id that another row, or the mean of all, stands for; not among `n_rows`."""
    schema: int = 0
    """Which schema of the source its rows have; 0: the run's, others by their place in the settings' `schemas`."""
    status: Status = "planned"
    commit: int = 0
    """Number of the last commit that names the window."""
    since: str | None = None
    """UTC time at which it became what it is: final, or provisional."""
    graph_attempt: str | None = None
    layout_attempt: str | None = None
    n_edges: int = 0
    has_ids: bool = False
    """Whether the window's ids came with the data; else they are row numbers of the source."""
    label_columns: tuple[str, ...] = ()
    has_mid_near: bool = False
    """Whether mid-near rows are stored with its graph; stores made by an older driftmap have none."""
    seconds: float = 0.0
    """Spent on the graph by the worker."""
    bytes: int = 0
    """On disk: graph and map."""
    rows_digest: str | None = None
    """Of ids, vectors and labels, in whatever order they came; None where it was not taken."""
    rows_commit: int = 0
    """Number of the ingest that built the window of these rows; 0: the run did."""
    moved: float | None = None
    """How far its rows moved when an ingest last laid it out again, on average, over the spread of the map."""
    strength: float | None = None
    """Of the alignment when it was last laid out, given or found; None: no related rows, or an older driftmap."""
    quality: dict[str, float] | None = None
    """`neighbours`, `related`, `drift` as an ingest last measured them; see `layout.figures.MapFigures`."""
    quality_when_new: dict[str, float] | None = None
    """The same as first measured, when it was the newest: what later windows are compared with."""
    clusters: Mapping[str, Any] | None = None
    """As a `ClusterRecord` says; None: an older driftmap laid the window out."""
    traits: Mapping[str, Any] | None = None
    """`has_terms`, `columns`, `text`, `prose_digest`: what says why rows are where they are, in the group of the graph;
    see `row_traits`."""
    pruned: Literal["", "graph", "map"] = ""
    """What was removed to save room: its graph; or graph and map, all but these facts."""

    @property
    def n_source_rows(self) -> int:
        """Rows that the source has of the window, those that do not count included."""
        return self.n_rows + self.n_dropped + self.n_repeated

    def refuse_pruned(self, removed: set[str]) -> None:
        """Refuse to read what may be among what was removed to save room.

        Raises
        ------
        StoreError
            When `pruned` is one of `removed`.
        """
        if self.pruned in removed:
            raise StoreError(
                f"the {self.pruned} of window {self.label!r} was removed to save room (`driftmap prune`, `--keep`)"
            )

    def __post_init__(self) -> None:
        # Of a log without checksums anything may come; who applies commits says that such a one is damaged.
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"window {self.label!r}: its {name} cannot be read")
        if not all(isinstance(name, str) for name in self.label_columns):
            raise TypeError(f"window {self.label!r}: its label_columns cannot be read")
        if self.clusters is not None and not _is_record(self.clusters):
            raise TypeError(f"window {self.label!r}: what it says of clusters cannot be read")


def count_left_out(n_dropped: int, n_repeated: int) -> dict[str, int]:
    """Give the counts of rows that do not count, as a window's facts have them: those that are not 0.

    The facts of a window without such rows are then those that an older driftmap reads.
    """
    counts = {"n_dropped": n_dropped, "n_repeated": n_repeated}
    return {name: count for name, count in counts.items() if count}


_TEXT_OR_NONE, _NUMBER_OR_NONE = (str, NoneType), (int, float, NoneType)
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("label", "digest"), str),
    **dict.fromkeys(("index", "n_rows", "commit", "n_edges", "bytes", "rows_commit", "schema"), int),
    **dict.fromkeys(("start", "end", "since", "graph_attempt", "layout_attempt", "rows_digest"), _TEXT_OR_NONE),
    **dict.fromkeys(("seconds", "moved", "strength"), _NUMBER_OR_NONE),
    "has_mid_near": bool,
    **dict.fromkeys(("quality", "quality_when_new", "traits"), (dict, NoneType)),
}


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("attempt"), str)
        and all(type(record.get(name)) is int for name in ("n_clusters", "n_known"))
        and isinstance(record.get("has_turnover", False), bool)
        and isinstance(record.get("passages"), list)
        and all(
            isinstance(one, list)
            and len(one) == 4
            and isinstance(one[0], str)
            and all(n is None or type(n) is int for n in one[1:])
            for one in record["passages"]
        )
    )
