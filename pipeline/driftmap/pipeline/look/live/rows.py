"""What the page of a large store asks of single rows: those in a rectangle, facts of one, and where an id is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.live.frame import NOWHERE, STEPS, to_steps
from driftmap.pipeline.look.page_codec import StreamWriter
from driftmap.pipeline.look.row_pictures import PictureReader
from driftmap.pipeline.look.run_codes import as_text, list_laid_out, list_shown, name_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.pipeline.look.live.windows import LiveWindows
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.row_reader import RowReader

TILE_ROWS = 150_000
"""Rows of a rectangle that are drawn, at most; of more, a share that stays where one moves it."""
FINENESS = 16
"""Parts of a step to which positions in a rectangle are rounded."""
N_FOUND = 12

Array = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]
_ROWS_AT_ONCE = 2**19
_SPREADER = np.uint32(2_654_435_761)


class LiveRows:
    """Answers about rows that are not in the sample.

    Parameters
    ----------
    store
        An opened store.
    windows
        Its windows as they are drawn.
    tile_rows
        Rows of a rectangle that are drawn at most.
    """

    def __init__(self, store: Store, windows: LiveWindows, tile_rows: int = TILE_ROWS) -> None:
        self._store, self._windows, self._tile_rows = store, windows, tile_rows
        self._lock = threading.Lock()
        self.shown = list_shown(store)

    def encode_tile(self, index: int, box: Sequence[float], c: int) -> bytes:
        """Write the rows in a rectangle that the sample lacks: places in parts of a step, and codes of a column.

        Parameters
        ----------
        index
            Of the window.
        box
            Least and most x, least and most y, in steps.
        c
            Number of the column; -1: none, -2: turnover.
        """
        with self._lock:
            sample, reader = self._windows.read(index), self._windows.open(index)
            rows, positions, n_inside = self._find_inside(reader, index, box)
            is_new = np.isin(rows, sample.rows, assume_unique=True, invert=True)
            rows, positions = rows[is_new], positions[is_new]
            places, codes = to_steps(self._windows.frame, positions, FINENESS), self._code(reader, c, rows)
        writer = StreamWriter()
        header = {
            "n_inside": n_inside,
            "is_whole": n_inside <= self._tile_rows,
            "fineness": FINENESS,
            "rows": writer.add(rows),
            "x": writer.add(places[:, 0]),
            "y": writer.add(places[:, 1]),
            "codes": None if codes is None else writer.add(codes),
            "described": [column.describe() for column in self._windows.columns],
        }
        return writer.pack(header)

    def describe_row(self, index: int, row: int) -> dict[str, Any]:
        """Tell id, labels and shown columns of a row, with the pictures that these name."""
        reader = self._windows.open(index)
        at = np.array([self._check(reader, row)])
        labels = [self._windows.take_column(reader, c, at) for c in range(len(self._windows.columns))]
        shown = [(name, _show(reader.take_labels(name, at))) for name in self.shown if name in reader.columns]
        pictures = PictureReader(self._store)
        return {
            "name": name_label(as_text(reader.take_ids(at).tolist()[0])),
            "labels": [[c.name, _show(own)] for c, own in zip(self._windows.columns, labels, strict=True)],
            "details": [[name, text, pictures.read([text])[0]] for name, text in shown],
        }

    def find(self, text: str, first: int) -> dict[str, Any]:
        """Find ids that begin with a text, or are a number; in a window first, then in the others, newest first."""
        found: dict[str, list[int]] = {}
        order = [fact.index for fact in reversed(list_laid_out(self._store))]
        for index in sorted(order, key=lambda other: other != first):
            reader = self._windows.open(index)
            rows = reader.find_ids(text, N_FOUND)
            names = reader.take_ids(rows).tolist() if len(rows) else []
            for name, row in zip(names, rows.tolist(), strict=True):
                found.setdefault(name_label(as_text(name)), [index, row])
            if len(found) >= N_FOUND:
                break
        return {"found": [[name, *where] for name, where in list(found.items())[:N_FOUND]]}

    def follow(self, index: int, origin: int, row: int) -> dict[str, Any]:
        """Give the row of a window that has the id of a row of another one, as the sample has rows; none: not there."""
        other = self._windows.open(origin)
        self._check(other, row)
        reader = self._windows.open(index)
        found = row if index == origin else reader.find_same(other, row)
        return {"row": None} if found < 0 else self._windows.describe_row(index, found)

    def _check(self, reader: RowReader, row: int) -> int:
        if not 0 <= row < reader.n_rows:
            raise LookupError(f"there is no row {row}")
        return row

    def _find_inside(self, reader: RowReader, index: int, box: Sequence[float]) -> tuple[Int64Array, Array, int]:
        """Find rows in a rectangle, their positions, and how many there are; of too many a share, by their numbers."""
        frame = self._windows.frame
        x0, x1, y0, y1 = (max(-NOWHERE + 1.0, min(NOWHERE - 1.0, edge)) * frame.half / STEPS for edge in box)
        low, high = np.array([x0, y0]) + frame.centre, np.array([x1, y1]) + frame.centre
        chosen, start = _Share(self._tile_rows), 0
        for part in self._windows.positions.list(reader, (index, self._windows.find(index).layout_attempt)):
            for begin in range(0, len(part), _ROWS_AT_ONCE):
                positions = part[begin : begin + _ROWS_AT_ONCE]
                inside = _choose_inside(positions, low, high)
                chosen.add(inside + (start + begin), positions[inside])
            start += len(part)
        return chosen.close()

    def _code(self, reader: RowReader, c: int, rows: Int64Array) -> Int64Array | None:
        if not len(rows):
            return np.zeros(0, dtype=np.int64)
        if c == TURNOVER:
            turnover = reader.take_turnover_codes(rows)
            return None if turnover is None else turnover.astype(np.int64)
        if not 0 <= c < len(self._windows.columns):
            return None
        return self._windows.columns[c].encode(self._windows.take_column(reader, c, rows))


TURNOVER = -2
"""In place of a column's number."""


