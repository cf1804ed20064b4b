"""Rows sorted by window before graphs are built, where reading window by window passes over a source many times.

Workers read parts of the source, each once, and write what they find of each window into the store; graph tasks read
that. The same graphs come of it, byte for byte. A pass that was cut short begins again; one that ended is used by the
next call, as long as the source and the windows are the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.executors.base import Task
from driftmap.pipeline.graphs.build_graph import refuse_change_meanwhile
from driftmap.pipeline.planning.estimates.reading import plan_reading
from driftmap.pipeline.sources import open_source
from driftmap.pipeline.sources.protocol import Source
from driftmap.pipeline.sources.readers.tables.formats import TEXT_FORMATS
from driftmap.pipeline.sources.row_ranges import clip_runs, join_runs, runs_to_rows
from driftmap.pipeline.sources.rows.staged_rows import StagedBlock, StagedRows, pack_rows
from driftmap.pipeline.sources.stamps import summarise
from driftmap.pipeline.store.attempts import STAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.executors.base import Executor
    from driftmap.pipeline.graphs.orders import GraphOrder
    from driftmap.pipeline.store.disk.location import Location

STAGE = "sort"
"""What Dask's dashboard calls these tasks."""

_INDEX = "index.json"
"""File that is written when all rows are sorted."""

_N_SPANS = 32
"""Tasks at least, where there is enough to read."""
_LEAST_SPAN_BYTES = 8 * 2**20
_MOST_HELD_BYTES = 128 * 2**20
"""Rows that a task holds; it writes them as one file."""
_HELD_SHARE = 6
"""What a task takes, in sizes of the rows that it holds: as they are read, joined, picked, packed and written."""


class _Span(NamedTuple):
    """Rows of a source that one task reads, and the windows that have some of them."""

    number: int
    runs: Int64Array
    windows: tuple[tuple[int, str, Int64Array], ...]
    """Number, label, and row ranges."""


class _Found(NamedTuple):
    """What a task found of a window."""

    window: int
    span: int
    block: StagedBlock


def stage_rows(
    store: Location,
    orders: Sequence[GraphOrder],
    executor: Executor,
    max_bytes: int | None,
    report: Callable[[int], None] | None = None,
    opened: Source | None = None,
) -> list[GraphOrder]:
    """Sort the rows of windows into the store, where that is worth it; returns orders that read them there.

    Parameters
    ----------
    store
        Where the store lies; held by the caller.
    orders
        Of the graphs; others than those whose rows lie far apart come back as they are.
    executor
        Where rows are read.
    max_bytes
        Memory limit of a task; None: none.
    report
        Called with the rows that were sorted.
    opened
        A source of the orders that is open.
    """
    by_spec: dict[SourceSpec, list[tuple[int, int]]] = {}
    for number, order in enumerate(orders):
        for place, piece in enumerate(order.pieces):
            by_spec.setdefault(piece.spec, []).append((number, place))
    found: dict[tuple[int, int], StagedRows] = {}
    for spec, members in by_spec.items():
        if len(members) < 2:
            continue
        source = opened if opened is not None and opened.spec == spec else open_source(spec)
        windows = [(orders[number].label, orders[number].pieces[place].runs) for number, place in members]
        reading = plan_reading(source, [runs for _, runs in windows])
        if reading is None or not reading.is_sorted:
            continue
        try:
            staged = _SortingPass(store, source, windows).run(executor, max_bytes, report or _say_nothing)
        except SourceError:
            refuse_change_meanwhile(orders[members[0][0]], store)
            raise
        found |= dict(zip(members, staged, strict=True))
    return [_take_staged(order, number, found) for number, order in enumerate(orders)]


def remove_staged(store: Location) -> None:
    """Remove what `stage_rows` wrote, in this call or an earlier one."""
    if store.is_local:
        shutil.rmtree(store.folder / STAGED, ignore_errors=True)
    else:
        store.delete(store.list(STAGED))


def sort_rows_task(
    store: Location, folder: str, given: Source | SourceSpec, span: _Span, max_bytes: int | None
) -> tuple[int, list[_Found]]:
    """Read the rows of a span once and write them sorted by window, on any worker.

    Parameters
    ----------
    store, folder
        Where the store lies, and the folder there.
    given
        The source, or what it is opened by.
    span
        Which rows.
    max_bytes
        Memory limit of the task.

    Returns
    -------
    The rows that were read, and where those of each window lie.

    Raises
    ------
    SourceError
        When rows cannot be used; their window is named.
    """
    source = given if isinstance(given, Source) else open_source(given)
    n_rows = _count_held(source, max_bytes)
    rows_of = [runs_to_rows(runs) for _, _, runs in span.windows]
    found: list[_Found] = []
    n_read = 0
    for number, held in enumerate(source.hold_rows(span.runs, n_rows)):
        file = f"{folder}/{span.number:05d}-{number:05d}.rows"
        packed: list[bytes] = []
        begin = 0
        for (window, label, _), rows in zip(span.windows, rows_of, strict=True):
            first, last = np.searchsorted(rows, [held.rows[0], held.rows[-1] + 1])
            if first == last:
                continue
            try:
                block = pack_rows(held.pick(np.searchsorted(held.rows, rows[first:last])))
            except SourceError as error:
                raise SourceError(f"window {label!r}: {error}") from error
            where = StagedBlock(file, begin, len(block), int(last - first), zlib.crc32(block))
            found.append(_Found(window, span.number, where))
            packed.append(block)
            begin += len(block)
        store.replace(file, b"".join(packed))
        n_read += len(held.rows)
    return n_read, found


