"""Dask's data frames and arrays: partitions are read where they are computed, and only keys come to this process.

Windows need rows by their numbers, again and again, and a partition may take long to compute. So a run has the workers
write each partition once, as a Parquet file in the store's folder, and reads these.
"""

from __future__ import annotations

import hashlib
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources.calls import Call
from driftmap.pipeline.sources.columns.choice import choose_vectors
from driftmap.pipeline.sources.columns.key_columns import read_key
from driftmap.pipeline.sources.columns.key_facts import describe_column, list_clocks
from driftmap.pipeline.sources.columns.vectors import refuse_missing_columns
from driftmap.pipeline.sources.protocol import ColumnFacts, KeyFacts, ReadEstimate, WindowRows
from driftmap.pipeline.sources.readers.tables.table_source import TableSource
from driftmap.pipeline.sources.row_ranges import runs_to_rows
from driftmap.pipeline.store.id_types import name_id_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from driftmap.engine.types import Int64Array
    from driftmap.pipeline.config.source_spec import SourceSpec
    from driftmap.pipeline.sources.calls import Compute
    from driftmap.pipeline.sources.protocol import HeldRows

    Column = np.ndarray[Any, Any]

MANIFEST = "partitions.json"
"""File beside the partitions that says of which collection they are; written last."""


class Partitions(NamedTuple):
    """A collection as tables that are not computed yet."""

    name: str
    """Of the collection, as Dask has it."""
    tables: list[Call]
    """These give Arrow tables, in order."""
    take: Callable[[Sequence[str]], list[Call]]
    """Gives the same with a few columns."""
    vectors: str | None = None
    """The column of vectors, where there is no choice."""


