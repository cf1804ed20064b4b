"""Opens sources: from a user's argument, or from a source's specification on a worker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from driftmap.engine import is_sparse
from driftmap.pipeline.config.models import validate
from driftmap.pipeline.config.source_spec import PINNED, ROW_OPTIONS, SOURCE_OPTIONS, SourceSpec
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources.adapters import adapt, adapt_by_narwhals
from driftmap.pipeline.sources.columns.vectors import refuse_missing_columns
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.protocol import Source
from driftmap.pipeline.sources.readers.python import arrays, from_python
from driftmap.pipeline.sources.readers.python.array_files import MANIFEST
from driftmap.pipeline.sources.readers.python.from_python import WindowArrays
from driftmap.pipeline.sources.stamps import describe_stamps

if TYPE_CHECKING:
    from driftmap.pipeline.sources.readers.python.dask_collections import LazySource
    from driftmap.pipeline.sources.readers.tables.table_source import TableSource
    from driftmap.pipeline.sources.stamps import FileStamp

ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
"""Files that make a folder a Zarr array or group."""

MARKS = (MANIFEST, *ZARR_FILES)
"""Files that make a folder one of arrays."""

_ID_NAMES = ("id", "ids")
_TIME_NAMES = ("time", "times")
_LABEL_NAMES = ("label", "labels")


def as_source(given: object, *, must_pin: bool = True, **columns: Any) -> Source:
    """Open what a user gives.

    Parameters
    ----------
    given
        Path, or `s3://` URL, of a file or folder of Parquet, CSV, JSON lines or Arrow IPC, or of a Zarr array or group;
        an AnnData, on disk or in memory; an Arrow table, or a data frame that Arrow or narwhals reads; a dict of arrays
        (`vectors` (n, d), and columns such as `id`, `time`, `label`); a tuple (vectors, ids) or (vectors, ids, times);
        a matrix; a collection of Dask; an xarray; `WindowArrays`; or an opened source. Vectors of an AnnData, and those
        of a dict, a tuple or windows may be scipy sparse matrices.
    must_pin
        Choose the columns of the vectors, and name them in the source's specification (`pin`). False: as before 0.2,
        for stores of that time.
    **columns
        `time`, `id`, `label`, `target`, `text`, `show`, `vectors`, `exclude`, `by`: the columns with these roles;
        `vectors_file`: a `.npy` file with the vectors of a table; `pin`: columns that the vectors must be made of;
        `clock`: the time zone by whose clock dates without a time of day begin; `duplicates`, `on_bad_rows`: which rows
        count. None counts as not given.

    Raises
    ------
    SourceError
        When it is missing, is nothing of these kinds, or lacks a column.
    """
    named: dict[str, Any] = {name: value for name, value in columns.items() if value is not None}
    if named.get("target") is not None:  # its column is kept as labels are
        labels = named.get("label", ())
        labels = (labels,) if isinstance(labels, str) else tuple(labels)
        named["label"] = tuple(dict.fromkeys((*labels, named["target"])))
    vectors_file = named.pop("vectors_file", None)
    if vectors_file is not None and named.get("vectors"):
        raise ConfigError("vectors and vectors_file are both given; the vectors are in one of them")
    if isinstance(given, str | os.PathLike):
        if vectors_file is not None:
            named["vectors_file"] = str(SourcePlace(vectors_file))
        return _open_place(SourcePlace(given), named, must_pin=must_pin)
    if vectors_file is not None and named.get("pin") is None and not isinstance(given, Source):
        raise ConfigError(f"vectors_file is {str(vectors_file)!r}: it goes with a file, or folder, of a table")
    if isinstance(given, WindowArrays):
        return _hold_windows(given, named, must_pin=must_pin)
    given = adapt(given, named)
    lazy = _hold_collection(given, named)
    if lazy is not None:
        return lazy
    if isinstance(given, Source):
        opened = _check_opened(given, named)
        spec = opened.spec
        return opened if must_pin or spec.pin is None or not spec.path else open_source(_without_pin(spec))
    return (
        _hold_mapping(_name_parts(given), named, must_pin=must_pin)
        if _has_parts(given)
        else _hold_frame(given, named, must_pin=must_pin)
    )


def open_given(given: object, spec: SourceSpec) -> Source:
    """Open rows that are given from Python beside a source, or in its place: their columns are named as its are.

    Parameters
    ----------
    given
        As for `as_source`.
    spec
        Of the source.

    Raises
    ------
    SourceError
        When they are a Dask collection, lack a column, or have vectors of other columns.
    """
    roles = {role: getattr(spec, role) for role in (*SOURCE_OPTIONS, *PINNED) if getattr(spec, role)}
    opened = as_source(given, must_pin=spec.pin is not None, **roles)
    if needs_workers(opened):
        raise SourceError("a Dask collection was given; write it (to_parquet) where the source is, or compute() it")
    return opened


def needs_workers(source: Source) -> TypeGuard[LazySource]:
    """Whether a source is a Dask collection, of which nothing is known before workers computed it."""
    return bool(getattr(source, "needs_workers", False))


def forget_keys(source: Source) -> None:
    """Free the keys that a source of text keeps in memory, once no plan needs them any more."""
    forget = getattr(source, "forget_keys", None)
    if forget is not None:
        forget()


def open_source(spec: SourceSpec) -> Source:
    """Open the source that a specification names, on any worker.

    Raises
    ------
    SourceError
        When it is not there any more, or cannot be read.
    """
    if spec.is_files:
        return _open_table(spec, tuple(_stamp_files(spec)))
    if spec.format == "anndata":
        from driftmap.pipeline.sources.readers.zarr.anndata_file import AnnDataSource  # late: zarr is slow to import

        return AnnDataSource(spec)
    if spec.format == "zarr":
        from driftmap.pipeline.sources.readers.zarr.zarr_group import ZarrSource  # late: zarr is slow to import

        return ZarrSource(spec)
    return arrays.open_arrays(spec)


def fingerprint_again(spec: SourceSpec, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fingerprint of a source as it is now; of files only what tells of them is looked at."""
    if not spec.is_files or spec.vectors_file is not None:
        return open_source(spec).fingerprint()
    return {**known, **describe_stamps(_stamp_files(spec))}


