"""Watching a store that grows: what its last ingest left, and how its newest window compares."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.pipeline.config.run_config import RunConfig
from driftmap.pipeline.config.times.time_spans import MICROSECONDS
from driftmap.pipeline.config.times.time_zones import to_utc
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.ingestion.parts.altered import list_altered
from driftmap.pipeline.ingestion.parts.late import count_pending, list_late
from driftmap.pipeline.ingestion.slots import Slots, make_slots
from driftmap.pipeline.ingestion.watch.alarms import MEASURES
from driftmap.pipeline.ingestion.watch.outcome import read_outcome
from driftmap.pipeline.planning.cuts import LEAST_ROWS
from driftmap.pipeline.store.log.growth import BEFORE

if TYPE_CHECKING:
    from driftmap.pipeline.store.log_view import LogView

N_HISTORY = 64
"""Windows before the newest that it is compared with."""

MIN_HISTORY = 8
"""With fewer, no z-score is given: their spread says little."""


def describe_growth(store: LogView, now: datetime | None = None) -> dict[str, Any]:
    """Say how a store grows: facts of its log, and how the newest window compares with those before it.

    Parameters
    ----------
    store
        An opened store.
    now
        For ages; the clock when left out.

    Returns
    -------
    JSON: `last_ingest` (UTC), `seconds_since_ingest`, `outcome` of the last attempt (see `IngestOutcome`),
    `newest_row`, `lag_seconds` from the end of the newest window to the newest row seen, `behind_seconds` from that of
    the next one, which is missing though it is over (0 before its end), `rows_pending`, `rows_late`,
    `late`, `skipped` and `empty` by window, `altered` (final windows whose rows changed in the source), `provisional`
    with how far each moved at the last ingest, `generation`,
    and `quality` of the newest window with its z-scores; None where something is not known.
    """
    growth, windows = store.growth, store.state()
    slots = _find_slots(store)
    late, n_pending, altered = ({}, 0, []) if slots is None else _count_rows(store, slots)
    last = None if growth.last_ingest is None else datetime.fromisoformat(growth.last_ingest)
    moment = now or datetime.now(UTC)
    zone = store.config.get("windows", {}).get("timezone")
    outcome = read_outcome(store.location)
    skipped = {one.label: one.reason for one in growth.skipped.values() if one.n_rows >= LEAST_ROWS}
    empty = [one.label for one in growth.skipped.values() if one.n_rows < LEAST_ROWS]
    return {
        "generation": store.generation,
        "n_ingested": growth.n_ingests,
        "last_ingest": growth.last_ingest,
        "seconds_since_ingest": None if last is None else round((moment - last).total_seconds(), 3),
        "outcome": None if outcome is None else asdict(outcome),
        "newest_row": growth.newest,
        "lag_seconds": _measure_lag(growth.newest, windows[-1].end if windows else None, zone),
        "behind_seconds": _measure_lag(growth.newest, _find_next_end(store, slots), zone),
        "rows_pending": n_pending,
        "rows_late": sum(late.values()),
        "late": late,
        "windows_altered": len(altered),
        "altered": altered,
        "windows_skipped": len(skipped),
        "skipped": skipped,
        "windows_empty": len(empty),
        "empty": empty,
        "windows_provisional": sum(window.status == "provisional" for window in windows),
        "provisional": {window.label: window.moved for window in windows if window.status == "provisional"},
        "quality": compare_newest(store),
    }


def compare_newest(store: LogView) -> dict[str, Any]:
    """Compare the newest ingested window with those before it, each as it was measured when it was the newest.

    Returns
    -------
    `window`; `neighbours`, `related` and `drift` (see `layout.figures.MapFigures`), and for each the same name with
    `_z`: how many standard deviations it is from the mean of the windows before; None with too few of them.
    """
    measured = [window for window in store.state() if window.quality_when_new]
    if not measured:
        return {}
    newest, history = measured[-1], measured[-1 - N_HISTORY : -1]
    figures: dict[str, Any] = {"window": newest.label}
    for name in MEASURES:
        value = (newest.quality_when_new or {}).get(name)
        before = [w.quality_when_new[name] for w in history if w.quality_when_new and name in w.quality_when_new]
        figures[name] = value
        figures[f"{name}_z"] = _score(value, before)
    return figures


def _find_slots(store: LogView) -> Slots | None:
    try:
        return make_slots(RunConfig.from_json(store.config), store.growth.origin)
    except PlanError:  # windows of so many rows each: they are not ingested
        return None


def _find_next_end(store: LogView, slots: Slots | None) -> str | None:
    """Give the end of the window that comes next, in local time; None where windows are no spans of time."""
    windows = store.state()
    if slots is None or not windows or windows[-1].end is None:
        return None
    taken = [slots.find(windows[-1].label, windows[-1].start), *store.growth.skipped]
    return slots.describe(str(1 + max(int(slot) for slot in taken if slot != BEFORE))).end


def _count_rows(store: LogView, slots: Slots) -> tuple[dict[str, int], int, list[str]]:
    late = {late.label: late.n_rows for late in list_late(store, slots)}
    return late, count_pending(store, slots), list_altered(store, slots)


def _measure_lag(newest: str | None, end: str | None, zone: str | None) -> float | None:
    if newest is None or end is None:
        return None
    lag = np.datetime64(newest, "us") - to_utc(np.array([end], MICROSECONDS), zone)[0]
    return max(0.0, float(lag / np.timedelta64(1, "s")))


def _score(value: float | None, before: list[float]) -> float | None:
    if value is None or len(before) < MIN_HISTORY:
        return None
    spread = float(np.std(before, ddof=1))
    return round((value - float(np.mean(before))) / max(spread, 1e-6), 3)