class LazySource:
    """Rows of a Dask collection.

    Parameters
    ----------
    spec
        Which columns mean what.
    partitions
        The collection.
    """

    compute: Compute
    """Makes calls where the collection is computed; set by who knows where that is, before anything is read."""
    needs_workers = True
    window_names: Sequence[str] | None = None

    def __init__(self, spec: SourceSpec, partitions: Partitions) -> None:
        self.spec = spec
        self._partitions = partitions
        self._keys: dict[str, Column] = {}
        self._facts: dict[str, KeyFacts] = {}
        self._lengths = np.empty(0, dtype=np.int64)
        self._schema = pa.schema([])

    def prepare(self) -> None:
        """Have the columns that windows are planned by computed, and the first partition's types; nothing else."""
        wanted = [name for name in (self.spec.time, self.spec.id, self.spec.by) if name is not None]
        first = Call(_describe, (self._partitions.tables[0],))
        self._schema, self._longest = self.compute([first])[0]
        refuse_missing_columns(self._schema.names, self.spec.named_columns, "the collection")
        pin = choose_vectors(self._schema, self.spec)
        id_type = None if self.spec.id is None else name_id_type(self._schema.field(self.spec.id).type)
        self.spec = self.spec.model_copy(update={"pin": pin, "id_type": id_type})
        names = list(dict.fromkeys(wanted)) or self._schema.names[:1]
        counted = [Call(_take, (table, names)) for table in self._partitions.take(names)]
        tables = self.compute(counted)
        self._lengths = np.array([table.num_rows for table in tables], dtype=np.int64)
        for name in wanted:
            kind = self._schema.field(name).type
            chunks = [chunk for table in tables for chunk in table.column(name).cast(kind).chunks]
            column = pa.chunked_array(chunks, kind)
            self._keys[name] = read_key(column, name, self.spec)
            kinds = [pa.chunked_array([], table.schema.field(name).type) for table in tables]
            parts = [describe_column(part, name, self.spec) for part in kinds]
            clocks = list_clocks((f"partition {number}", facts) for number, facts in enumerate(parts))
            self._facts[name] = describe_column(column, name, self.spec)._replace(clocks=clocks)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._lengths.sum())

    def key_columns(self, names: Sequence[str], runs: Int64Array | None = None) -> dict[str, Column]:
        """Give columns that windows are planned by; see `Source`."""
        if runs is None:
            return {name: self._keys[name] for name in names}
        return {name: self._keys[name][runs_to_rows(runs)] for name in names}

    def describe_key(self, name: str) -> KeyFacts:
        """Say what the type of a key column tells; see `Source`."""
        return self._facts[name]

    def read_rows(self, runs: Int64Array, *, with_vectors: bool = True) -> WindowRows:  # noqa: ARG002 - of the protocol
        """Refuse: rows are read from the partitions that `spill` wrote."""
        raise SourceError(
            "a Dask collection was given, whose rows are read by the workers of a run alone; call its compute() first, "
            "or write it with to_parquet() and give the folder"
        )

    def find_bad_rows(self, runs: Int64Array) -> Int64Array:  # noqa: ARG002 - of the protocol
        """Refuse, as `read_rows` does."""
        raise ConfigError(
            "on_bad_rows is 'drop', and a Dask collection was given, whose vectors are read by the run alone: a plan "
            "cannot count these rows; run it, or drop them in the collection, such as with dropna()"
        )

    def estimate_read(self, n_rows: int) -> ReadEstimate:
        """Estimate what reading takes, by the first partition; see `Source`."""
        pin = self.spec.pin
        n_features = 0 if pin is None else self._longest.get(pin.names[0], 1) if pin.is_list else len(pin.names)
        label_bytes = 16 * len(self.spec.beside)
        row_bytes = label_bytes + 16 * (self.spec.id is not None)
        peak_bytes = n_rows * (9 * n_features + 3 * row_bytes) + 32 * 2**20
        return ReadEstimate(n_features, row_bytes, peak_bytes, label_bytes=label_bytes)

    def column_facts(self) -> ColumnFacts:
        """Give nothing: what is missing is seen when a window is read; see `Source`."""
        return ColumnFacts()

    def count_bytes(self, windows: Sequence[Int64Array]) -> None:
        """Tell nothing: the partitions are written as Parquet; see `Source`."""

    def list_starts(self) -> Int64Array:
        """List the first row alone; see `Source`."""
        return np.zeros(1, dtype=np.int64)

    def hold_rows(self, runs: Int64Array, n_rows: int) -> Iterator[HeldRows]:  # noqa: ARG002 - of the protocol
        """Refuse, as `read_rows` does."""
        self.read_rows(runs)
        yield from ()

    def fingerprint(self) -> dict[str, Any]:
        """Tell collections apart; see `Source`."""
        return {"format": "dask", "rows": self.n_rows, "name": self._partitions.name}

    def spill(self, folder: str | Path, *, may_replace: bool = False) -> TableSource:
        """Have each partition written to a folder where it is computed, unless all are there.

        Parameters
        ----------
        folder
            Where they go.
        may_replace
            Whether nothing was made yet of another collection that is there.

        Raises
        ------
        SourceError
            When another collection is there and may not be replaced.
        """
        place = Path(folder).expanduser().absolute()
        known = _read_name(place)
        if may_replace and known != self._partitions.name:
            (place / MANIFEST).unlink(missing_ok=True)
            known = None
        if known is not None and known != self._partitions.name:
            raise SourceError(
                f"{place} has the partitions of another Dask collection than the one that was given ({known}, now "
                f"{self._partitions.name}); give the same one, or name another store"
            )
        if known is None:
            place.mkdir(parents=True, exist_ok=True)
            for left in place.glob("part-*"):  # of a run that was killed
                left.unlink()
            written = [
                Call(_write, (table, place / f"part-{number:06d}.parquet", self._schema))
                for number, table in enumerate(self._partitions.tables)
            ]
            self.compute(written)
            numbers = np.flatnonzero(self._lengths).tolist()
            if not all((place / f"part-{number:06d}.parquet").is_file() for number in numbers):
                raise SourceError(
                    f"the workers wrote their partitions to {place}, and they are not there on this machine; make the "
                    "store in a folder that all of them share"
                )
            (place / f"{MANIFEST}.part").write_text(json.dumps({"name": self._partitions.name}), encoding="utf-8")
            (place / f"{MANIFEST}.part").replace(place / MANIFEST)
        roles = {"path": str(place), "format": "parquet", "pin": None, "id_type": None}
        return TableSource(self.spec.model_copy(update=roles), must_pin=True)


def is_collection(given: object) -> bool:
    """Whether something is a data frame or an array of Dask."""
    return hasattr(given, "__dask_graph__") and (_is_frame(given) or hasattr(given, "chunks"))