def _stamp_files(spec: SourceSpec) -> list[FileStamp]:
    from driftmap.pipeline.sources.readers.tables.listing import list_files  # late: Arrow is slow to import

    stamps = list_files(SourcePlace(spec.path), spec.files, spec.format)[1]
    outside = [] if spec.vectors_file is None else SourcePlace(spec.vectors_file).stamp_all()
    return [*stamps, *outside]


@lru_cache(maxsize=2)
def _open_table(spec: SourceSpec, stamps: tuple[FileStamp, ...]) -> TableSource:  # noqa: ARG001 - opens changed files again
    # A worker builds many windows of one source: what its files tell of themselves is read once.
    from driftmap.pipeline.sources.readers.tables.table_source import TableSource

    return TableSource(spec)


def _open_place(place: SourcePlace, named: dict[str, Any], *, must_pin: bool) -> Source:
    kind = place.find_kind()
    if kind is None:
        raise SourceError(f"no such file or folder: {place}")
    is_arrays = kind == "folder" and any(place.has(name) for name in MARKS)
    if is_arrays and "vectors_file" in named:
        raise ConfigError(f"vectors_file goes with a file, or folder, of a table, and {place} holds arrays")
    if kind == "folder" and place.is_local and place.has(MANIFEST):
        return arrays.open_arrays(_make_spec(str(place), "arrays", named))
    if str(place).endswith(".h5ad") or (kind == "folder" and _has_anndata(place)):
        from driftmap.pipeline.sources.readers.zarr.anndata_file import (  # late: zarr is slow to import
            AnnDataSource,
            resolve_anndata,
        )

        return AnnDataSource(resolve_anndata(_make_spec(str(place), "anndata", named)), must_pin=must_pin)
    if kind == "folder" and any(place.has(name) for name in ZARR_FILES):
        from driftmap.pipeline.sources.readers.zarr.zarr_group import (  # late: zarr is slow to import
            ZarrSource,
            resolve_names,
        )

        return ZarrSource(resolve_names(_make_spec(str(place), "zarr", named)), must_pin=must_pin)
    from driftmap.pipeline.sources.readers.tables.listing import find_format  # late: Arrow is slow to import
    from driftmap.pipeline.sources.readers.tables.table_source import TableSource

    return TableSource(_make_spec(str(place), find_format(place), named), must_pin=must_pin)


