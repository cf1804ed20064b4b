"""Relations between the rows of two windows: read, checked, made from ids, turned round, chained, weighed.

A relation always points from the older window to the newer one: old row -> new row.
Dimensions: n rows of the older window, m rows of the newer one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine.core.validation import describe_rows, refuse_masked
from driftmap.engine.errors import InvalidInputError, InvalidRelationError
from driftmap.engine.relations.id_objects import read_objects

if TYPE_CHECKING:
    from driftmap.engine.types import Float32Array, Int64Array, ReadableGraph, Relation

_BLOCK_ROWS = 100_000
"""Rows whose edges are looked at at a time."""
FORMS = "a dict {old row: new row}, an (m, 2) array of such pairs, or an (n,) array of new rows with -1 for none"


def as_relation(given: object, n_old: int, n_new: int, name: str = "relation") -> Relation:
    """Read a relation of two windows in any of its forms.

    Parameters
    ----------
    given
        A dict {old row: new row}; an (m, 2) integer array of (old row, new row); or an (n_old,) integer array with the
        new row of each old row, -1 where it has none. Any of them may be empty. Pairs and (n_old,) are distinguished by
        the number of dimensions alone.
    n_old, n_new
        Rows of the older and of the newer window.
    name
        How messages call it.

    Returns
    -------
    numpy.ndarray of int32
        Shape (n_old,), -1 where an old row has no partner.

    Raises
    ------
    InvalidRelationError
        When rows are out of range, used twice, or not integers.
    """
    old, new = read_pairs(given, n_old, n_new, name)
    check_range(old, new, n_old, n_new, name)
    _check_once(old, "old", "new", new, name)
    _check_once(new, "new", "old", old, name)
    relation = np.full(n_old, -1, dtype=np.int32)
    relation[old] = new
    return relation


class SortedIds(NamedTuple):
    """A window's ids, checked and sorted once for every window that they are related to; made by `sort_ids`."""

    ids: npt.NDArray[Any]
    """In the order of the rows."""
    order: npt.NDArray[np.intp]
    """Rows in the order of their ids."""


def sort_ids(ids: npt.ArrayLike | SortedIds, name: str = "ids") -> SortedIds:
    """Check and sort the ids of one window.

    Parameters
    ----------
    ids
        (n,) ids, each there once: integers, strings, bytes or numpy dates; sorted ones come back as they are.
    name
        How messages call them.

    Returns
    -------
    SortedIds
        Which `relate_ids` takes in place of the ids.

    Raises
    ------
    InvalidInputError
        When they are of another sort, not 1-D, or an id occurs twice.
    """
    if isinstance(ids, SortedIds):
        return ids
    array = _read_ids(ids, name)
    order = np.argsort(array, kind="stable")
    _refuse_repeated(array, array[order], name)
    return SortedIds(array, order)


def relate_ids(old_ids: npt.ArrayLike | SortedIds, new_ids: npt.ArrayLike | SortedIds) -> Relation:
    """Relate the rows of two windows that have the same entity id.

    Parameters
    ----------
    old_ids, new_ids
        (n,) and (m,) ids, unique in each window: integers, strings, bytes or numpy dates, the same sort in both. Where
        a window is related to several others, `sort_ids` of it saves checking and sorting it for each.

    Returns
    -------
    numpy.ndarray of int32
        Shape (n,): the row in `new_ids` with the same id, -1 where there is none.

    Raises
    ------
    InvalidInputError
        When ids occur twice in a window, or the two windows' ids cannot be compared.
    """
    (old, _), (new, order) = sort_ids(old_ids, "old_ids"), sort_ids(new_ids, "new_ids")
    relation = np.full(len(old), -1, dtype=np.int32)
    if len(old) == 0 or len(new) == 0:
        return relation
    if not _are_of_one_sort(old, new):
        msg = f"old_ids are {old.dtype} and new_ids {new.dtype}; the ids of all windows must be of one sort."
        raise InvalidInputError(msg)
    if old.dtype.kind != new.dtype.kind:
        # unsigned ids above int64's range have no signed partner: 2**63 and more cannot be in the other window
        old, new = _as_signed(old), _as_signed(new)
        order = np.argsort(new, kind="stable")
    place = np.minimum(np.searchsorted(new, old, sorter=order), len(new) - 1)
    candidate = order[place]
    is_same = new[candidate] == old
    relation[is_same] = candidate[is_same]
    return relation