def from_frame(frame: Any) -> Partitions:
    """Take a Dask data frame apart."""

    def take(names: Sequence[str]) -> list[Call]:
        some = [name for name in names if name in frame.columns]
        # A name that is not among the columns is that of the index, which comes along.
        return [Call(_from_pandas, (part,)) for part in frame[some].to_delayed()]

    return Partitions(_name(frame), [Call(_from_pandas, (part,)) for part in frame.to_delayed()], take)


def from_arrays(vectors: Any, columns: Mapping[str, Any], vectors_name: str) -> Partitions:
    """Take a Dask array (n, d) apart, and columns beside it, of Dask or not.

    Raises
    ------
    SourceError
        When shapes do not fit together, or are not known.
    """
    if vectors.ndim != 2 or np.isnan(vectors.shape[0]):
        raise SourceError(
            f"vectors: a Dask array of shape {vectors.shape} was given; (n, d) was expected, of a length that is known "
            "(compute_chunk_sizes())"
        )
    vectors = vectors.rechunk({1: -1})
    bounds = np.concatenate([[0], np.cumsum(vectors.chunks[0])])
    pieces: dict[str, list[Any]] = {}
    for name, given in columns.items():
        if len(given) != len(vectors):
            raise SourceError(f"column {name!r} has {len(given):,} values for {len(vectors):,} vectors")
        if is_collection(given):
            pieces[name] = list(given.rechunk((vectors.chunks[0],)).to_delayed())
        else:
            values = np.asarray(given)
            pieces[name] = [values[low:high] for low, high in pairwise(bounds)]
    blocks = vectors.to_delayed().ravel()

    def make(names: Sequence[str], *, with_vectors: bool) -> list[Call]:
        return [
            Call(
                _from_numpy,
                (
                    {name: pieces[name][number] for name in names},
                    vectors_name,
                    block if with_vectors else None,
                    int(size),
                ),
            )
            for number, (block, size) in enumerate(zip(blocks, vectors.chunks[0], strict=True))
        ]

    def take(names: Sequence[str]) -> list[Call]:
        return make([name for name in names if name in pieces], with_vectors=False)

    token = _digest_columns(columns)
    return Partitions(f"{_name(vectors)}-{token}", make(list(pieces), with_vectors=True), take, vectors_name)


def _digest_columns(columns: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, given in columns.items():
        values = None if is_collection(given) else np.asarray(given)
        content = (
            _name(given) if values is None else (values.tolist() if values.dtype.kind == "O" else values.tobytes())
        )
        digest.update(repr((name, getattr(values, "dtype", None), content)).encode())
    return digest.hexdigest()[:32]


def _is_frame(given: Any) -> bool:
    return hasattr(given, "to_delayed") and hasattr(given, "columns") and hasattr(given, "map_partitions")


def _name(collection: Any) -> str:
    return str(getattr(collection, "_name", None) or getattr(collection, "name", ""))


def _from_pandas(frame: Any) -> pa.Table:
    return pa.Table.from_pandas(frame)


def _from_numpy(columns: Mapping[str, Any], name: str, block: Any, n_rows: int) -> pa.Table:
    from driftmap.pipeline.sources.columns.key_columns import as_column

    made = {key: as_column(values, key) for key, values in columns.items()}
    if block is not None:
        matrix = np.ascontiguousarray(block)
        made[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
    return pa.table(made) if made else pa.table({"": pa.nulls(n_rows)})


def _describe(table: pa.Table) -> tuple[pa.Schema, dict[str, int]]:
    """Tell a partition's types, and how long its lists are."""
    import pyarrow.compute as pc
    import pyarrow.types as pt

    lengths = {}
    for field in table.schema:
        if pt.is_list(field.type) or pt.is_large_list(field.type) or pt.is_fixed_size_list(field.type):
            lengths[field.name] = int(pc.max(pc.list_value_length(table.column(field.name))).as_py() or 0)
    return table.schema, lengths


def _take(table: pa.Table, names: Sequence[str]) -> pa.Table:
    there = [name for name in names if name in table.schema.names]
    return table.select(there) if there else table


def _write(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    if not table.num_rows:
        return
    if table.schema.names != schema.names:
        raise SourceError(f"a partition has the columns {table.schema.names}, and the first {schema.names}")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    pq.write_table(table.cast(schema), unfinished, row_group_size=65_536)
    unfinished.replace(path)


def _read_name(folder: Path) -> str | None:
    try:
        found: str = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError):
        return None
    return found
