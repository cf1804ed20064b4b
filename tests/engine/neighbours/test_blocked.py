"""A window searched two blocks of rows at a time: the bytes of the search that has it whole."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from driftmap.engine.errors import InvalidInputError
from driftmap.engine.graph.memory import blocked_graph_bytes, choose_block_rows
from driftmap.engine.graph.window_graph import build_window_graph, build_window_graph_from_blocks
from driftmap.engine.neighbours import blocked as row_blocks
from driftmap.engine.neighbours.blocked import find_in_row_blocks
from driftmap.engine.neighbours.search import find_exact
from driftmap.engine.settings import BLAS_METRICS, GraphSettings

N = 700


def make_rows(n=N, d=12, seed=0):
    """Rows of which some are equal, some zero, some constant, some far, with columns that say nothing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) + 5.0 * rng.integers(0, 3, size=(n, 1))
    rows[:, 3] = 7.25
    rows[:, 4] = 0.0
    rows[rng.integers(0, n, size=n // 6)] = rows[5]
    rows[rng.integers(0, n, size=n // 20)] = 0.0
    rows[rng.integers(0, n, size=n // 20)] = 0.1
    rows[rng.integers(0, n, size=3)] *= 1e7
    return rows.astype(np.float32)


def read_from(rows):
    return lambda first, last: rows[first:last]


def assert_equal_graphs(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("block_rows", [1, 23, 100, 350, 699, 700, 5000])
@pytest.mark.parametrize("metric", BLAS_METRICS)
def test_the_bytes_of_the_whole_search(metric, block_rows):
    if block_rows == 1:  # one row at a time: slow, and nothing is left of it but the order
        rows = make_rows(60)
        found = find_in_row_blocks(read_from(rows), 60, 9, metric, 1)
    else:
        rows = make_rows()
        found = find_in_row_blocks(read_from(rows), N, 9, metric, block_rows)
    assert_equal_graphs(found, find_exact(rows, 9, BLAS_METRICS[metric]))


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_tiles_within_blocks(metric, monkeypatch):
    rows = make_rows()
    monkeypatch.setattr(row_blocks, "MAX_TILE_ROWS", 90)
    expected = find_exact(rows, 12, metric)
    for block_rows in (200, 333, 1000):
        assert_equal_graphs(find_in_row_blocks(read_from(rows), N, 12, metric, block_rows), expected)
    with threadpool_limits(1):
        assert_equal_graphs(find_in_row_blocks(read_from(rows), N, 12, metric, 333), expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e25])
def test_blocks_of_other_magnitudes(scale):
    rows = make_rows()
    rows[:200] *= np.float32(1e3)
    rows[400:] *= np.float32(scale)
    expected = find_exact(rows, 9, "euclidean")
    for block_rows in (150, 400):
        assert_equal_graphs(find_in_row_blocks(read_from(rows), N, 9, "euclidean", block_rows), expected)


def test_tight_groups_far_apart(monkeypatch):
    rng = np.random.default_rng(0)
    rows = (1e4 * rng.normal(size=(2, 8))[rng.integers(0, 2, size=N)] + 1e-3 * rng.normal(size=(N, 8))).astype("f4")
    monkeypatch.setattr(row_blocks, "MAX_TILE_ROWS", 64)
    monkeypatch.setattr(row_blocks, "EXACT_SUM_LIMIT", 4)
    types = []
    centre = row_blocks.centre_about
    monkeypatch.setattr(row_blocks, "centre_about", lambda *given: types.append(given[-1]) or centre(*given))
    found = find_in_row_blocks(read_from(rows), N, 5, "euclidean", 250)
    assert types[0] is np.float32  # and once that says too little,
    assert types[-1] is np.float64
    assert_equal_graphs(found, find_exact(rows, 5, "euclidean"))


def test_few_rows():
    rows = make_rows(40)
    for k in (2, 40):
        assert_equal_graphs(find_in_row_blocks(read_from(rows), 40, k, "cosine", 6), find_exact(rows, k, "cosine"))


def test_all_rows_alike():
    rows = np.ones((300, 4), dtype=np.float32)
    found = find_in_row_blocks(read_from(rows), 300, 6, "euclidean", 70)
    assert_equal_graphs(found, find_exact(rows, 6, "euclidean"))


def test_rows_are_read_a_block_at_a_time():
    rows, asked = make_rows(), []
    find_in_row_blocks(lambda *block: asked.append(block) or rows[slice(*block)], N, 5, "euclidean", 300)
    a, b, c = (0, 300), (300, 600), (600, 700)
    assert asked == [a, b, c, b, a, c, c, a, b]


@pytest.mark.parametrize("metric", ["l2", "cosine", "correlation"])
def test_the_graphs_of_a_window(metric):
    rows = make_rows()
    settings = GraphSettings(n_neighbors=11, metric=metric, set_op_mix_ratio=0.4, local_connectivity=2.0)
    found = build_window_graph_from_blocks(read_from(rows), N, settings, 160)
    expected = build_window_graph(rows, settings)
    assert_equal_graphs(found.knn, expected.knn)
    assert_equal_graphs(found.fuzzy, expected.fuzzy)


def test_what_cannot_be_used():
    rows = make_rows()
    with pytest.raises(InvalidInputError, match="metric 'l1' cannot be searched in blocks; give one of euclidean"):
        find_in_row_blocks(read_from(rows), N, 5, "l1", 100)
    with pytest.raises(InvalidInputError, match="k=800 needs at least 800 rows, got 700"):
        find_in_row_blocks(read_from(rows), N, 800, "l2", 100)
    with pytest.raises(InvalidInputError, match="block_rows must be at least 1, got 0"):
        find_in_row_blocks(read_from(rows), N, 5, "l2", 0)
    with pytest.raises(InvalidInputError, match=r"read_rows\(0, 100\) gave 99 rows; 100 were expected"):
        find_in_row_blocks(lambda first, last: rows[first : last - 1], N, 5, "l2", 100)
    with pytest.raises(InvalidInputError, match="rows 100 to 199 have 9 features, those before 12"):
        find_in_row_blocks(lambda first, last: rows[first:last, : 9 if first else 12], N, 5, "cosine", 100)
    rows[130] = np.nan
    with pytest.raises(InvalidInputError, match="rows 100 to 199 holds NaN or infinity in row 30 of 100"):
        find_in_row_blocks(read_from(rows), N, 5, "l2", 100)
    with pytest.raises(InvalidInputError, match="metric"):
        build_window_graph_from_blocks(read_from(rows), N, GraphSettings(metric="hamming"), 100)


def test_the_largest_blocks_that_fit_are_chosen():
    settings = GraphSettings(n_neighbors=5)

    def count(block_rows):
        return blocked_graph_bytes(100_000, 512, settings, block_rows)

    def choose(max_bytes):
        return choose_block_rows(100_000, 512, settings, max_bytes)

    assert choose(count(1_000) - 1) is None
    assert choose(count(10_000)) == 10_000
    assert choose(count(10_000) - 1) == 9_091  # eleven blocks
    assert choose(count(50_000)) == 50_000
    assert choose(10**12) == 100_000
    assert choose_block_rows(500, 8, settings, 10**12) == 500
    assert choose_block_rows(100_000, 512, GraphSettings(metric="l1"), 10**12) is None
    assert choose_block_rows(100_000, 512, GraphSettings(metric_kwds={"p": 1}), 10**12) is None
    assert choose_block_rows(100_000, 512, settings, count(10_000), lambda n: 10_000 * n) < 9_000