def are_comparable(old_ids: SortedIds, new_ids: SortedIds) -> bool:
    """Tell whether the ids of two windows are of one sort, so that `relate_ids` can compare them."""
    return _are_of_one_sort(old_ids.ids, new_ids.ids)


def _are_of_one_sort(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> bool:
    is_empty = len(old) == 0 or len(new) == 0
    return is_empty or old.dtype.kind == new.dtype.kind or {old.dtype.kind, new.dtype.kind} == {"i", "u"}


def check_ids(ids: npt.ArrayLike, name: str = "ids") -> npt.NDArray[Any]:
    """Return a window's entity ids as a 1-D array of integers, strings, bytes or dates, each there once.

    Raises
    ------
    InvalidInputError
        When they are of another sort, not 1-D, or an id occurs twice.
    """
    return sort_ids(ids, name).ids


def _read_ids(ids: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    refuse_masked(ids, name)
    array = _as_array(ids)
    array = array.astype(object) if array.dtype.kind == "T" else array
    if array.ndim != 1:
        msg = f"{name} must be 1-D, one id per row, got shape {array.shape}."
        raise InvalidInputError(msg)
    if len(array) == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "O":
        array = read_objects(array, name)
    if array.dtype.kind not in "iuSUMm":
        missing = np.flatnonzero(np.isnan(array)) if array.dtype.kind == "f" else np.empty(0, dtype=np.intp)
        _refuse_missing(missing, len(array), name)
        msg = f"{name} must be integers, strings, bytes or dates, got dtype {array.dtype}; convert them first."
        raise InvalidInputError(msg)
    if array.dtype.kind in "Mm":
        _refuse_missing(np.flatnonzero(np.isnat(array)), len(array), name)
    return array


def _refuse_missing(missing: npt.NDArray[np.intp], n_rows: int, name: str) -> None:
    """Refuse ids that are NaN or NaT: what tables make of a missing one."""
    if len(missing):
        msg = f"{name} has no id (NaN or NaT) in {describe_rows(missing)} of {n_rows}; drop these rows or fill in."
        raise InvalidInputError(msg)


def _as_array(ids: npt.ArrayLike) -> npt.NDArray[Any]:
    """Read ids as numpy does, but for lists of bytes and texts: numpy cuts their zero bytes off."""
    if isinstance(ids, list | tuple) and any(isinstance(value, bytes | str) for value in ids):
        array = np.empty(len(ids), dtype=object)
        array[:] = ids
        return array
    return np.asarray(ids)


def _refuse_repeated(array: npt.NDArray[Any], ordered: npt.NDArray[Any], name: str) -> None:
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        where = np.flatnonzero(array == repeated[0])
        msg = (
            f"{name} must be unique within a window, but {repeated[0].item()!r} is in rows {where[0]} and {where[1]}"
            f" ({len(repeated)} repeated in all); keep one row per id and window."
        )
        raise InvalidInputError(msg)


def invert_relation(relation: Relation, n_new: int) -> Relation:
    """Turn a relation round.

    Parameters
    ----------
    relation
        int32 (n,), old row -> new row.
    n_new
        Rows of the newer window.

    Returns
    -------
    numpy.ndarray of int32
        Shape (n_new,), new row -> old row, -1 where there is none.

    Raises
    ------
    InvalidRelationError
        When a new row is none of them.
    """
    given = np.asarray(relation)
    old = np.flatnonzero(given >= 0)
    if len(old) and given.max() >= n_new:
        msg = f"relation has the new row {given.max()}, and n_new is {n_new}; give the rows of the newer window."
        raise InvalidRelationError(msg)
    inverse = np.full(n_new, -1, dtype=np.int32)
    inverse[given[old]] = old
    return inverse


def compose_relations(first: Relation, second: Relation) -> Relation:
    """Follow rows through a window between: `first` from window r to s, `second` from s to t.

    Parameters
    ----------
    first, second
        Int32, as long as the older window has rows; -1 for none.

    Returns
    -------
    numpy.ndarray of int32
        As long as `first`: rows of r to rows of t, -1 where either step has no partner.
    """
    first, second = np.asarray(first), np.asarray(second)
    through = np.full(len(first), -1, dtype=np.int32)
    has = np.flatnonzero(first >= 0)
    through[has] = second[first[has]]
    return through


def alignment_weights(base: ReadableGraph, other: ReadableGraph, relation: Relation) -> Float32Array:
    """Weigh each row's pull by how alike its neighbourhoods are in two windows.

    The weight is the Jaccard overlap of the row's graph neighbours, counted over rows that both windows have.

    Parameters
    ----------
    base, other
        Fuzzy graphs of the two windows, (n, n) and (m, m).
    relation
        Rows of `base` to rows of `other`; -1 where a row has none. Either window may be the older one.

    Returns
    -------
    numpy.ndarray of float32
        Shape (n,), in [0, 1]; 0 where `relation` is -1; 1 where no neighbour in either window is in both, since
        nothing then says that the row changed.

    Notes
    -----
    AlignedUMAP's weights (umap-learn 0.5.12, `build_neighborhood_similarities`); ours also cover the last window, and
    relations of any length.
    """
    from driftmap.engine.relations.jaccard_kernel import (
        fill_jaccard,  # late: the rest of this file needs no compiled kernel
    )

    if len(relation) != base.n_rows:
        msg = f"relation must have one entry per row of base, got {len(relation)} for {base.n_rows} rows."
        raise InvalidRelationError(msg)
    if len(relation) and relation.max() >= other.n_rows:
        msg = f"relation points at row {relation.max()} of other, which has {other.n_rows} rows."
        raise InvalidRelationError(msg)
    inverse = invert_relation(relation, other.n_rows)
    weights = np.zeros(len(relation), dtype=np.float32)
    there, seen_by = (other.indptr, other.load_indices()), np.full(other.n_rows, -1, dtype=np.int32)
    for first, block in base.list_blocks(_BLOCK_ROWS):
        fill_jaccard(first, (block.indptr, block.indices), there, relation, inverse, seen_by, weights)
    return weights


def read_pairs(given: object, n_old: int, n_new: int, name: str) -> tuple[Int64Array, Int64Array]:
    """Read the pairs (old row, new row) of a relation in any of its forms; see `as_relation`."""
    if isinstance(given, Mapping):
        pairs = _as_integers([*given.keys(), *given.values()], name)
        return pairs[: len(given)], pairs[len(given) :]
    array = _as_integers(given, name)
    if array.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if array.ndim == 2 and array.shape[1] == 2:
        return array[:, 0], array[:, 1]
    if array.ndim == 1 and len(array) == n_old:
        old = np.flatnonzero(array != -1)
        return old, array[old]
    hint = ""
    if array.ndim == 1 and len(array) == n_new:
        hint = f" It has one entry per row of the newer window: {_looks_inverse(name)}"
    elif array.ndim == 2 and array.shape[0] == 2:
        hint = " Transpose it."
    msg = f"{name} must be {FORMS}; got shape {array.shape} for {n_old} old and {n_new} new rows.{hint}"
    raise InvalidRelationError(msg)


def _as_integers(given: object, name: str) -> Int64Array:
    if isinstance(given, list | tuple):
        _check_kinds(given, name)
    refuse_masked(given, name)
    _refuse_series(given, name)
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError) as error:
        msg = f"{name} must be {FORMS}; got something numpy cannot read: {error}"
        raise InvalidRelationError(msg) from error
    if array.size == 0 and array.ndim in (1, 2):
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        what = f"a {type(given).__name__}" if array.ndim == 0 else f"dtype {array.dtype}"
        is_whole = array.dtype == object and all(isinstance(row, int) for row in array.flat)
        what = "integers beyond int64" if is_whole and array.ndim else what
        msg = f"{name} must be {FORMS}, of integers; got {what}."
        raise InvalidRelationError(msg)
    if array.dtype == np.uint64:  # above int64 it is out of any range, and must not wrap round to a row that exists
        array = np.minimum(array, np.uint64(np.iinfo(np.int64).max))
    return array.astype(np.int64)


def _refuse_series(given: object, name: str) -> None:
    """Refuse a series of pandas whose index is not 0, 1, 2 ...: its values would be read in their own order."""
    index: Any = getattr(given, "index", None)
    if getattr(given, "ndim", 0) != 1 or not hasattr(index, "to_numpy"):
        return
    if not np.array_equal(index.to_numpy(), np.arange(len(index))):
        msg = f"{name} is a series whose index is not 0, 1, 2 ...; give its to_dict() where the index holds old rows, "
        msg += "or its to_numpy() where it is of no matter."
        raise InvalidRelationError(msg)


def _check_kinds(given: Sequence[object], name: str) -> None:
    """Refuse, in plain lists, what numpy would turn into integers or floats without a word."""
    kinds = set(map(type, given))
    nested = tuple(kind for kind in kinds if issubclass(kind, list | tuple))
    if nested:
        rows = itertools.chain.from_iterable(row for row in given if isinstance(row, nested))
        kinds = kinds.difference(nested).union(map(type, rows))
    known = (int, np.integer, np.ndarray)
    others = {kind.__name__ for kind in kinds if kind is bool or not issubclass(kind, known)}
    if others:
        msg = f"{name} must be {FORMS}, of integers; got rows of type {', '.join(sorted(others))}."
        raise InvalidRelationError(msg)


def check_range(old: Int64Array, new: Int64Array, n_old: int, n_new: int, name: str) -> None:
    """Refuse pairs of rows that the windows do not have."""
    if len(old) == 0:
        return
    is_out = (old < 0) | (old >= n_old) | (new < 0) | (new >= n_new)
    if not is_out.any():
        return
    first = int(np.flatnonzero(is_out)[0])
    fits_inverse = old.min() >= 0 and new.min() >= 0 and old.max() < n_new and new.max() < n_old
    hint = f" {_looks_inverse(name)}" if fits_inverse else " Leave rows without a partner out."
    msg = (
        f"{name} has a pair out of range: old row {old[first]} -> new row {new[first]}, but the older window has"
        f" {n_old} rows and the newer {n_new} ({int(is_out.sum())} of {len(old)} pairs are out of range).{hint}"
    )
    raise InvalidRelationError(msg)


def _check_once(rows: Int64Array, side: str, other_side: str, others: Int64Array, name: str) -> None:
    order = np.argsort(rows, kind="stable")
    repeated = np.flatnonzero(np.diff(rows[order]) == 0)
    if len(repeated):
        one, two = order[repeated[0]], order[repeated[0] + 1]
        msg = (
            f"{name} must be one-to-one, but {side} row {rows[one]} is paired with {other_side} rows"
            f" {others[one]} and {others[two]} ({len(repeated)} rows used again in all); keep one pair per row."
        )
        raise InvalidRelationError(msg)


def _looks_inverse(name: str) -> str:
    return f"{name} looks like new row -> old row; give old row -> new row (turn it round)."


def _as_signed(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integer ids as Python ints where int64 cannot hold them, else as int64."""
    if ids.dtype.kind == "u" and ids.max() > np.iinfo(np.int64).max:
        return ids.astype(object)
    return ids.astype(np.int64)
