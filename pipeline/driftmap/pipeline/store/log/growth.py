"""How a store grows after its run: parts of the source, late rows, ingested windows, generations: as the log says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.store.log.windows import WindowState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from driftmap.pipeline.store.log.commits import Commit

GROWTH_KINDS = ("source", "set_aside", "ingest", "reopen", "pruned")
"""Kinds of commits that are applied here."""

BEFORE = "before"
"""Slot of all rows that are older than the first window, and the first word of its label."""

INBOX_FOLDER = "inbox"
"""Folder of a store that holds the rows that were given from Python after its run."""


class SourcePart(NamedTuple):
    """What is known of one part of a source: a Parquet file, a batch of arrays, a range of a Zarr array's rows."""

    stamp: tuple[int, ...]
    """What tells that it changed."""
    n_rows: int
    counts: dict[str, int]
    """Rows by slot; a row counts in every slot that has it."""
    newest: str | None
    """Newest time stamp in it, where windows are made by time."""
    schema: int = 0
    """Which schema it has, as `WindowState.schema` counts them."""

    def to_json(self) -> list[Any]:
        """Give it as JSON keeps it; one of the run's own schema as an older driftmap reads it."""
        return list(self if self.schema else self[:4])


class Skipped(NamedTuple):
    """A slot that gave no window."""

    label: str
    reason: str
    n_rows: int
    """That it had then; more of them come late."""