def _has_anndata(place: SourcePlace) -> bool:
    if not any(place.has(name) for name in ("zarr.json", ".zgroup")) or "obs" not in place.list_folders():
        return False
    from driftmap.pipeline.sources.readers.zarr.anndata_file import is_anndata  # late: zarr is slow to import

    return is_anndata(place)


def _hold_collection(given: object, named: dict[str, Any]) -> Source | None:
    """Hold a collection of Dask, or arrays of which one is; None for everything else."""
    frames = [given, *(given.values() if isinstance(given, Mapping) else given if isinstance(given, tuple) else ())]
    if not any(hasattr(one, "__dask_graph__") for one in frames):
        return None
    from driftmap.pipeline.sources.readers.python import dask_collections  # late: Arrow is slow to import

    if _has_parts(given) or hasattr(given, "chunks"):
        parts = _name_parts(given if _has_parts(given) else (given,))
        name, columns = _name_columns(parts, named)
        if is_sparse(getattr(parts[name], "_meta", None)):
            raise SourceError(f"{name} is a Dask array of sparse blocks; compute() it, and give the sparse matrix")
        if not dask_collections.is_collection(parts[name]):
            raise SourceError("columns of Dask go with vectors of Dask; call compute() of the columns")
        used = _make_spec("", "parquet", named).named_columns
        refuse_missing_columns(list(columns), used, "")
        partitions = dask_collections.from_arrays(parts[name], {one: columns[one] for one in used}, name)
    elif dask_collections.is_collection(given):
        partitions = dask_collections.from_frame(given)
    else:
        raise SourceError(f"a source cannot be made of {type(given).__name__} of Dask; give a data frame or arrays")
    return dask_collections.LazySource(_make_spec("", "parquet", named), partitions)


def list_columns(place: SourcePlace) -> list[str] | None:
    """List the columns of files of rows, without opening all of them; None where that is not known so."""
    from driftmap.pipeline.sources.readers.tables import listing, schemas  # late: Arrow is slow to import

    try:
        return schemas.list_columns(_make_spec(str(place), listing.find_format(place), {}))
    except SourceError:  # another kind of source, or none: opening it says which
        return None


def _hold_windows(given: WindowArrays, named: dict[str, Any], *, must_pin: bool) -> Source:
    roles: dict[str, Any] = {"by": from_python.WINDOW_COLUMN}
    if given.ids is not None:
        roles["id"] = "id"
    if given.labels is not None:
        roles["label"] = ("label",)
    kept = {name: named.pop(name) for name in (*PINNED, *ROW_OPTIONS) if name in named}
    wrong = [name for name, value in named.items() if roles.get(name) not in (value, (value,))]
    if wrong:
        raise ConfigError(
            f"{wrong[0]} is {named[wrong[0]]!r}, but WindowArrays have no named columns; leave {wrong[0]} out"
        )
    return from_python.from_windows(given, _make_spec("", "arrays", roles | kept), must_pin=must_pin)


def _hold_mapping(given: Mapping[str, object], named: dict[str, Any], *, must_pin: bool) -> Source:
    vectors_name, columns = _name_columns(given, named)
    spec = _make_spec("", "arrays", named)
    return from_python.from_columns(columns, given[vectors_name], spec, must_pin=must_pin)  # type: ignore[arg-type]


