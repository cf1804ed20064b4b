"""Windows of a large store as the page draws them: densities of all rows, and a sample of the same ids in each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.clusters import MAX_NAMED
from driftmap.pipeline.look.live.numbering import ColumnCodes, EntityNumbers
from driftmap.pipeline.look.page_codec import StreamWriter
from driftmap.pipeline.look.page_data import DENSITY_CELLS, Frame, as_plane, is_placed
from driftmap.pipeline.look.run_codes import as_text, list_laid_out, list_shown, name_label
from driftmap.pipeline.store.row_reader import RowReader

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.windows import WindowState

SAMPLE_ROWS = 100_000
"""Rows of a window, about, that are drawn of it unless one zooms in."""
ALL_SAMPLE_ROWS = 2_000_000
"""Of all windows together: what the page and the server hold."""
STEPS = 8191
"""Steps from the middle of the frame to its edge, to which positions are rounded."""
MARGIN = 1.25
"""Half of the frame, over half of the extent of the window that is read first: later ones may reach farther."""
CLUSTER, NO_CLUSTER = "cluster", "no cluster"

Array = npt.NDArray[Any]
_MARKS = 2.0**64


class Sample(NamedTuple):
    """The rows of one window that are drawn, sorted by entity."""

    state: WindowState
    rows: npt.NDArray[np.int64]
    """Numbers in the window."""
    entities: npt.NDArray[np.int64]
    names: list[str]
    places: npt.NDArray[np.int32]
    """Positions in steps of the frame, (n, 2)."""
    codes: list[npt.NDArray[np.int64]]
    """Of each column."""
    turnover: Array | None
    density: npt.NDArray[np.int64]
    """Rows in each cell of the frame, of all rows that have a place."""


class LiveWindows:
    """Reads windows of a store one at a time, and keeps their samples.

    Parameters
    ----------
    store
        An opened store with at least one map.
    sample_rows
        Rows that are drawn of the largest window, about.
    """

    def __init__(self, store: Store, sample_rows: int = SAMPLE_ROWS) -> None:
        self._store, self._lock = store, threading.Lock()
        self._samples: dict[int, Sample] = {}
        self._entities = EntityNumbers()
        self._columns: list[ColumnCodes] = []
        self.frame: Frame | None = None
        """Of all windows, by the one that was read first."""
        facts = list_laid_out(store)
        most, total = max(fact.n_rows for fact in facts), sum(fact.n_rows for fact in facts)
        self.share = min(1.0, sample_rows / max(1, most), ALL_SAMPLE_ROWS / max(1, total))
        """Of the ids; it stays when windows come."""
        common = set.intersection(*(set(fact.label_columns) for fact in facts)) - set(list_shown(store))
        self.label_columns = [name for name in facts[0].label_columns if name in common]
        self.has_clusters = all(fact.clusters is not None for fact in facts)

    @property
    def columns(self) -> list[ColumnCodes]:
        """What colours rows; empty before a window was read."""
        return self._columns

    def find(self, index: int) -> WindowState:
        """Give what the log says of a window that has a map."""
        found = [fact for fact in list_laid_out(self._store) if fact.index == index]
        if not found:
            raise LookupError(f"there is no window {index} with a map")
        return found[0]

    def open(self, index: int) -> RowReader:
        """Open a window's rows for reading."""
        return RowReader(self._store, self.find(index))

    def read(self, index: int) -> Sample:
        """Give a window's sample; it is read once for each map that the window had."""
        state = self.find(index)
        with self._lock:  # one at a time: memory is that of a few chunks
            known = self._samples.get(index)
            if known is None or known.state.layout_attempt != state.layout_attempt:
                known = self._samples[index] = self._read(state)
            return known

    def encode(self, index: int) -> bytes:
        """Write a window's sample as `decode.js` reads it."""
        sample, writer = self.read(index), StreamWriter()
        header = {
            "map": sample.state.layout_attempt,
            "entities": writer.add(np.diff(sample.entities, prepend=-1)),
            "names": sample.names,
            "x": writer.add(sample.places[:, 0]),
            "y": writer.add(sample.places[:, 1]),
            "columns": [writer.add(codes) for codes in sample.codes],
            "described": [column.describe() for column in self._columns],
            "turnover": None if sample.turnover is None else writer.add(sample.turnover),
            "density": writer.add(sample.density),
            **self._describe_frame(),
        }
        return writer.pack(header)

    def to_steps(self, positions: Array) -> npt.NDArray[np.int32]:
        """Round positions to steps of the frame, (n, 2); those without a place are far outside."""
        frame = self.frame or Frame(np.zeros(2), 1.0, 1.0)
        plane = (as_plane(positions) - frame.centre) * (STEPS / frame.half)
        return np.rint(np.clip(np.nan_to_num(plane, nan=NOWHERE), -NOWHERE, NOWHERE)).astype(np.int32)

    def _describe_frame(self) -> dict[str, Any]:
        frame = self.frame or Frame(np.zeros(2), 1.0, 1.0)
        return {
            "frame": [*frame.centre.tolist(), frame.half / STEPS],
            "steps": STEPS,
            "spread": frame.spread / frame.half * STEPS,
        }

    def _read(self, state: WindowState) -> Sample:
        reader = RowReader(self._store, state)
        rows, marks = self._choose(reader)
        positions = reader.take_positions(rows)
        if self.frame is None:
            self.frame = _measure_frame(as_plane(positions))
        density = self._count(reader)
        has_place = is_placed(as_plane(positions))
        rows, marks, positions = rows[has_place], marks[has_place], positions[has_place]
        values = {name: reader.take_labels(name, rows) for name in self.label_columns}
        if self.has_clusters and (clusters := reader.take_clusters(rows)) is not None:
            values[f"found {CLUSTER}" if CLUSTER in values else CLUSTER] = _name_clusters(clusters)
        if not self._columns:
            limits = [(None, "")] * len(self.label_columns) + [(MAX_NAMED, NO_CLUSTER)]
            self._columns = [ColumnCodes(*one, *limit) for one, limit in zip(values.items(), limits, strict=False)]
        codes = [column.encode(own) for column, own in zip(self._columns, values.values(), strict=True)]
        turnover, ids = reader.take_turnover_codes(rows), reader.take_ids(rows).tolist()
        entities = self._entities.number(marks)
        order = np.argsort(entities, kind="stable")
        return Sample(
            state,
            rows[order],
            entities[order],
            [name_label(as_text(ids[row])) for row in order.tolist()],
            self.to_steps(positions[order]),
            [own[order] for own in codes],
            None if turnover is None else turnover[order].astype(np.int64),
            density,
        )

    def _choose(self, reader: RowReader) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        """Choose the rows whose ids are of the sample, and give their marks."""
        start, rows, chosen = 0, [], []
        most = np.uint64(min(self.share * _MARKS, _MARKS - 2**12))
        for marks in reader.list_marks():
            here = np.flatnonzero(marks <= most) if self.share < 1 else np.arange(len(marks))
            rows.append(here + start)
            chosen.append(marks[here])
            start += len(marks)
        return np.concatenate(rows), np.concatenate(chosen)

    def _count(self, reader: RowReader) -> npt.NDArray[np.int64]:
        counts = np.zeros(DENSITY_CELLS**2, dtype=np.int64)
        for positions in reader.list_positions():
            for start in range(0, len(positions), _ROWS_COUNTED):
                steps = self.to_steps(positions[start : start + _ROWS_COUNTED])
                inside = steps[(np.abs(steps) < NOWHERE).all(axis=1)]
                cells = np.clip((inside + STEPS) * DENSITY_CELLS // (2 * STEPS), 0, DENSITY_CELLS - 1)
                counts += np.bincount(cells[:, 1] * DENSITY_CELLS + cells[:, 0], minlength=len(counts))
        return counts


NOWHERE = 32_000
"""Step at which rows without a place lie, and those that are farther away than a picture shows."""
_ROWS_COUNTED = 2**18


def _measure_frame(plane: npt.NDArray[np.float64]) -> Frame:
    """Measure the frame of all windows by a sample of one."""
    placed = plane[is_placed(plane)]
    if not len(placed):
        return Frame(np.zeros(2), 1.0, 1.0)
    low, high = placed.min(axis=0), placed.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12) * MARGIN
    return Frame((low + high) / 2, half, float(np.sqrt(placed.var(axis=0).mean())) or 1.0)


def _name_clusters(clusters: Array) -> Array:
    names: Array = np.array([NO_CLUSTER, *(f"cluster {k}" for k in range(int(clusters.max(initial=-1)) + 1))])
    return np.asarray(names[clusters + 1])
