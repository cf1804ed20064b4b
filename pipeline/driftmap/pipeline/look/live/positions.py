"""Positions of the windows looked at last, held so that they are unpacked once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.look.live.frame import count_cells, measure_live_frame
from driftmap.pipeline.look.page_data import as_plane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from driftmap.pipeline.look.page_data import Frame
    from driftmap.pipeline.store.row_reader import RowReader

HELD_BYTES = 250 * 2**20
"""Positions that are held, of the windows looked at last; a window that takes more is read each time."""

Array = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]
MapName = tuple[int, str | None]
"""Window, and attempt at its layout."""


class HeldPositions:
    """Gives the positions of windows chunk by chunk."""

    def __init__(self) -> None:
        self._held: OrderedDict[MapName, list[Array]] = OrderedDict()
        self._lock = threading.Lock()

    def list(self, reader: RowReader, name: MapName) -> Iterable[Array]:
        """Give the positions of all rows of a window, and hold them where they fit."""
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
            elif reader.n_rows * 8 > HELD_BYTES:
                return reader.list_positions()
            else:
                self._held[name] = [*reader.list_positions()]
            parts = self._held[name]
            while (
                sum(part.nbytes for held in self._held.values() for part in held) > HELD_BYTES and len(self._held) > 1
            ):
                self._held.popitem(last=False)
            return parts


def measure_first(parts: Iterable[Array], rows: Int64Array) -> Frame:
    """Measure the frame of all windows by some rows of one, ascending."""
    taken = _Taken(rows)
    for _ in taken.watch(parts):
        pass
    return measure_live_frame(as_plane(taken.join()))


def place_rows(frame: Frame, parts: Iterable[Array], rows: Int64Array) -> tuple[Array, Int64Array]:
    """Give the positions of some rows, ascending, and the rows of all in each cell of the frame: in one pass."""
    taken = _Taken(rows)
    density = count_cells(frame, taken.watch(parts))
    return taken.join(), density


class _Taken:
    """Takes the positions of some rows as chunks pass."""

    def __init__(self, rows: Int64Array) -> None:
        self._rows = rows
        self._taken: list[Array] = []

    def watch(self, parts: Iterable[Array]) -> Iterator[Array]:
        """Give the chunks on."""
        start = 0
        for part in parts:
            first, end = np.searchsorted(self._rows, [start, start + len(part)])
            self._taken.append(part[self._rows[first:end] - start])
            start += len(part)
            yield part

    def join(self) -> Array:
        """Give what was taken."""
        return np.concatenate(self._taken) if self._taken else np.zeros((0, 2), dtype=np.float32)
