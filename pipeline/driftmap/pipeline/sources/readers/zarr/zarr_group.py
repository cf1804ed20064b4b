"""Rows of a Zarr array of vectors, with arrays beside it for ids, times and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from driftmap.engine import float32_holds, is_sparse, tidy_sparse_rows
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.key_columns import as_column, flag_missing, read_key, read_label
from driftmap.pipeline.sources.columns.key_facts import describe_column
from driftmap.pipeline.sources.columns.value_ranges import choose_sample, find_ranges, find_sparse_ranges
from driftmap.pipeline.sources.columns.vectors import refuse_missing_columns, refuse_not_finite
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadCost, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.held_rows import HeldArrays
from driftmap.pipeline.sources.readers.zarr.cf_values import CfRules, count_since, counts_since, fill_missing
from driftmap.pipeline.sources.readers.zarr.sparse_matrix import SparseMatrix
from driftmap.pipeline.sources.readers.zarr.vector_kind import VectorKind, check_pin, pin_vectors
from driftmap.pipeline.sources.readers.zarr.zarr_arrays import is_array, list_arrays, list_dimensions, open_array
from driftmap.pipeline.sources.readers.zarr.zarr_cube import CubeRows, spread_column
from driftmap.pipeline.sources.row_ranges import refuse_outside, runs_to_rows, split_runs
from driftmap.pipeline.sources.sparse_rows import (
    STORED_BYTES,
    flag_bad_sparse,
    join_rows,
    refuse_bad_sparse,
)
from driftmap.pipeline.sources.stamps import describe_stamps
from driftmap.pipeline.store.id_types import name_id_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.protocol import HeldRows, Rows
    from driftmap.pipeline.sources.readers.zarr.zarr_arrays import ArrayLike
    from driftmap.pipeline.sources.stamps import FileStamp

DEFAULT_NAMES = {"vectors": "vectors", "id": "id", "time": "time", "label": "label"}
"""Arrays of a group that are taken for these roles when no others are named."""

_LOOK_BYTES = 16 * 2**20
"""Vectors that are looked at together for missing numbers, unless a chunk is larger."""

SPAN_ROWS = 65_536
"""Most rows that are read at once to pick scattered ones from them, where chunks are not longer."""

_LEFT_CHUNKS = 2
"""Chunks that Zarr's threads may still hold, as stored and decoded: eight tasks over the same 30,000 rows of 32
features took 89, 104 or 119 MB."""

N_CHUNKS_AT_ONCE = 10
"""Chunks that zarr reads in parallel, unless set otherwise."""

_DECODED_BYTES = 18
"""What decoding by an array's attributes takes for a number, beside the number: as a double, twice, and two flags."""


