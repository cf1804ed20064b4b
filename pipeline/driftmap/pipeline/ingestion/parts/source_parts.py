"""The parts of a source that grows: files, ranges of a Zarr array's rows, batches of arrays.

What is known of a part is kept in the store's log, so that an ingest opens only what is new or may hold rows that it
needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.pipeline.config.times.time_spans import MICROSECONDS
from driftmap.pipeline.config.times.time_zones import to_utc
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.graphs.bad_rows import drop_bad_rows
from driftmap.pipeline.planning.cuts import encode_keys
from driftmap.pipeline.planning.shared_ids import choose_over_parts
from driftmap.pipeline.sources import open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.readers.python.array_files import MANIFEST, find_own, list_batches, refer_to_batch
from driftmap.pipeline.sources.readers.tables.listing import list_files
from driftmap.pipeline.sources.row_ranges import rows_to_runs
from driftmap.pipeline.sources.rows.pieces import Piece, join_ids, name_kind
from driftmap.pipeline.store.create import SOURCE_FOLDER
from driftmap.pipeline.store.log.growth import INBOX_FOLDER, SourcePart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SchemaChange, SourceSpec
    from driftmap.pipeline.executors.choice import Workplace
    from driftmap.pipeline.ingestion.slots import Slots
    from driftmap.pipeline.store.disk.location import Location

MAX_REMEMBERED_ROWS = 5_000_000
"""Rows whose times and ids are held from one window to the next."""

_FILE_ENDS = {"parquet": b"PAR1", "arrow": b"ARROW1"}
"""Last bytes of a whole file; text and Arrow's streams may end anywhere."""


class PartError(SourceError):
    """Rows of one part cannot be used.

    Parameters
    ----------
    message
        What is wrong with them.
    part
        Name of the part.
    """

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message)
        self.part = part

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.part)


class PartRef(NamedTuple):
    """One part of a source, as it is there now."""

    name: str
    stamp: tuple[int, ...]
    spec: SourceSpec
    rows: tuple[int, int] | None = None
    """The range of the source's rows that it is; None: all of them."""
    schema: int = 0
    """Which schema it has, as `WindowState.schema` counts them."""


class Selection(NamedTuple):
    """The rows of a slot that count, by the rules of the source (`on_bad_rows`, `duplicates`)."""

    pieces: list[Piece]
    ids: np.ndarray[Any, Any]
    """Of the rows of all pieces, one after the other; numbers of rows where the source has no ids."""
    owners: Int64Array
    """For each row, the number of its piece."""
    n_dropped: int = 0
    """Rows that were dropped."""
    n_repeated: int = 0
    """Rows of an id that another row stands for; they are in the pieces where the mean of all does."""


