"""Relations from outside as users give them: a file, a table, or one relation for each pair of windows."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from driftmap.engine import Coupling, read_relation
from driftmap.pipeline.config.source_spec import SourceSpec
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.key_columns import read_key
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.sources.row_ranges import name_some
from driftmap.pipeline.store.id_types import UUID, as_arrow_type, is_bytes
from driftmap.pipeline.store.relation_book import RelationBook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.types import Float32Array

    Keys = np.ndarray[Any, Any]

COLUMNS = ("window", "id", "other_window", "other_id")
WEIGHT = "weight"
FORMS = (
    "a table, or a file of one (.parquet, .csv, .tsv, .jsonl, .arrow, .feather), with the columns window, id, "
    "other_window, other_id and, where pairs differ, weight; or one relation for each pair of consecutive windows (old "
    "row -> new row: a dict, pairs, or a scipy sparse matrix), or a dict of them by (older window, newer window)"
)


def is_by_rows(given: object) -> bool:
    """Whether relations name rows by their number, window by window."""
    return isinstance(given, list | tuple) or (
        isinstance(given, Mapping) and bool(given) and all(isinstance(key, tuple) and len(key) == 2 for key in given)
    )


def read_relation_rows(given: Any, labels: Sequence[str], read_ids: Callable[[int], Keys]) -> RelationBook:
    """Read one relation for each pair of windows, in which rows are named by their number in the window.

    Parameters
    ----------
    given
        A sequence, one for each pair of consecutive windows; or a dict by (older, newer) window, labels or numbers.
    labels
        Of all windows.
    read_ids
        Gives the ids of a window, by its number.

    Raises
    ------
    DriftmapError
        When there are too few or too many, a window is unknown, or rows are out of range.
    """
    if isinstance(given, Mapping):
        pairs = {tuple(_find_window(name, labels) for name in key): one for key, one in given.items()}
    else:
        if len(given) != len(labels) - 1:
            raise SourceError(f"relations: {len(given)} for {len(labels)} windows; one per pair of consecutive windows")
        pairs = {(place, place + 1): one for place, one in enumerate(given) if one is not None}
    parts: list[tuple[Any, ...]] = []
    for (older, newer), one in pairs.items():
        old_ids, new_ids = read_ids(older), read_ids(newer)
        name = f"relations: {labels[older]!r} and {labels[newer]!r}"
        old, new, weights = _as_pairs(read_relation(one, len(old_ids), len(new_ids), name))
        parts.append((np.tile([older, newer], (len(old), 1)), old_ids[old], new_ids[new], weights))
    if not parts:
        raise SourceError(f"relations: none were given; {FORMS} were expected")
    windows, olds, news, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return RelationBook(tuple(labels), windows.astype(np.int64), olds, news, weights.astype(np.float32))


def read_relation_table(given: Any, spec: SourceSpec, ids: Keys) -> RelationBook:
    """Read a table of related rows, in which rows are named by window and id.

    Parameters
    ----------
    given
        A table, a dict of columns, or the path of a file.
    spec
        Of the source whose rows they are; without ids rows are named by their number in the source.
    ids
        Some of the source's ids, as they are kept.

    Raises
    ------
    DriftmapError
        When a column is missing, ids are of another type than the source's, or weights are not above 0.
    """
    table = _read_table(given)
    window, own_id, other_window, other_id = (table.column(name) for name in COLUMNS)
    labels = [_read_labels(column, name) for column, name in ((window, "window"), (other_window, "other_window"))]
    known, codes = np.unique(np.concatenate(labels), return_inverse=True)
    windows = codes.reshape(2, len(table)).T.astype(np.int64)
    same = np.flatnonzero(windows[:, 0] == windows[:, 1])
    if len(same):
        raise SourceError(
            f"relations: row {same[0]} relates two rows of window {str(known[windows[same[0], 0]])!r}; rows of two "
            "windows were expected"
        )
    keys, other_keys = _read_ids(own_id, "id", spec, ids), _read_ids(other_id, "other_id", spec, ids)
    return RelationBook(tuple(known.tolist()), windows, keys, other_keys, _read_weights(table))


def _as_pairs(relation: Any) -> tuple[Any, Any, Any]:
    if isinstance(relation, Coupling):
        return relation.old, relation.new, relation.weights
    old = np.flatnonzero(relation >= 0)
    return old, relation[old], np.ones(len(old), dtype=np.float32)


def _find_window(name: object, labels: Sequence[str]) -> int:
    if isinstance(name, int | np.integer) and str(name) not in labels and 0 <= name < len(labels):
        return int(name)
    if str(name) not in labels:
        raise SourceError(f"relations: there is no window {name!r}; the windows are {name_some(list(labels))}")
    return list(labels).index(str(name))


def _read_table(given: Any) -> pa.Table:
    try:
        table = _read_file(given) if isinstance(given, str | os.PathLike) else pa.table(given)
    except (pa.ArrowException, TypeError, ValueError, OSError) as error:
        raise SourceError(f"relations cannot be read ({error}); {FORMS} were expected") from error
    table = table.rename_columns([name.strip().lower().replace(" ", "_") for name in table.column_names])
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise SourceError(
            f"relations have no column {missing[0]!r}; their columns are {name_some(table.column_names)}, and window, "
            "id, other_window, other_id and perhaps weight were expected"
        )
    if not len(table):
        raise SourceError("relations: the table has no rows")
    return table


def _read_file(path: str | os.PathLike[str]) -> pa.Table:
    place = SourcePlace(path)
    if place.find_kind() is None:
        raise SourceError(f"relations: no such file: {place}")
    ending = str(path).rpartition(".")[2].lower()
    above = place.above() if place.find_kind() == "file" else place
    stamps = above.stamp_files([place.file_name]) if above is not place else place.list_stamps()
    files, names = above.open_filesystem(stamps), [stamp.path for stamp in stamps]
    if ending in ("csv", "tsv"):
        import pyarrow.csv as pc

        texts = pc.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True)
        parsing = pc.ParseOptions(delimiter="\t" if ending == "tsv" else ",")
        with files.open_input_stream(names[0]) as stream:
            return pc.read_csv(stream, parse_options=parsing, convert_options=texts)
    if ending == "jsonl":
        import pyarrow.json as pj

        with files.open_input_stream(names[0]) as stream:
            return pj.read_json(stream)
    import pyarrow.dataset as ds

    kind = "feather" if ending in ("arrow", "feather", "ipc") else "parquet"
    return ds.dataset(names, format=kind, filesystem=files).to_table()


def _read_labels(column: pa.ChunkedArray, name: str) -> Any:
    # late: the rules of labels are those of planning, which stands above
    values = read_key(column, name, SourceSpec(path="", format="arrays"))
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "M":
        is_midnight = bool((values.astype("datetime64[D]") == values).all())
        return np.datetime_as_string(values, unit="D" if is_midnight else "s")
    if values.dtype.kind == "f":
        values = values.astype(np.int64) if bool((values == np.floor(values)).all()) else values
    return values.astype(np.str_)


def _read_ids(column: pa.ChunkedArray, name: str, spec: SourceSpec, ids: Keys) -> Keys:
    """Read ids as the source's are read; texts, as CSV files have them, are converted."""
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    is_text = pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)
    try:
        if is_text and spec.id_type is not None:
            column = _convert_texts(column, spec.id_type)
        elif is_text and ids.dtype.kind in "iu":
            column = column.cast(pa.string()).cast(pa.int64())
    except (pa.ArrowException, ValueError) as error:
        expected = spec.id_type or "whole numbers"
        raise SourceError(
            f"relations: column {name!r} cannot be read as {expected}, as the ids are ({error})"
        ) from error
    keys = read_key(column, name, spec.model_copy(update={"id": name, "time": None, "by": None}))
    if (keys.dtype.kind in "SU") != (ids.dtype.kind in "SU"):
        found, expected = ("text", "whole numbers") if keys.dtype.kind in "SU" else ("whole numbers", "text")
        raise SourceError(f"relations: the ids of column {name!r} are {found}, and those of the source {expected}")
    return keys


def _convert_texts(column: pa.ChunkedArray, id_type: str) -> pa.ChunkedArray:
    texts = column.to_pylist()
    if id_type == UUID:
        return pa.chunked_array([pa.array([uuid.UUID(text).bytes for text in texts], pa.binary(16))])
    if is_bytes(id_type):
        return pa.chunked_array([pa.array([bytes.fromhex(text) for text in texts], as_arrow_type(id_type))])
    return column.cast(pa.string()).cast(as_arrow_type(id_type))


def _read_weights(table: pa.Table) -> Float32Array:
    if WEIGHT not in table.column_names:
        return np.ones(len(table), dtype=np.float32)
    try:
        weights = np.asarray(table.column(WEIGHT).cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException as error:
        raise SourceError(f"relations: weights cannot be read ({error}); numbers above 0 were expected") from error
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if len(bad):
        raise SourceError(f"relations: weight {weights[bad[0]]} in row {bad[0]}; numbers above 0 were expected")
    scaled: Float32Array = (weights / weights.max()).astype(np.float32)
    return scaled