def _name_columns(given: Mapping[str, object], named: dict[str, Any]) -> tuple[str, dict[str, object]]:
    """Find the vectors among arrays, and the others by name; usual names have their usual roles."""
    vectors_name = named.pop("vectors", "vectors")
    if not isinstance(vectors_name, str):
        if named.get("pin") is None:
            raise ConfigError(f"vectors is {vectors_name!r}; of arrays the name of one matrix (n, d) was expected")
        vectors_name = "vectors"  # as one matrix, what the run had in several columns
    if named.get("exclude") and named.get("pin") is None:
        raise ConfigError(f"exclude is {named['exclude']!r}, but vectors that come as one matrix have no named columns")
    if vectors_name not in given:
        raise SourceError(f"the arrays have no {vectors_name!r}; there are: {', '.join(map(str, given)) or 'none'}")
    columns = {str(name): values for name, values in given.items() if values is not None and name != vectors_name}
    for role, usual in (("id", _ID_NAMES), ("time", _TIME_NAMES), ("label", _LABEL_NAMES)):
        there = [name for name in usual if name in columns]
        if role == "time" and named.get("by") in there:
            continue  # its values name the windows, and need be no times
        if role not in named and there:
            named[role] = there[0]
    return vectors_name, columns


def _has_parts(given: object) -> TypeGuard[Mapping[str, object] | np.ndarray[Any, Any] | tuple[object, ...]]:
    is_matrix = isinstance(given, np.ndarray) or is_sparse(given)
    return is_matrix or isinstance(given, Mapping) or (isinstance(given, tuple) and 1 <= len(given) <= 3)


def _name_parts(given: Mapping[str, object] | np.ndarray[Any, Any] | tuple[object, ...]) -> Mapping[str, object]:
    if isinstance(given, Mapping):
        return given
    parts = given if isinstance(given, tuple) else (given,)
    return dict(zip(("vectors", "id", "time"), parts, strict=False))


def _hold_frame(given: object, named: dict[str, Any], *, must_pin: bool) -> Source:
    if hasattr(given, "__arrow_c_stream__"):
        import pyarrow as pa

        try:
            table = pa.table(given)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise SourceError(
                f"the {type(given).__name__} cannot be read as a table of Arrow ({error}); rename or convert columns"
            ) from error
        return from_python.from_arrow(table, _make_spec("", "arrays", named), must_pin=must_pin)
    adapted = adapt_by_narwhals(given)
    if adapted is not None:
        return from_python.from_arrow(adapted, _make_spec("", "arrays", named), must_pin=must_pin)
    raise SourceError(
        f"a source cannot be made of {type(given).__name__}; give a path, a table, a dict of arrays, a tuple "
        "(vectors, ids), or WindowArrays for a list of windows"
    )


def _check_opened(given: Source, named: dict[str, Any]) -> Source:
    given = _take_clock(given, named.pop("clock", None))
    for name, value in named.items():
        has = getattr(given.spec, name, None)
        if has not in (value, (value,), tuple(value) if isinstance(value, list) else value):
            raise ConfigError(f"{name} is {value!r}, but the source was opened with {has!r}; say it when opening it")
    return given


def _take_clock(given: Source, clock: str | None) -> Source:
    """Have an opened source read dates by a clock; those in memory were read already."""
    spec = given.spec
    if clock in (None, spec.clock):
        return given
    keys = [name for name in (spec.time, spec.by) if name is not None]
    if spec.clock is not None or (
        not spec.path and not needs_workers(given) and any(given.describe_key(name).has_days for name in keys)
    ):
        raise ConfigError(
            f"timezone is {clock!r}, but the source was opened with dates by the clock of {spec.clock or 'UTC'}; give "
            f"clock={clock!r} when opening it"
        )
    spec = spec.model_copy(update={"clock": clock})
    if spec.path:
        return open_source(spec)
    opened = copy(given)
    opened.spec = spec  # type: ignore[misc]
    return opened


def _without_pin(spec: SourceSpec) -> SourceSpec:
    return spec.model_copy(update={"pin": None, "id_type": None})


def _make_spec(path: str, kind: str, named: dict[str, Any]) -> SourceSpec:
    return validate(SourceSpec, {"path": path, "format": kind, **named})