class ZarrSource:
    """Rows of a Zarr array (n, d).

    Parameters
    ----------
    spec
        Path of a group that holds the vectors and the other arrays; or of the array of vectors itself, then the other
        arrays that the spec names lie beside it. Names are resolved by `resolve_names`.
    must_pin
        Pin the array of vectors.
    """

    window_names: Sequence[str] | None = None

    def __init__(self, spec: SourceSpec, *, must_pin: bool = False) -> None:
        self.spec = spec
        place = SourcePlace(spec.path)
        self._root, self._vectors_name = self._open_root(place)
        if spec.named_columns or self._root is place:
            wanted = [self._vectors_name, *spec.named_columns]
            refuse_missing_columns(self._list_names(), wanted, str(self._root))
        self._vectors = self._open(self._vectors_name)
        self._rules = {self._vectors_name: CfRules.of(self._vectors, self._vectors_name)}
        cube = CubeRows(self._vectors) if len(self._vectors.shape) == 3 else None
        self._vectors = cube or self._vectors
        if len(self._vectors.shape) != 2 or self._vectors.dtype.kind not in "iufb":
            raise SourceError(
                f"the array {self._vectors_name!r} of {self._root} has shape {self._vectors.shape} and type "
                f"{self._vectors.dtype}; vectors (n, d), or (time, sample, d), of numbers were expected"
            )
        self._kind = VectorKind(self._rules[self._vectors_name].find_type(self._vectors.dtype), self._vectors)
        self.spec = spec = pin_vectors(spec, self._vectors_name, self._kind) if must_pin else spec
        check_pin(spec, self._vectors_name, self._kind)
        self._columns = {name: self._open(name) for name in spec.named_columns}
        self._rules |= {name: CfRules.of(array, name) for name, array in self._columns.items()}
        if cube is not None:
            timed = (spec.time, spec.by)
            for name, array in self._columns.items():
                self._columns[name] = spread_column(array, cube, name, is_time=name in timed)
        for name, array in self._columns.items():
            if tuple(array.shape) != (self.n_rows,):
                raise SourceError(
                    f"the array {name!r} of {self._root} has shape {array.shape}; ({self.n_rows},) was expected, one "
                    f"value for each row of {self._vectors_name!r}"
                )
        if must_pin and spec.id is not None:
            self.spec = spec = spec.model_copy(update={"id_type": self._find_id_type(spec)})

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._vectors.shape[0])

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Read columns that windows are planned by; see `Source`."""
        wanted = np.array([[0, self.n_rows]], dtype=np.int64) if runs is None else runs
        return {name: read_key(as_column(self._read_column(name, wanted), name), name, self.spec) for name in names}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what times that are text tell of their zone; no array's type tells of one, or of categories."""
        if name != self.spec.time or self._columns[name].dtype.kind in "iufbM":
            return KeyFacts()
        runs = np.array([[0, self.n_rows]], dtype=np.int64)
        return describe_column(as_column(self._read_column(name, runs), name), name, self.spec)

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:
        """Read some rows, from the chunks that hold them; see `Source`."""
        rows = runs_to_rows(runs)
        refuse_outside(rows, self.n_rows, self.spec.path)
        name = self.spec.id
        ids = None if name is None else read_key(as_column(self._read_column(name, runs), name), name, self.spec)
        labels = {
            label: read_label(as_column(self._read_column(label, runs), label), label, self.spec)
            for label in self.spec.beside
        }
        return WindowRows(self._read_vectors(runs, rows) if with_vectors else None, ids, labels)

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:
        """Find rows that cannot be used, some chunks at a time; see `Source`."""
        found = [np.empty(0, dtype=np.int64)]
        row_bytes = self.estimate_read(1).count_vector_bytes(1)
        step = max(count_chunk_rows(self._vectors), _LOOK_BYTES // max(1, row_bytes))
        for first, last in runs.tolist():
            for begin in range(first, last, step):
                here = np.array([[begin, min(begin + step, last)]], dtype=np.int64)
                matrix = self._read_matrix(here)
                is_bad = flag_bad_sparse(matrix) if is_sparse(matrix) else ~np.isfinite(matrix).all(axis=1)
                if self.spec.id is not None:
                    is_bad |= flag_missing(as_column(self._read_column(self.spec.id, here), self.spec.id))
                found.append(begin + np.flatnonzero(is_bad))
        return np.concatenate(found)

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes, by the arrays' chunks; see `Source`."""
        n_features, width = int(self._vectors.shape[1]), self._vectors.dtype.itemsize
        label_bytes = sum(self._columns[name].dtype.itemsize for name in self.spec.beside)
        row_bytes = label_bytes + (self._columns[self.spec.id].dtype.itemsize if self.spec.id else 0)
        chunk_rows = min(count_chunk_rows(self._vectors), self.n_rows)
        if isinstance(self._vectors, SparseMatrix):
            return self._estimate_sparse(self._vectors, n_rows, row_bytes)._replace(label_bytes=label_bytes)
        n_chunks = min(N_CHUNKS_AT_ONCE, n_rows // chunk_rows + 2)
        # As stored and decoded, several chunks at a time; what is read, and as float32 where it is another type.
        numbers = width + (0 if self._vectors.dtype == np.float32 else 4) + 1
        numbers += _DECODED_BYTES if self._rules[self._vectors_name] != CfRules() else 0
        chunk_bytes = 2 * chunk_rows * n_features * width
        peak_bytes = n_rows * (numbers * n_features + 2 * row_bytes) + n_chunks * chunk_bytes
        left_bytes = min(n_chunks, _LEFT_CHUNKS) * chunk_bytes
        text_bytes = 0 if self.spec.text is None else self._columns[self.spec.text].dtype.itemsize
        sizes = {"left_bytes": left_bytes, "text_bytes": text_bytes, "label_bytes": label_bytes}
        return ReadEstimate(n_features, row_bytes, peak_bytes, **sizes)

    def column_facts(self) -> ColumnFacts:
        """Find the ranges of some rows; what is missing is seen when a window is read; see `Source`."""
        chunk_bytes = count_chunk_rows(self._vectors) * self._vectors.dtype.itemsize * int(self._vectors.shape[1])
        if float32_holds(self._kind.dtype) or not self.n_rows or chunk_bytes > _LOOK_BYTES:
            return ColumnFacts()
        try:
            sample = self._read(self._vectors, self._vectors_name, choose_sample(self.n_rows))
        except SourceError:  # the window that cannot be read says so
            return ColumnFacts()
        if is_sparse(sample):
            return ColumnFacts(ranges=find_sparse_ranges([sample]))
        return ColumnFacts(ranges=find_ranges(fill_missing(sample)))

    def _estimate_sparse(self, matrix: SparseMatrix, n_rows: int, row_bytes: int) -> ReadEstimate:
        """Estimate what reading sparse rows takes: spans of rows, of which some are picked, then tidied."""
        n_stored = matrix.most_stored.count(n_rows)
        n_span = matrix.most_stored.count(min(self.n_rows, max(count_chunk_rows(matrix), SPAN_ROWS)))
        stored = matrix.dtype.itemsize + 8  # the features' numbers may be int64
        peak_bytes = stored * (n_span + 2 * n_stored) + 2 * STORED_BYTES * n_stored + n_rows * (2 * row_bytes + 32)
        return ReadEstimate(int(matrix.shape[1]), row_bytes, peak_bytes + 8 * self.n_rows, n_stored)

    def count_bytes(self, windows: Sequence[Int64Array]) -> ReadCost | None:
        """Count the chunks that reading some windows passes over, as they are decoded; see `Source`."""
        if isinstance(self._vectors, SparseMatrix):  # sparse rows are not sorted into the store
            return None
        chunk_rows = min(count_chunk_rows(self._vectors), self.n_rows)
        n_chunks = sum(len(np.unique(runs_to_rows(runs) // chunk_rows)) for runs in windows)
        row_bytes = int(self._vectors.shape[1]) * self._vectors.dtype.itemsize
        return ReadCost(n_chunks * chunk_rows * row_bytes, self.n_rows * row_bytes)

    def list_starts(self) -> Int64Array:
        """List the first rows of chunks; see `Source`."""
        return np.arange(0, self.n_rows, count_chunk_rows(self._vectors), dtype=np.int64)

    def hold_rows(self, runs: Int64Array, n_rows: int) -> Iterator[HeldRows]:
        """Read rows in one pass; see `Source`."""
        for part in split_runs(runs, n_rows):
            yield HeldArrays(runs_to_rows(part), self.read_rows(part))

    def fingerprint(self) -> dict[str, Any]:
        """Tell when a file of the arrays was added, removed or written again."""
        stamps: list[FileStamp] = []
        for name in (self._vectors_name, *self._columns):
            below = sorted(self._root.below(name).list_stamps(), key=lambda stamp: stamp.path.split("/"))
            stamps += [stamp._replace(path=f"{name}/{stamp.path}") for stamp in below]
        return {"format": "zarr", "rows": self.n_rows, **describe_stamps(stamps)}

    def spill(self, folder: str | Path) -> Self:  # noqa: ARG002 - of the protocol
        """Give the source itself: it is on disk."""
        return self

    def _open_root(self, place: SourcePlace) -> tuple[SourcePlace, str]:
        """Give the group that the arrays are in, and the name of the vectors there."""
        return (place.above(), place.file_name) if is_array(place) else (place, _name_vectors(self.spec))

    def _list_names(self) -> Sequence[str]:
        return [entry.name for entry in list_arrays(self._root)]

    def _find_id_type(self, spec: SourceSpec) -> str | None:
        if spec.pin is not None and spec.id_type is not None:
            return spec.id_type
        first = np.array([[0, min(1, self.n_rows)]], dtype=np.int64)
        return name_id_type(as_column(self._read_column(str(spec.id), first), str(spec.id)).type)

    def _open(self, name: str) -> ArrayLike:
        return open_array(self._root.below(name))

    def _read_vectors(self, runs: Int64Array, rows: Int64Array) -> Rows:
        matrix = self._read_matrix(runs)
        (refuse_bad_sparse if is_sparse(matrix) else refuse_not_finite)(matrix, rows, self.spec.pin)
        return matrix

    def _read_matrix(self, runs: Int64Array) -> Rows:
        matrix = self._read(self._vectors, self._vectors_name, runs)
        if is_sparse(matrix):
            return tidy_sparse_rows(matrix)
        with np.errstate(over="ignore"):  # becomes inf, and is refused as such
            return fill_missing(matrix).astype(np.float32, copy=False)

    def _read_column(self, name: str, runs: Int64Array) -> np.ndarray[Any, Any]:
        array = self._columns[name]
        values: np.ndarray[Any, Any] = self._read(array, name, runs)
        attrs = getattr(array, "attrs", None) or {}
        if values.dtype.kind in "iuf" and (name == self.spec.time or counts_since(attrs)):
            return count_since(values, attrs, name)
        return values

    def _read(self, array: ArrayLike, name: str, runs: Int64Array) -> Rows:
        try:
            stored = read_runs(array, runs)
        except Exception as error:  # zarr and its codecs raise whatever they like
            raise SourceError(f"the array {name!r} of {self._root} cannot be read ({error})") from error
        return stored if is_sparse(stored) else self._rules[name].decode(stored)


def _name_vectors(spec: SourceSpec) -> str:
    if spec.exclude:
        raise SourceError(f"exclude is {', '.join(spec.exclude)}, and {spec.path} holds Zarr arrays: leave it out")
    if spec.vectors is not None and not isinstance(spec.vectors, str):
        raise SourceError(
            f"vectors: {len(spec.vectors)} names were given, and {spec.path} holds Zarr arrays; name one array (n, d)"
        )
    return spec.vectors or DEFAULT_NAMES["vectors"]


def resolve_names(spec: SourceSpec) -> SourceSpec:
    """Name the arrays of a group that are there under their usual names, where the spec names no others.

    The usual names are `vectors`, `id`, `time` and `label`. The only array of two dimensions is taken for the vectors
    when none is called so.

    Raises
    ------
    SourceError
        When it is not clear which array holds the vectors.
    """
    place = SourcePlace(spec.path)
    if is_array(place):
        return spec
    entries = list_arrays(place)
    there = [entry.name for entry in entries]
    found: dict[str, Any] = {}
    for role in ("id", "time"):
        if getattr(spec, role) is None and DEFAULT_NAMES[role] in there:
            found[role] = DEFAULT_NAMES[role]
    if not spec.label and DEFAULT_NAMES["label"] in there:
        found["label"] = (DEFAULT_NAMES["label"],)
    if spec.vectors is None:
        matrices = [entry.name for entry in entries if len(entry.shape) == 2]
        matrices = matrices or [entry.name for entry in entries if len(entry.shape) == 3]
        if DEFAULT_NAMES["vectors"] not in there and len(matrices) != 1:
            raise SourceError(
                f"{spec.path} has no array 'vectors'; name the array (n, d) of vectors (vectors). "
                f"Its arrays are: {', '.join(there) or 'none'}"
            )
        found["vectors"] = DEFAULT_NAMES["vectors"] if DEFAULT_NAMES["vectors"] in there else matrices[0]
    resolved = spec.model_copy(update=found)
    return resolved if resolved.id is not None else _name_samples(place, resolved, there)


def _name_samples(place: SourcePlace, spec: SourceSpec, there: Sequence[str]) -> SourceSpec:
    """Take the coordinate of a cube's samples for ids: without any, nothing would relate its times."""
    cube = open_array(place.below(str(spec.vectors))) if spec.vectors in there else None
    if cube is None or len(cube.shape) != 3:
        return spec
    name = list_dimensions(cube)[1]
    if name not in there:
        raise SourceError(
            f"{spec.path}: the array {spec.vectors!r} is a cube (time, sample, feature); name that of its samples' "
            f"ids (id); there are: {', '.join(there)}"
        )
    return spec.model_copy(update={"id": name})


def read_runs(array: ArrayLike, runs: Int64Array) -> Rows:
    """Read runs of rows, those of a chunk together so that no chunk is read once for each run.

    Parameters
    ----------
    array
        Of any number of dimensions.
    runs
        int64 (r, 2), ascending and apart.
    """
    chunk = count_chunk_rows(array)
    longest = max(chunk, SPAN_ROWS)
    parts = []
    begin = 0
    for place in range(1, len(runs) + 1):
        shares_chunk = place < len(runs) and (runs[place - 1, 1] - 1) // chunk == runs[place, 0] // chunk
        if shares_chunk and runs[place, 1] - runs[begin, 0] <= longest:
            continue
        first, last = int(runs[begin, 0]), int(runs[place - 1, 1])
        span = array[first:last]
        span = span if is_sparse(span) else np.asarray(span)
        parts.append(span if place - begin == 1 else span[runs_to_rows(runs[begin:place]) - first])
        begin = place
    return join_rows(parts)


def count_chunk_rows(array: ArrayLike) -> int:
    """Count the rows that are read and decoded together."""
    return int((getattr(array, "shards", None) or getattr(array, "chunks", None) or (SPAN_ROWS,))[0])
