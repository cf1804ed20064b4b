"""Relations from outside, as a store keeps them: pairs of rows by window and id, with weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftmap.engine import Coupling, read_relation, relate_ids, sort_ids
from driftmap.pipeline.store.disk.arrays import digest_values, read_checked, write_shared_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine.types import Float32Array, Int64Array, Relation
    from driftmap.pipeline.store.disk.location import Location

    Keys = np.ndarray[Any, Any]

FOLDER = "relations"
"""Folder of a store that holds relations from outside, each under the digest of its content."""


class RelationBook(NamedTuple):
    """Pairs of related rows; rows are named by their ids as the store keeps them (`Store.window_keys`)."""

    labels: tuple[str, ...]
    """Labels of the windows that are named."""
    windows: Int64Array
    """(p, 2) places in `labels`: of the two windows of each pair, in either order."""
    old_keys: Keys
    new_keys: Keys
    """(p,) ids of the two rows of each pair."""
    weights: Float32Array
    """(p,) above 0."""

    @property
    def digest(self) -> str:
        """What tells relations apart: the same for the same pairs and weights."""
        parts = [digest_values(part) for part in self[1:]]
        return hashlib.sha256("\n".join([*self.labels, *parts]).encode()).hexdigest()[:32]

    def names(self, label: str) -> bool:
        """Whether a pair has a row of this window."""
        return label in self.labels

    def relate(self, older: tuple[str, Keys], newer: tuple[str, Keys]) -> Relation | Coupling | None:
        """Relate the rows of two windows, given as label and ids; None where no pair is about rows of both.

        Raises
        ------
        InvalidRelationError
            When a pair is there twice, or its weights cannot be used.
        """
        (old_label, old_ids), (new_label, new_ids) = older, newer
        if old_label not in self.labels or new_label not in self.labels:
            return None
        places = [self.labels.index(old_label), self.labels.index(new_label)]
        here, back = (np.flatnonzero((self.windows == order).all(axis=1)) for order in (places, places[::-1]))
        olds = np.concatenate([_find_rows(self.old_keys[here], old_ids), _find_rows(self.new_keys[back], old_ids)])
        news = np.concatenate([_find_rows(self.new_keys[here], new_ids), _find_rows(self.old_keys[back], new_ids)])
        here = np.concatenate([here, back])
        is_there = (olds >= 0) & (news >= 0)
        if not is_there.any():
            return None
        pairs = Coupling(olds[is_there], news[is_there], self.weights[here[is_there]])
        name = f"relations: {old_label!r} and {new_label!r}"
        return read_relation(pairs, len(old_ids), len(new_ids), name)

    def write(self, location: Location) -> str:
        """Write the pairs to a store, unless they are there; returns their digest."""
        digest = self.digest
        named = {"labels": np.array(self.labels, dtype=np.str_), "windows": self.windows, "weights": self.weights}
        arrays = {**named, "old_keys": self.old_keys, "new_keys": self.new_keys}
        write_shared_arrays(location, f"{FOLDER}/{digest}", arrays)
        return digest


class OutsideRelations(NamedTuple):
    """Relations from outside that maps rest on, and whether rows of equal ids are related too."""

    books: tuple[RelationBook, ...] = ()
    """Oldest first."""
    with_ids: bool = True


NO_RELATIONS = OutsideRelations()


def read_book(location: Location, digest: str) -> RelationBook:
    """Read the relations of a digest.

    Raises
    ------
    StoreError
        When they are missing or damaged.
    """

    def read(name: str) -> np.ndarray[Any, Any]:
        return read_checked(location, f"{FOLDER}/{digest}", name, "relations")

    labels = tuple(str(label) for label in read("labels").tolist())
    return RelationBook(labels, *(read(name) for name in RelationBook._fields[1:]))


def relate_given(
    books: Sequence[RelationBook], windows: Sequence[tuple[str, Keys]], pairs: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Relation | Coupling]:
    """Find the relations from outside of pairs of windows, given as label and ids.

    Of several books, the newest that has any pair of two windows holds for these.
    """
    found: dict[tuple[int, int], Relation | Coupling] = {}
    for older, newer in pairs:
        for book in reversed(books):
            relation = book.relate(windows[older], windows[newer])
            if relation is not None:
                found[older, newer] = relation
                break
    return found


def _find_rows(keys: Keys, ids: Keys) -> Int64Array:
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    uniques, codes = np.unique(keys, return_inverse=True)
    if uniques.dtype.kind == "S" and ids.dtype.kind == "U":
        uniques = np.char.decode(uniques, "utf-8")
    if uniques.dtype.kind == "U" and ids.dtype.kind == "S":
        ids = np.char.decode(ids, "utf-8")
    return relate_ids(sort_ids(uniques), sort_ids(ids)).astype(np.int64)[codes]
