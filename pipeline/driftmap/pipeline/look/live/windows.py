"""Windows of a large store as the page draws them: densities of all rows, and a sample of the same ids in each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.look.clusters import MAX_NAMED
from driftmap.pipeline.look.live.frame import describe_frame, to_steps
from driftmap.pipeline.look.live.numbering import ColumnCodes, EntityNumbers
from driftmap.pipeline.look.live.positions import HeldPositions, measure_first, place_rows
from driftmap.pipeline.look.page_codec import StreamWriter
from driftmap.pipeline.look.page_data import Frame, as_plane, is_placed
from driftmap.pipeline.look.run_codes import as_text, list_laid_out, list_shown, name_label
from driftmap.pipeline.store.row_reader import RowReader

if TYPE_CHECKING:
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.row_reader import ChosenIds

SAMPLE_ROWS = 100_000
"""Rows of a window, about, that are drawn of it unless one zooms in."""
LEAST_ROWS = 200
"""Of a window, however small it is beside the largest."""
ALL_SAMPLE_ROWS = 2_000_000
"""Of all windows together: what the page and the server hold."""
CLUSTER, NO_CLUSTER = "cluster", "no cluster"

Array = npt.NDArray[Any]
_MARKS = 2**64


class Sample(NamedTuple):
    """The rows of one window that are drawn, sorted by entity."""

    state: WindowState
    rows: npt.NDArray[np.int64]
    """Numbers in the window."""
    entities: npt.NDArray[np.int64]
    names: list[str]
    places: npt.NDArray[np.int32]
    """Positions in steps of the frame, (n, 2)."""
    codes: list[npt.NDArray[np.int32]]
    """Of each column."""
    clusters: npt.NDArray[np.int32] | None
    turnover: npt.NDArray[np.uint8] | None
    """As `turnover_codes` makes it."""
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
        self._store = store
        self.lock = threading.RLock()
        """Held while something large is read: one at a time, so that memory is that of a few chunks."""
        self.positions = HeldPositions()
        self._samples: dict[int, Sample] = {}
        self._entities = EntityNumbers()
        self._columns: list[ColumnCodes] = []
        self._frame: Frame | None = None
        facts = list_laid_out(store)
        most, total = max(fact.n_rows for fact in facts), sum(fact.n_rows for fact in facts)
        self._least_rows = min(LEAST_ROWS, 1 + sample_rows // 4)
        self.share = min(1.0, sample_rows / max(1, most), ALL_SAMPLE_ROWS / max(1, total))
        """Of the ids; it stays when windows come."""
        common = set.intersection(*(set(fact.label_columns) for fact in facts)) - set(list_shown(store))
        self.label_columns = [name for name in facts[0].label_columns if name in common]
        self.has_clusters = all(fact.clusters is not None for fact in facts)

    @property
    def frame(self) -> Frame:
        """Of all windows, by the one that was read first."""
        return self._frame or Frame(np.zeros(2), 1.0, 1.0)

    @property
    def columns(self) -> list[ColumnCodes]:
        """What colours rows; empty before a window was read."""
        return self._columns

    @property
    def n_entities(self) -> int:
        """Ids that were seen so far."""
        return len(self._entities)

    def find_cluster(self, name: str) -> int | None:
        """Give the code of a cluster; None where it has none of its own."""
        values = self._columns[-1].values if self.has_clusters else []
        return values.index(name) if name in values else None

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
        with self.lock:
            known = self._samples.get(index)
            if known is None or known.state.layout_attempt != state.layout_attempt:
                known = self._samples[index] = self._read(state)
                release_memory()
            return known

    def take_column(self, reader: RowReader, c: int, rows: Array) -> Array:
        """Read a column at rows, ascending: the clusters come after the labels; what a window has not is empty."""
        if c < len(self.label_columns):
            name = self.label_columns[c]
            return reader.take_labels(name, rows) if name in reader.columns else np.full(len(rows), "")
        return _name_clusters(reader.take_clusters(rows), len(rows))

    def encode(self, index: int) -> bytes:
        """Write a window's sample as `decode.js` reads it."""
        sample, writer = self.read(index), StreamWriter()
        header = {
            "map": sample.state.layout_attempt,
            "entities": writer.add(np.diff(sample.entities, prepend=-1)),
            "names": sample.names,
            "rows": writer.add(sample.rows),
            "x": writer.add(sample.places[:, 0]),
            "y": writer.add(sample.places[:, 1]),
            "columns": [writer.add(codes) for codes in sample.codes],
            "described": [column.describe() for column in self._columns],
            "turnover": None if sample.turnover is None else writer.add(sample.turnover),
            "density": writer.add(sample.density),
            **describe_frame(self.frame),
        }
        return writer.pack(header)

    def describe_row(self, index: int, row: int) -> dict[str, Any]:
        """Give one row of a window as the sample has rows, with a number of its own."""
        reader, at = self.open(index), np.array([row])
        self.read(index)
        mark = reader.take_marks(at)
        with self.lock:
            entity = int(self._entities.number(mark)[0])
            codes = [int(c.encode(self.take_column(reader, k, at))[0]) for k, c in enumerate(self._columns)]
        positions = reader.take_positions(at)
        turnover = reader.take_turnover_codes(at)
        return {
            "row": row if is_placed(as_plane(positions))[0] else None,
            "entity": entity,
            "name": name_label(as_text(reader.take_ids(at).tolist()[0])),
            "place": to_steps(self.frame, positions)[0].tolist(),
            "codes": codes,
            "turnover": None if turnover is None else int(turnover[0]),
            "described": [column.describe() for column in self._columns],
        }

    def _read(self, state: WindowState) -> Sample:
        reader = RowReader(self._store, state)
        chosen = self._choose(reader)
        positions, density = self._place(reader, state, chosen.rows)
        has_place = is_placed(as_plane(positions))
        rows, marks, ids = chosen.rows[has_place], chosen.marks[has_place], chosen.ids[has_place]
        positions, clusters = positions[has_place], reader.take_clusters(rows)
        values = [self.take_column(reader, c, rows) for c in range(len(self.label_columns))]
        if self.has_clusters:
            values.append(_name_clusters(clusters, len(rows)))
        if not self._columns:
            self._columns = [ColumnCodes(name, own) for name, own in zip(self.label_columns, values, strict=False)]
            if self.has_clusters:
                name = f"found {CLUSTER}" if CLUSTER in self.label_columns else CLUSTER
                self._columns.append(ColumnCodes(name, values[-1], MAX_NAMED, NO_CLUSTER))
        codes = [column.encode(own) for column, own in zip(self._columns, values, strict=True)]
        turnover = reader.take_turnover_codes(rows)
        entities = self._entities.number(marks)
        order = np.argsort(entities, kind="stable")
        return Sample(
            state,
            rows[order],
            entities[order],
            self._entities.name(entities[order], ids[order]),
            to_steps(self.frame, positions[order]),
            [own[order].astype(np.int32) for own in codes],
            None if clusters is None else clusters[order].astype(np.int32),
            None if turnover is None else turnover[order],
            density,
        )

    def _place(self, reader: RowReader, state: WindowState, rows: Array) -> tuple[Array, npt.NDArray[np.int64]]:
        """Read the positions of rows, ascending, and the density of all; the first window read makes the frame."""
        name = state.index, state.layout_attempt
        if self._frame is not None:
            return place_rows(self._frame, reader.list_positions(), rows)
        self._frame = measure_first(self.positions.list(reader, name), rows)
        return place_rows(self._frame, self.positions.list(reader, name), rows)

    def _choose(self, reader: RowReader) -> ChosenIds:
        """Choose the rows whose ids are of the sample; of a small window those of least marks."""
        limit = int(self.share * _MARKS)
        if limit < _MARKS and reader.n_rows * self.share < 2 * self._least_rows:
            everyone = np.sort(np.concatenate(list(reader.list_marks())))
            limit = max(limit, int(everyone[: self._least_rows][-1])) if len(everyone) else limit
        return reader.choose_ids(min(limit, _MARKS - 1))


def _name_clusters(clusters: Array | None, n_rows: int) -> Array:
    if clusters is None:
        return np.full(n_rows, NO_CLUSTER)
    names: Array = np.array([NO_CLUSTER, *(f"cluster {k}" for k in range(int(clusters.max(initial=-1)) + 1))])
    return np.asarray(names[clusters + 1])