@dataclass
class Growth:
    """Everything that the log says beside the windows themselves.

    A *slot* is what could be a window: a span of time, by its number from the first window's start; or a value of the
    column that windows are made by.
    """

    parts: dict[str, SourcePart] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    """By slot: the last commit that tells of a new, changed or removed part with rows of it, or of what was set aside
    that the rules for rows are others."""
    kept_out: dict[str, int] = field(default_factory=dict)
    """By slot: rows, bad ones among them, with which its provisional window could not be built again."""
    set_aside: dict[str, int] = field(default_factory=dict)
    """By slot of `skipped` and `kept_out`: the commit that says so."""
    altered: list[str] = field(default_factory=list)
    """Slots of final windows whose rows are others in the source than their maps were made of."""
    origin: str | None = None
    """Start of the very first window, where windows are made by time."""
    n_ingests: int = 0
    """Steps of ingestion: one for each new window, and for each set of windows that late rows changed."""
    last_ingest: str | None = None
    """UTC time of the last of them."""
    generation: int = 0
    older: dict[int, list[WindowState]] = field(default_factory=dict)
    """Windows of earlier generations that can still be read."""

    @property
    def newest(self) -> str | None:
        """Newest time stamp seen."""
        return max((part.newest for part in self.parts.values() if part.newest is not None), default=None)

    def has_changed(self, slot: str) -> bool:
        """Whether the rows of a slot that was set aside, or the rules for them, are others since then."""
        return self.changed.get(slot, 0) > self.set_aside.get(slot, 0)

    def count_rows(self) -> dict[str, int]:
        """Count the rows of every slot, over all parts."""
        total: dict[str, int] = {}
        for part in self.parts.values():
            for slot, count in part.counts.items():
                total[slot] = total.get(slot, 0) + count
        return total

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON holds it."""
        return {
            **{name: getattr(self, name) for name in ("kept_out", "origin", "n_ingests", "last_ingest", "generation")},
            "parts": {name: part.to_json() for name, part in self.parts.items()},
            "skipped": {slot: list(skipped) for slot, skipped in self.skipped.items()},
            "changed": self.changed,
            "set_aside": self.set_aside,
            "altered": self.altered,
            "older": {str(number): [asdict(window) for window in windows] for number, windows in self.older.items()},
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Growth:
        """Read what `to_json` gave; of an older version, what was set aside has not changed so far."""
        seen = max(saved.get("changed", {}).values(), default=0)
        return cls(
            **{name: saved[name] for name in ("kept_out", "origin", "n_ingests", "last_ingest", "generation")},
            parts={name: read_part(part) for name, part in saved["parts"].items()},
            changed=saved.get("changed", {}),
            set_aside=saved.get("set_aside", dict.fromkeys([*saved["skipped"], *saved["kept_out"]], seen)),
            altered=saved.get("altered", []),
            skipped={slot: Skipped(*skipped) for slot, skipped in saved["skipped"].items()},
            older={
                int(number): [read_window(window) for window in windows] for number, windows in saved["older"].items()
            },
        )


def read_part(saved: list[Any]) -> SourcePart:
    """Read a part as JSON keeps it."""
    stamp, *facts = saved
    return SourcePart(tuple(stamp), *facts)


def read_window(saved: Mapping[str, Any]) -> WindowState:
    """Read a window as JSON keeps it."""
    return WindowState(**{**saved, "label_columns": tuple(saved["label_columns"])})


def apply_growth(windows: list[WindowState], growth: Growth, commit: Commit) -> int | None:
    """Apply one commit of `GROWTH_KINDS`; returns the number of layouts done, where it is one."""
    payload = commit.payload
    if commit.kind == "source":
        parts = {name: read_part(part) for name, part in payload["parts"].items()}
        gone = [part for name in payload["removed"] if (part := growth.parts.pop(name, None)) is not None]
        growth.parts |= parts
        growth.changed |= {slot: commit.number for part in (*parts.values(), *gone) for slot in part.counts}
        restored = payload.get("restored", [])
        altered = dict.fromkeys([*growth.altered, *payload.get("altered", [])])
        growth.altered = [slot for slot in altered if slot not in restored]
    elif commit.kind == "set_aside":
        growth.skipped |= {slot: Skipped(*skipped) for slot, skipped in payload["skipped"].items()}
        growth.kept_out |= payload["kept_out"]
        growth.set_aside |= dict.fromkeys([*payload["skipped"], *payload["kept_out"]], commit.number)
    elif commit.kind == "ingest":
        _apply_ingest(windows, growth, commit)
        return int(payload["block"]) + 1
    elif commit.kind == "reopen":
        growth.older[growth.generation] = list(windows)
        growth.generation = payload["generation"]
        del windows[payload["first"] :]
        for slot in payload["slots"]:
            growth.skipped.pop(slot, None)
            growth.kept_out.pop(slot, None)
            growth.set_aside.pop(slot, None)
        growth.altered = [slot for slot in growth.altered if slot not in payload["slots"]]
    else:
        _apply_pruned(windows, growth, payload)
    return None


def _apply_ingest(windows: list[WindowState], growth: Growth, commit: Commit) -> None:
    payload, when = commit.payload, commit.payload.get("time")
    labels = {built["facts"]["label"] for built in payload["windows"]}
    growth.skipped = {slot: skipped for slot, skipped in growth.skipped.items() if skipped.label not in labels}
    for built in payload["windows"]:
        facts, receipt = built["facts"], built["receipt"]
        named = WindowState(index=receipt["index"], **facts, commit=commit.number, rows_commit=commit.number)
        window = replace_graph(named, receipt)
        if window.index == len(windows):
            windows.append(window)
        else:
            before = windows[window.index]
            windows[window.index] = replace(
                window, status="provisional", since=before.since, quality_when_new=before.quality_when_new
            )
    for status in ("final", "provisional"):
        for index in payload[status]:
            window = windows[index]
            quality = payload["quality"].get(str(index))
            windows[index] = replace(
                window,
                status=status,
                commit=commit.number,
                since=window.since if window.status == status else when,
                layout_attempt=payload["attempt"],
                strength=payload.get("strengths", {}).get(str(index)),
                clusters=payload.get("clusters", {}).get(str(index), window.clusters),
                moved=payload["moved"].get(str(index)),
                quality=quality,
                quality_when_new=quality if window.since is None else window.quality_when_new,
            )
    growth.n_ingests += 1
    growth.last_ingest = when


def _apply_pruned(windows: list[WindowState], growth: Growth, payload: Mapping[str, Any]) -> None:
    for number in payload["generations"]:
        growth.older.pop(number, None)
    for pruned, name in (("graph", "graphs"), ("map", "maps")):
        for index in payload[name]:
            replace_shared(windows, growth, index, partial(replace, pruned=pruned))


def replace_shared(
    windows: list[WindowState], growth: Growth, index: int, change: Callable[[WindowState], WindowState]
) -> None:
    """Change a window whose graph is another now, or gone; earlier generations that share the graph change with it.

    Parameters
    ----------
    windows, growth
        Of the state that the log has so far.
    index
        Of the window.
    change
        Gives the window as it is from there on.
    """
    attempt = windows[index].graph_attempt
    for generation in (windows, *growth.older.values()):
        if index < len(generation) and generation[index].graph_attempt == attempt:
            generation[index] = change(generation[index])


def replace_graph(window: WindowState, receipt: Mapping[str, Any]) -> WindowState:
    """Note the graph that a receipt names."""
    return replace(
        window,
        status="graph",
        graph_attempt=receipt["attempt"],
        n_edges=receipt["n_edges"],
        has_ids=receipt["has_ids"],
        label_columns=tuple(receipt["label_columns"]),
        seconds=receipt["seconds"],
        bytes=receipt["bytes"],
        rows_digest=receipt.get("rows_digest"),
        has_mid_near=receipt.get("has_mid_near", False),
        traits=receipt.get("traits"),
    )
