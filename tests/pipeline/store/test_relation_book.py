"""Relations from outside in a store: written, read back, found by window."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import Coupling
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.relation_book import FOLDER, RelationBook, read_book, relate_given


@pytest.fixture
def book():
    return RelationBook(
        ("a", "b"),
        np.array([[0, 1], [0, 1], [1, 0]]),
        np.array([1, 1, 7]),
        np.array([5, 6, 2]),
        np.array([1, 0.5, 1], dtype=np.float32),
    )


def test_a_book_comes_back_also_after_a_kill_in_the_middle(book, tmp_path):
    location = Location(tmp_path)
    digest = book.write(location)
    files = sorted(path for path in (tmp_path / FOLDER / digest).rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
        assert book.write(location) == digest
        assert path.read_bytes() == before[path]
    found = read_book(location, digest)
    assert found.digest == digest
    assert found.labels == book.labels
    for one, other in zip(found[1:], book[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_damage_is_named(book, tmp_path):
    digest = book.write(Location(tmp_path))
    next((tmp_path / FOLDER / digest / "old_keys").glob("c/*")).write_bytes(b"")
    with pytest.raises(StoreError, match="relations: array"):
        read_book(Location(tmp_path), digest)


def test_rows_are_found_in_either_direction_and_the_newest_book_holds(book):
    first, second = ("a", np.array([1, 2, 3])), ("b", np.array([7, 6, 5]))
    found = book.relate(first, second)
    assert isinstance(found, Coupling)
    assert list(zip(found.old.tolist(), found.new.tolist(), found.weights.tolist(), strict=True)) == [
        (0, 1, 0.5),
        (0, 2, 1.0),
        (1, 0, 1.0),
    ]
    assert book.relate(first, ("c", np.array([7]))) is None
    assert book.relate(("a", np.array([9])), second) is None
    newer = RelationBook(("a", "b"), np.array([[0, 1]]), np.array([3]), np.array([7]), np.ones(1, dtype=np.float32))
    assert relate_given([book, newer], [first, second], [(0, 1)])[0, 1].tolist() == [-1, -1, 0]
