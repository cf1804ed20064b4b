"""A source that grows, for tests of ingestion: rows that come day by day, of entities that change slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.pipeline import ingest, run
from driftmap.pipeline.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.ingestion.options import IngestReport

N_ROWS = 40
START = np.datetime64("2024-01-01", "us")
OPTIONS: dict[str, Any] = {
    "time": "when", "id": "who", "label": "kind", "window": "2D", "stride": "1D", "n_neighbors": 5, "n_epochs": 8,
    "lookahead": 2, "alignment_window_size": 3, "block_windows": 3,
}  # fmt: skip


def make_day(day: int, n_rows: int = N_ROWS, first: int | None = None, seed: int = 0) -> pa.Table:
    """Rows of one day: entities come again every fourth day, and those of one remainder by 5 are near each other."""
    rng = np.random.default_rng([seed, 1000 + day])
    numbers = np.arange(n_rows) + (day % 4 * n_rows if first is None else first)
    centres = np.random.default_rng(99).normal(size=(5, 6)) * 4
    vectors = (centres[numbers % 5] + rng.normal(size=(n_rows, 6))).astype(np.float32)
    minutes = np.sort(rng.integers(0, 24 * 60, n_rows))
    minutes[-1] = 24 * 60 - 1
    return pa.table(
        {
            "when": pa.array(START + np.timedelta64(day, "D") + minutes.astype("timedelta64[m]")),
            "who": pa.array([f"e{number:06}" for number in numbers]),
            "kind": pa.array([f"k{number % 5}" for number in numbers]),
            "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6),
        }
    )


def write_days(folder: Path, days: range, **kinds: Any) -> None:
    """Write one file for each day."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        pq.write_table(make_day(day, **kinds), folder / f"day-{day:03}.parquet")


def make_store(folder: Path, path: Path, n_days: int = 6, **options: Any) -> Store:
    """Run over the first days, the last window whole."""
    write_days(folder, range(n_days))
    store = run(folder, path, scheduler="serial", **{**OPTIONS, **options})
    return Store.open(store.path)


def take_in(place: Path, **options: Any) -> IngestReport:
    """Ingest the days of a folder into the store beside them."""
    return ingest(place / "store", source=place / "days", scheduler="serial", **options)


def read_maps(store: Store) -> dict[str, bytes]:
    """Read the bytes of every map by label."""
    return {window.label: store.positions(window.index).tobytes() for window in store.state()}