class Feed:
    """A source that grows.

    Parameters
    ----------
    spec
        Where it is.
    slots
        How its rows become windows.
    store
        Where the store lies; rows that were given from Python lie there too, when it is a folder.
    find_place
        Gives where bad rows are looked for, if there are many rows; None: in this process.
    schemas
        That were taken in beside the one of `spec`.
    """

    def __init__(
        self,
        spec: SourceSpec,
        slots: Slots,
        store: Location,
        find_place: Callable[[], Workplace] | None = None,
        schemas: Sequence[SchemaChange] = (),
    ) -> None:
        self.spec = spec
        self.schemas = list(schemas)
        self._find_place = find_place
        self.unfinished: list[str] = []
        """Arrays that were being written when they were last looked at."""
        self._slots = slots
        self._read: dict[tuple[str, tuple[int, ...]], dict[str, np.ndarray[Any, Any]]] = {}
        self._folder = store.folder if store.is_local else None

    def list_parts(self, known: Mapping[str, SourcePart]) -> dict[str, PartRef]:
        """List what is there, by name, in the order in which rows come first or last where no times say so.

        Files come by their names, rows of an array by their numbers, what ingests were given behind them as it came.

        Parameters
        ----------
        known
            Parts that were seen before; of a Zarr array, the rows after them are a new part.

        Raises
        ------
        SourceError
            When the source is gone, or an array has become shorter.
        """
        self.unfinished = []
        if self.spec.is_files:
            parts = self._list_files()
        elif self.spec.format in ("zarr", "anndata"):
            parts = self._list_ranges(known)
        else:
            parts = self._list_arrays()
        for place, part in enumerate(parts):
            if part.name in known and known[part.name].stamp == part.stamp:
                parts[place] = self.refer(part, known[part.name].schema)
        return {part.name: part for part in [*parts, *self._list_inbox()]}

    def refer(self, ref: PartRef, schema: int) -> PartRef:
        """Give a part as it is read by one of the schemas."""
        if not schema:
            return ref
        return ref._replace(spec=self.schemas[schema - 1].apply(ref.spec), schema=schema)

    def scan(self, ref: PartRef) -> SourcePart:
        """Read the key column of a part that is new, and count its rows by slot; find the newest schema that it has.

        Raises
        ------
        SourceError
            When it cannot be read, or lacks a column.
        """
        reasons = []
        for schema in range(len(self.schemas) if ref.spec.files or self.spec.is_files else 0, -1, -1):
            try:
                return self._scan(self.refer(ref, schema))
            except SourceError as error:
                reasons.append(error)
        raise reasons[0]

    def scan_as(self, ref: PartRef, change: SchemaChange) -> SourcePart:
        """Look at a part by a schema that is new, and know that one from then on; see `scan`."""
        new = ref._replace(spec=change.apply(ref.spec), schema=len(self.schemas) + 1)
        part = self._scan(new)
        self.schemas.append(change)
        return part

    def _scan(self, ref: PartRef) -> SourcePart:
        keys = self._read_keys(ref, [self._slots.column])[self._slots.column]
        is_time = self.spec.time == self._slots.column and len(keys) > 0
        newest = str(np.datetime64(keys.max(), "us")) if is_time else None
        return SourcePart(ref.stamp, len(keys), self._slots.count(keys), newest, ref.schema)

    def select(self, refs: list[PartRef], slot: str, id_kind: str | None = None) -> Selection:
        """Find the rows of a slot, without those that are dropped or that another row stands for.

        Parameters
        ----------
        refs
            The parts that have some, in order.
        slot
            Which slot.
        id_kind
            What ids must be, as `name_kind` has it; None: anything.

        Raises
        ------
        PartError
            When a part cannot be read any more, or its ids are of another kind.
        """
        has_order = self.spec.time is not None and self.spec.duplicates in ("first", "last")
        wanted = (self._slots.column, self.spec.id, self.spec.time if has_order else None)
        names = list(dict.fromkeys(name for name in wanted if name is not None))
        found: list[_Found] = []
        n_dropped = 0
        for ref in refs:
            with _name_part(ref):
                keys = self._recall_keys(ref, names)
                self._refuse_other_ids(keys, id_kind)
                rows = np.flatnonzero(self._slots.contains(keys[self._slots.column], slot))
                if not len(rows):
                    continue
                first = ref.rows[0] if ref.rows is not None else 0
                numbers = drop_bad_rows(open_source(ref.spec), rows + first, self._find_place)
                n_dropped, rows = n_dropped + len(rows) - len(numbers), numbers - first
                ids = numbers if self.spec.id is None else keys[self.spec.id][rows]
                found.append(_Found(ref, numbers, ids, keys[str(self.spec.time)][rows] if has_order else None))
        return _settle_repeated(found, self.spec, n_dropped)

    def is_half_written(self, ref: PartRef) -> bool:
        """Whether a Parquet or Arrow file lacks its end: whoever writes it is still at it."""
        end = _FILE_ENDS.get(ref.spec.format)
        if end is None:
            return False
        place = SourcePlace(ref.spec.path)
        if not place.is_local:
            return False  # an object is there whole, or not at all
        try:
            with place.folder.joinpath(*ref.spec.files).open("rb") as file:
                begin, n_bytes = file.read(len(end)), file.seek(0, 2)
                if n_bytes < 2 * len(end):
                    return True
                file.seek(-len(end), 2)
                return file.read() != end and (begin == end or ref.spec.format == "parquet")  # else: Arrow's streams
        except OSError:
            return True

    def _refuse_other_ids(self, keys: Mapping[str, np.ndarray[Any, Any]], expected: str | None) -> None:
        name = self.spec.id
        if name is None or expected is None or (kind := name_kind(keys[name])) == expected:
            return
        raise SourceError(f"id column {name!r} holds {kind}, and {expected} in the windows before; convert it")

    def _recall_keys(self, ref: PartRef, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
        """Read key columns, or give those of a part that was read lately: consecutive windows lie in the same parts."""
        known = self._read.pop((ref.name, ref.stamp), None) or self._read_keys(ref, names)
        self._read[ref.name, ref.stamp] = known
        n_rows = sum(len(keys[names[0]]) for keys in self._read.values())
        while n_rows > MAX_REMEMBERED_ROWS and len(self._read) > 1:
            n_rows -= len(self._read.pop(next(iter(self._read)))[names[0]])
        return known

    def _read_keys(self, ref: PartRef, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
        source = open_source(ref.spec)
        runs = None if ref.rows is None else np.array([ref.rows], dtype=np.int64)
        keys = source.key_columns(names, runs)
        if source.window_names is not None and self.spec.by in keys:
            window_names = np.array([name.encode() for name in source.window_names], dtype=np.bytes_)
            keys[self.spec.by] = window_names[keys[self.spec.by].astype(np.int64)]
        return keys

    def _list_files(self) -> list[PartRef]:
        place = SourcePlace(self.spec.path)
        base, stamps = list_files(place, kind=self.spec.format)
        parts = []
        for stamp in stamps:
            spec = self.spec.model_copy(update={"files": (stamp.path,) if base is place else ()})
            parts.append(PartRef(stamp.path, stamp.numbers, spec))
        return parts

    def _list_ranges(self, known: Mapping[str, SourcePart]) -> list[PartRef]:
        parts = [
            PartRef(name, part.stamp, self.spec, (part.stamp[0], part.stamp[1]))
            for name, part in known.items()
            if name.startswith("rows ")
        ]
        parts.sort(key=lambda part: part.stamp)
        n_known = max((part.stamp[1] for part in parts), default=0)
        try:
            n_rows = open_source(self.spec).n_rows
        except SourceError as error:
            if "has shape" not in str(error):
                raise
            self.unfinished = [self.spec.path]  # one of its arrays was made longer, the others not yet
            return parts
        if n_rows < n_known:
            raise SourceError(f"{self.spec.path} has {n_rows:,} rows, and had {n_known:,}; an array may only grow")
        n_rows = self._count_written(n_known, n_rows)
        if n_rows > n_known:
            parts.append(PartRef(f"rows {n_known}-{n_rows}", (n_known, n_rows), self.spec, (n_known, n_rows)))
        return parts

    def _count_written(self, start: int, stop: int) -> int:
        """Count up to the first row whose time is Zarr's fill value: it was made room for, and not written yet."""
        if self.spec.time is None or stop == start:
            return stop
        times = open_source(self.spec).key_columns([self.spec.time], np.array([[start, stop]]))[self.spec.time]
        fills = np.array([0], MICROSECONDS)
        fills = np.concatenate([fills, to_utc(fills, self.spec.clock)])  # of times, and of dates
        unwritten = np.flatnonzero(np.isin(times, fills) | np.isnat(times))
        return start + int(unwritten[0]) if len(unwritten) else stop

    def _list_arrays(self) -> list[PartRef]:
        own = self.spec.model_copy(update={"path": str(find_own(self._folder, self.spec.path))})
        return [_stamp_arrays(SOURCE_FOLDER, own)]

    def _list_inbox(self) -> list[PartRef]:
        batches = [] if self._folder is None else list_batches(self._folder)
        return [_stamp_arrays(f"{INBOX_FOLDER}/{batch.name}", refer_to_batch(self.spec, batch)) for batch in batches]


class _Found(NamedTuple):
    """Rows of a part."""

    ref: PartRef
    numbers: Int64Array
    ids: np.ndarray[Any, Any]
    times: np.ndarray[Any, Any] | None

    def pick(self, is_kept: npt.NDArray[np.bool_]) -> _Found:
        times = None if self.times is None else self.times[is_kept]
        return _Found(self.ref, self.numbers[is_kept], self.ids[is_kept], times)


@contextmanager
def _name_part(ref: PartRef) -> Iterator[None]:
    """Lead what is wrong with rows of a part by its name."""
    try:
        yield
    except SourceError as error:
        raise PartError(f"{ref.name}: {error}", ref.name) from error


def _settle_repeated(found: list[_Found], spec: SourceSpec, n_dropped: int) -> Selection:
    """Leave out rows of an id that another row stands for, in whatever parts they are; join what stays."""
    n_repeated = 0
    joined = join_ids([part.ids for part in found], [part.ref.name for part in found])
    if spec.id is not None and spec.duplicates != "refuse":
        n_repeated = len(joined) - len(encode_keys(joined)[0])
        if n_repeated and spec.duplicates in ("first", "last"):
            times = [part.times for part in found if part.times is not None] or None
            names = [part.ref.name for part in found]
            is_kept = choose_over_parts([part.ids for part in found], names, spec.duplicates, times)
            found = [part.pick(kept) for part, kept in zip(found, is_kept, strict=True)]
            joined = np.concatenate([part.ids for part in found])
    found = [part for part in found if len(part.numbers)]
    pieces = [Piece(part.ref.spec, rows_to_runs(part.numbers), part.ref.name) for part in found]
    owners = np.repeat(np.arange(len(found)), [len(part.ids) for part in found]).astype(np.int64)
    return Selection(pieces, joined, owners, n_dropped, n_repeated)


def _stamp_arrays(name: str, spec: SourceSpec) -> PartRef:
    stat = (Path(spec.path) / MANIFEST).stat()
    return PartRef(name, (stat.st_size, stat.st_mtime_ns), spec)
