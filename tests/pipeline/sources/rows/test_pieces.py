"""Rows of a window in pieces: the same in one piece and in several, in whatever order they came."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.rows.pieces import Piece, estimate_pieces, read_piece_columns, read_pieces

N_ROWS, N_FEATURES = 90, 5


def write_part(path, ids, n_features=N_FEATURES):
    vectors = np.random.default_rng(0).normal(size=(N_ROWS, n_features)).astype(np.float32)[ids]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), n_features)
    names = [f"e{number:03}" for number in ids]
    pq.write_table(pa.table({"id": names, "kind": [name[-1] for name in names], "v": column}), path, row_group_size=7)
    spec = as_source(str(path), id="id", vectors="v", label=["kind"]).spec
    return Piece(spec, np.array([[0, len(ids)]]), path.name)


@pytest.fixture
def pieces(tmp_path):
    ids = np.random.default_rng(1).permutation(N_ROWS)
    return [write_part(tmp_path / f"{n}.parquet", part) for n, part in enumerate(np.split(ids, [20, 55]))]


@pytest.fixture
def whole(tmp_path):
    return read_pieces([write_part(tmp_path / "whole.parquet", np.arange(N_ROWS))])


def test_rows_in_pieces_are_those_of_one_piece(pieces, whole):
    rows = read_pieces(pieces[::-1])
    np.testing.assert_array_equal(rows.vectors, whole.vectors)
    np.testing.assert_array_equal(rows.ids, whole.ids)
    np.testing.assert_array_equal(rows.labels["kind"], whole.labels["kind"])


def test_rows_as_they_stand_keep_the_order_of_the_pieces(pieces, whole):
    rows = read_pieces(pieces, by_id=False)
    order = np.argsort(rows.ids)
    assert not np.array_equal(order, np.arange(N_ROWS))
    np.testing.assert_array_equal(rows.vectors[order], whole.vectors)


@pytest.mark.parametrize("block_rows", [1, 16, 1000])
def test_pieces_in_blocks_are_the_whole_window(pieces, whole, block_rows):
    reader = BlockReader(pieces, block_rows, by_id=True)
    assert reader.n_features == N_FEATURES
    columns = reader.read_beside()
    np.testing.assert_array_equal(columns.ids, whole.ids)
    np.testing.assert_array_equal(columns.labels["kind"], whole.labels["kind"])
    for first in range(0, N_ROWS, 30):
        np.testing.assert_array_equal(reader.read_vectors(first, first + 30), whole.vectors[first : first + 30])
    order = np.random.default_rng(2).permutation(N_ROWS)
    np.testing.assert_array_equal(np.concatenate(list(reader.read_in_order(order))), whole.vectors[order])


def test_vectors_that_are_read_first_are_in_order_too(pieces, whole):
    np.testing.assert_array_equal(BlockReader(pieces, 16, by_id=True).read_vectors(10, 20), whole.vectors[10:20])


def test_pieces_that_cannot_be_used_are_named(pieces, tmp_path):
    other = write_part(tmp_path / "odd.parquet", np.arange(3), n_features=4)
    with pytest.raises(SourceError, match=r"odd.parquet: vectors of 4 numbers, where the window's others have 5"):
        read_pieces([*pieces, other])
    with pytest.raises(SourceError, match=r"odd.parquet: vectors differ in length"):
        BlockReader([*pieces, other], 200).read_vectors(0, 93)
    short = pieces[0]._replace(runs=np.array([[0, 1000]]))
    with pytest.raises(SourceError, match=r"0.parquet: rows 0 to 999"):
        read_pieces([short])
    (tmp_path / "1.parquet").unlink()
    for read in (read_pieces, read_piece_columns):
        with pytest.raises(SourceError, match=r"1.parquet"):
            read(pieces)
    with pytest.raises(SourceError, match=r"1.parquet"):
        estimate_pieces(pieces, 10, by_id=True)


def test_ids_of_two_kinds_are_refused(pieces, tmp_path):
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(10, dtype=np.float32)), 5)
    pq.write_table(pa.table({"id": [1, 2], "kind": ["a", "b"], "v": column}), tmp_path / "n.parquet")
    spec = as_source(str(tmp_path / "n.parquet"), id="id", vectors="v", label=["kind"]).spec
    with pytest.raises(SourceError, match=r"n.parquet: ids are numbers, and texts in 0.parquet"):
        read_pieces([*pieces, Piece(spec, np.array([[0, 2]]), "n.parquet")])


def test_the_estimate_counts_what_is_copied(pieces):
    one = estimate_pieces(pieces[:1], N_ROWS, by_id=False)
    assert estimate_pieces(pieces[:1], N_ROWS, by_id=True).peak_bytes >= one.peak_bytes + 4 * N_ROWS * N_FEATURES
    assert estimate_pieces(pieces, N_ROWS, by_id=True).n_features == N_FEATURES
