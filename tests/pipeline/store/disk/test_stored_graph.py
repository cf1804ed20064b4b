"""A graph in the store, read some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine import FuzzyGraph
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.disk import arrays
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.disk.packed import GroupFiles
from driftmap.pipeline.store.disk.stored_graph import StoredGraph

N_ROWS = 500


@pytest.fixture(params=[400, 2**20])
def stored(request, tmp_path, monkeypatch):
    """A graph in many chunks, or in one; some rows have no edges, the first and the last among them."""
    monkeypatch.setattr(arrays, "MAX_CHUNK_BYTES", request.param)
    rng = np.random.default_rng(0)
    degrees = rng.integers(0, 12, N_ROWS)
    degrees[[0, -1]] = 0
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    graph = FuzzyGraph(
        indptr, rng.integers(0, N_ROWS, indptr[-1]).astype(np.int32), rng.random(indptr[-1]).astype(np.float32)
    )
    arrays.write_arrays(tmp_path, "g", graph._asdict())
    return graph, StoredGraph(GroupFiles(Location(tmp_path), "g"), "window 'w'", N_ROWS)


@pytest.mark.parametrize("n_rows", [1, 7, 499, 500, 1000])
def test_blocks_are_those_of_the_graph(stored, n_rows):
    graph, afar = stored
    found, expected = list(afar.list_blocks(n_rows)), list(graph.list_blocks(n_rows))
    assert [block.first for block in found] == [block.first for block in expected]
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one.graph, other.graph, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_the_whole_is_the_graph(stored):
    graph, afar = stored
    assert afar.n_rows == graph.n_rows
    np.testing.assert_array_equal(afar.load_indices(), graph.indices)
    for a, b in zip(afar.load(), graph, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_edges_at_all(tmp_path):
    none = FuzzyGraph(np.zeros(4, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    arrays.write_arrays(tmp_path, "g", none._asdict())
    afar = StoredGraph(GroupFiles(Location(tmp_path), "g"), "window 'w'", 3)
    assert [(first, block.n_rows) for first, block in afar.list_blocks(2)] == [(0, 2), (2, 1)]
    assert len(afar.load().data) == 0


def test_damage_is_found_as_rows_are_read(stored, tmp_path):
    file = max((tmp_path / "g" / "indices" / "c").iterdir(), key=lambda path: int(path.name))
    content = bytearray(file.read_bytes())
    content[-6] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"window 'w': array 'indices' .* damaged"):
        list(stored[1].list_blocks(10))
