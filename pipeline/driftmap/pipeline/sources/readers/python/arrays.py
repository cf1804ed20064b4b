"""Rows in arrays: held in memory, or spilled to a folder that workers read and map."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmap.engine import make_sparse_rows
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.texts import PackedTexts
from driftmap.pipeline.sources.columns.vectors import (
    RaggedRows,
    flag_bad_rows,
    to_matrix,
)
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.held_rows import HeldArrays
from driftmap.pipeline.sources.readers.python.array_files import (
    MISSING_IDS,
    SPARSE_VERSION,
    VERSION,
    Table,
    digest_table,
    name_offsets,
    read_manifest,
    write_table,
)
from driftmap.pipeline.sources.row_ranges import refuse_outside, runs_to_rows, split_runs
from driftmap.pipeline.sources.sparse_rows import STORED_BYTES, MostStored, read_width, refuse_bad_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import HeldRows, Rows, ValueRanges

    Column = np.ndarray[Any, Any]

_ROWS_AT_ONCE = 16_384


class ArraySource:
    """Rows in arrays: in memory, or mapped from a folder.

    Parameters
    ----------
    spec
        Path of the folder, empty for arrays in memory; and columns.
    table
        The arrays.
    digest
        Of the arrays, where it is known; computed otherwise.
    facts
        What the types of key columns say.
    ranges
        Of the vectors' numbers, where they were rounded to float32.
    """

    def __init__(
        self,
        spec: SourceSpec,
        table: Table,
        digest: str | None = None,
        facts: Mapping[str, KeyFacts] | None = None,
        ranges: ValueRanges | None = None,
    ) -> None:
        self.spec = spec
        self._ranges = ranges
        self._facts = facts or {}
        self._table = table
        self._digest = digest or digest_table(table)
        if self.n_rows == 0:
            raise SourceError("the arrays have no rows")
        self._most_stored = MostStored(table.offsets)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._table.offsets) - 1

    @property
    def window_names(self) -> Sequence[str] | None:
        """Names of the windows, where the arrays came cut into windows."""
        return self._table.window_names

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, Column]:
        """Give columns that windows are planned by; see `Source`."""
        if runs is None:
            return {name: self._table.keys[name] for name in names}
        rows = runs_to_rows(runs)
        return {name: np.array(self._table.keys[name][rows]) for name in names}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column says; see `Source`."""
        return self._facts.get(name, KeyFacts())

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        ids = None if self.spec.id is None else np.array(self._table.keys[self.spec.id][rows])
        labels = {
            name: column.take(rows) if isinstance(column, PackedTexts) else np.array(column[rows])
            for name, column in self._table.labels.items()
        }
        return WindowRows(self._read_vectors(runs, rows) if with_vectors else None, ids, labels)

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:
        """Find rows that cannot be used, some at a time; see `Source`."""
        missing = self._table.keys.get(MISSING_IDS)
        values, offsets = self._table.values, self._table.offsets
        found = [np.empty(0, dtype=np.int64)]
        for first, last in runs.tolist():
            for begin in range(first, last, _ROWS_AT_ONCE):
                end = min(begin + _ROWS_AT_ONCE, last)
                lengths = np.diff(offsets[begin : end + 1])  # of sparse rows, what is stored
                is_bad = flag_bad_rows(RaggedRows(np.asarray(values[offsets[begin] : offsets[end]]), lengths))
                if missing is not None:
                    is_bad = is_bad | missing[begin:end]
                found.append(begin + np.flatnonzero(is_bad))
        _let_go(values)
        return np.concatenate(found)

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes; see `Source`."""
        offsets, widths = self._table.offsets, self._table.widths
        n_features = int(np.diff(offsets).max() if widths is None else widths.max())
        labels = self._table.labels
        label_bytes = sum(map(_measure, labels.values()))
        row_bytes = label_bytes + (self._table.keys[self.spec.id].dtype.itemsize if self.spec.id else 0)
        text_bytes = _measure(labels[self.spec.text]) if self.spec.text else 0
        sizes = {"text_bytes": text_bytes, "label_bytes": label_bytes}
        if widths is not None:
            n_stored = self._most_stored.count(n_rows)
            peak_bytes = n_stored * (2 * STORED_BYTES + 1) + n_rows * (2 * row_bytes + 48)
            return ReadEstimate(n_features, row_bytes, peak_bytes, n_stored, **sizes)
        # What is mapped counts as well as what is picked, and a flag for each number.
        peak_bytes = n_rows * (9 * n_features + 2 * row_bytes + 24)
        return ReadEstimate(n_features, row_bytes, peak_bytes, **sizes)

    def column_facts(self) -> ColumnFacts:
        """Give ranges where they are known: what is missing is seen when a window is read; see `Source`."""
        return ColumnFacts(ranges=self._ranges)

    def count_bytes(self, windows: Sequence[Int64Array]) -> None:
        """Tell nothing: rows are picked; see `Source`."""

    def list_starts(self) -> Int64Array:
        """List every row; see `Source`."""
        return np.arange(self.n_rows, dtype=np.int64)

    def hold_rows(self, runs: Int64Array, n_rows: int) -> Iterator[HeldRows]:
        """Read rows in one pass; see `Source`."""
        for part in split_runs(runs, n_rows):
            yield HeldArrays(runs_to_rows(part), self.read_rows(part))

    def fingerprint(self) -> dict[str, Any]:
        """Tell whether arrays hold the same, wherever they lie."""
        return {"format": "arrays", "rows": self.n_rows, "digest": self._digest}

    def spill(self, folder: str | Path) -> ArraySource:
        """Write the arrays to a folder, unless they are there, and give the source that reads them there.

        Raises
        ------
        SourceError
            When the folder cannot be written.
        """
        if self.spec.path:
            return self
        place = Path(folder).expanduser().absolute()
        spec = self.spec.model_copy(update={"path": str(place)})
        try:
            if read_manifest(place).get("digest") != self._digest:
                write_table(place, self._table, self._digest)
        except OSError as error:
            raise SourceError(f"the arrays cannot be written to {place}: {error}") from error
        return open_arrays(spec)

    def _read_vectors(self, runs: Int64Array, rows: Int64Array) -> Rows:
        features, widths = self._table.features, self._table.widths
        if features is not None and widths is not None:
            width = read_width(widths[rows], rows, self.spec.pin)
            return self._read_sparse(runs, rows, features, width)
        values, offsets = self._table.values, self._table.offsets
        starts = offsets[rows]
        lengths = offsets[rows + 1] - starts
        width = int(lengths[0])
        if width and len(values) % width == 0 and bool(((starts == rows * width) & (lengths == width)).all()):
            # All vectors up to here are of one length: scattered rows are picked at once, not run by run.
            picked = values.reshape(-1, width)[rows].reshape(-1)
        else:
            picked = np.concatenate([values[offsets[start] : offsets[stop]] for start, stop in runs.tolist()])
        _let_go(values)
        return to_matrix(RaggedRows(np.asarray(picked), lengths), rows, self.spec.pin)

    def _read_sparse(self, runs: Int64Array, rows: Int64Array, features: Column, width: int) -> Rows:
        values, offsets = self._table.values, self._table.offsets
        ranges = offsets[runs].tolist()
        read = make_sparse_rows(
            np.concatenate([values[first:last] for first, last in ranges]),
            np.concatenate([features[first:last] for first, last in ranges]),
            np.concatenate([[0], np.cumsum(offsets[rows + 1] - offsets[rows])]),
            width,
        )
        _let_go(values)
        _let_go(features)
        refuse_bad_sparse(read, rows, self.spec.pin)
        return read


def _measure(column: Column | PackedTexts) -> int:
    return column.row_bytes if isinstance(column, PackedTexts) else column.dtype.itemsize


def _let_go(array: Column) -> None:
    """Have what was read of a mapped file count no longer as this process's memory: it stays in the system's cache."""
    mapped: Any = array.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def open_arrays(spec: SourceSpec) -> ArraySource:
    """Open arrays that were spilled to a folder.

    Raises
    ------
    SourceError
        When they are not there, or not whole.
    """
    if not spec.path:
        raise SourceError("the arrays are in the memory of another process; spill them to a folder first")
    folder = Path(spec.path)
    manifest = read_manifest(folder)
    if manifest.get("version") not in (VERSION, SPARSE_VERSION):
        raise SourceError(f"{folder} holds no arrays of this version of driftmap; give them again from Python")

    def load(file: str) -> Column:
        try:
            loaded: Column = np.load(folder / file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SourceError(f"{folder / file} cannot be read ({error}); give the arrays again from Python") from error
        return loaded

    keys = {name: load(file) for name, file in manifest["keys"].items()}
    labels: dict[str, Column | PackedTexts] = {name: load(file) for name, file in manifest["labels"].items()}
    for name in manifest.get("texts", ()):
        file = manifest["labels"][name]
        labels[name] = PackedTexts(load(file), load(name_offsets(file)))
    _refuse_other_columns(spec, keys, labels)
    table = Table(load("values.npy"), load("offsets.npy"), keys, labels, manifest["window_names"])
    if manifest["version"] == SPARSE_VERSION:
        table = table._replace(features=load("features.npy"), widths=load("widths.npy"))
    return ArraySource(spec, table, manifest["digest"])


def _refuse_other_columns(spec: SourceSpec, keys: Mapping[str, object], labels: Mapping[str, object]) -> None:
    """Refuse to read columns that were not kept: of rows from Python the store has those only that were named then."""
    missing = [name for name in (spec.time, spec.id, spec.by) if name is not None and name not in keys]
    missing += [name for name in spec.beside if name not in labels]
    if missing:
        kept = ", ".join(name for name in dict.fromkeys((*keys, *labels)) if name != MISSING_IDS)
        raise SourceError(
            f"the rows from Python that {spec.path} holds were kept without column {missing[0]!r}; they have {kept}. "
            "Give the rows again from Python, with that column (source)"
        )