class _SortingPass:
    """Sorts rows of one source.

    Parameters
    ----------
    store
        Where they go.
    source
        Opened.
    windows
        Labels and row ranges.
    """

    def __init__(self, store: Location, source: Source, windows: Sequence[tuple[str, Int64Array]]) -> None:
        self._store = store
        self._source = source
        self._windows = windows
        self._key = _make_key(source, [runs for _, runs in windows])
        self._folder = f"{STAGED}/{self._key}"

    def run(self, executor: Executor, max_bytes: int | None, report: Callable[[int], None]) -> list[StagedRows]:
        """Sort, unless that is done; returns where the rows of each window lie."""
        index = self._store.read(f"{self._folder}/{_INDEX}")
        if index is None:
            found = self._sort(executor, max_bytes, report)
            self._store.replace(f"{self._folder}/{_INDEX}", json.dumps(found).encode())
        else:
            found = [_Found(window, span, StagedBlock(*block)) for window, span, block in json.loads(index)]
        blocks: list[list[StagedBlock]] = [[] for _ in self._windows]
        for one in sorted(found):
            blocks[one.window].append(one.block)
        spec, n_features = self._source.spec, self._source.estimate_read(1).n_features
        return [StagedRows(self._store, n_features, spec.beside, spec.id is not None, tuple(own)) for own in blocks]

    def _sort(self, executor: Executor, max_bytes: int | None, report: Callable[[int], None]) -> list[_Found]:
        # What a text file's blocks are is found by passing over it: workers are given what this process found.
        spec = self._source.spec
        is_text = spec.format in TEXT_FORMATS and "://" not in spec.path
        given = self._source if is_text else spec
        tasks = (
            Task(f"rows {span.runs[0, 0]}-{span.runs[-1, 1] - 1}", (self._store, self._folder, given, span, max_bytes))
            for span in self._list_spans()
        )
        found: list[_Found] = []
        n_read = 0
        report(n_read)
        for n_rows, own in executor.map_unordered(sort_rows_task, tasks, STAGE):
            found += own
            n_read += n_rows
            report(n_read)
        return found

    def _list_spans(self) -> Iterator[_Span]:
        """Cut the rows where reading can begin, into spans of about one size."""
        wanted = join_runs([runs for _, runs in self._windows])
        n_rows = int((wanted[:, 1] - wanted[:, 0]).sum())
        row_bytes = _count_row_bytes(self._source)
        step = max(_LEAST_SPAN_BYTES // row_bytes, -(-n_rows // _N_SPANS))
        starts = self._source.list_starts()
        cuts, last = [0], 0
        for start in starts[1:].tolist() if len(starts) < self._source.n_rows else range(step, n_rows, step):
            if start - last >= step:
                cuts.append(start)
                last = start
        number = 0
        for first, end in pairwise([*cuts, self._source.n_rows]):
            runs = clip_runs(wanted, first, end)
            if len(runs):
                windows = [(k, label, clip_runs(own, first, end)) for k, (label, own) in enumerate(self._windows)]
                yield _Span(number, runs, tuple(window for window in windows if len(window[2])))
                number += 1


def _say_nothing(_: int) -> None:
    pass


def _take_staged(order: GraphOrder, number: int, found: Mapping[tuple[int, int], StagedRows]) -> GraphOrder:
    pieces = [piece._replace(staged=found.get((number, place))) for place, piece in enumerate(order.pieces)]
    return replace(order, pieces=tuple(pieces))


def _make_key(source: Source, windows: Sequence[Int64Array]) -> str:
    """Tell what is sorted apart: by the source as it is, its columns and the windows' rows."""
    facts = [summarise(source.fingerprint()), source.spec.model_dump(mode="json")]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for runs in windows:
        digest.update(np.ascontiguousarray(runs, dtype="<i8").tobytes() + b"/")
    return digest.hexdigest()[:16]


def _count_row_bytes(source: Source) -> int:
    read = source.estimate_read(1)
    return max(1, 4 * read.n_features + read.row_bytes)


def _count_held(source: Source, max_bytes: int | None) -> int:
    """Count the rows that a task may hold."""
    held = _MOST_HELD_BYTES
    if max_bytes is not None:
        held = min(held, (max_bytes - source.estimate_read(1).peak_bytes) // _HELD_SHARE)
    return max(1, held // _count_row_bytes(source))