class _Share:
    """Collects rows, of too many a share that depends on their numbers alone; holds few more than it gives."""

    def __init__(self, most: int) -> None:
        self._most, self._limit, self._n_seen = most, 1.0, 0
        self._rows: Int64Array = np.zeros(0, dtype=np.int64)
        self._positions: Array = np.zeros((0, 2), dtype=np.float32)

    def add(self, rows: Int64Array, positions: Array) -> None:
        """Take rows that were found, ascending."""
        self._n_seen += len(rows)
        is_kept = _mark(rows) < self._limit
        known = self._positions if len(self._rows) else positions[:0]
        self._rows = np.concatenate([self._rows, rows[is_kept]])
        self._positions = np.concatenate([known, positions[is_kept]])
        while len(self._rows) > 4 * self._most:
            self._keep(self._limit / 2)

    def close(self) -> tuple[Int64Array, Array, int]:
        """Give the rows, their positions, and how many there were of all."""
        if self._n_seen > self._most:
            self._keep(min(self._limit, self._most / self._n_seen))
        return self._rows, self._positions, self._n_seen

    def _keep(self, limit: float) -> None:
        self._limit = limit
        is_kept = _mark(self._rows) < limit
        self._rows, self._positions = self._rows[is_kept], self._positions[is_kept]


def _mark(rows: Int64Array) -> npt.NDArray[np.float64]:
    """Give numbers of rows a place in [0, 1) that looks random."""
    return np.asarray((rows.astype(np.uint32) * _SPREADER) / 2.0**32)


def _choose_inside(positions: Array, low: Array, high: Array) -> Int64Array:
    """Choose rows by their first component, then of these by their second."""
    inside = np.flatnonzero((positions[:, 0] >= low[0]) & (positions[:, 0] <= high[0]))
    if positions.shape[1] < 2:
        return inside if low[1] <= 0 <= high[1] else inside[:0]
    second = positions[inside, 1]
    return np.asarray(inside[(second >= low[1]) & (second <= high[1])], dtype=np.int64)


def _show(values: Array) -> str:
    return as_text(values.tolist()[0])
