"""Means of rows of one id: the same bytes whether a window is read whole or in blocks, from one piece or several."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline.graphs.block_reader import BlockReader
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.protocol import ReadEstimate
from driftmap.pipeline.sources.rows.pieces import Piece, estimate_merged, read_pieces
from driftmap.pipeline.sources.rows.repeated_ids import RowAverage, choose_rows, group_rows

N_ROWS, N_NUMBERS = 400, 7


def write_pieces(folder, n_pieces):
    """Write rows, most of whose ids come again, in so many files; the same rows in the same order."""
    rng = np.random.default_rng(4)
    ids = np.minimum(rng.integers(0, 300, N_ROWS), rng.integers(0, 300, N_ROWS))
    ids[100:180] = 7  # far more than a block
    vectors = (rng.normal(size=(N_ROWS, N_NUMBERS)) * 10.0 ** rng.integers(-6, 6, (N_ROWS, 1))).astype(np.float32)
    labels = rng.integers(0, 5, N_ROWS)
    pieces = []
    for number, rows in enumerate(np.array_split(np.arange(N_ROWS), n_pieces)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors[rows].ravel()), N_NUMBERS)
        path = folder / f"{n_pieces}-{number}.parquet"
        pq.write_table(pa.table({"id": ids[rows], "kind": labels[rows], "v": column}), path, row_group_size=30)
        spec = as_source(path, id="id", label="kind", duplicates="mean").spec
        pieces.append(Piece(spec, np.array([[0, len(rows)]]), path.name))
    return pieces, ids, vectors, labels


@pytest.mark.parametrize("by_id", [False, True])
def test_blocks_and_pieces_change_no_byte(tmp_path, by_id):
    pieces, ids, vectors, labels = write_pieces(tmp_path, 1)
    whole = read_pieces(pieces, by_id=by_id)
    uniques, firsts = np.unique(ids, return_index=True)
    order = uniques if by_id else ids[np.sort(firsts)]
    assert whole.ids.tolist() == order.tolist()
    means = np.stack([vectors[ids == one].astype(np.float64).mean(axis=0) for one in order])
    np.testing.assert_allclose(whole.vectors, means, rtol=1e-5, atol=1e-9)
    assert whole.labels["kind"].tolist() == [labels[ids == one][0] for one in order]
    several = write_pieces(tmp_path, 3)[0]
    assert read_pieces(several, by_id=by_id).vectors.tobytes() == whole.vectors.tobytes()
    for here, block_rows in ((pieces, 11), (several, 64), (several, 1000)):
        reader = BlockReader(here, block_rows, by_id=by_id)
        beside = reader.read_beside()
        assert beside.ids.tolist() == whole.ids.tolist()
        n = len(whole.ids)
        blocks = [reader.read_vectors(first, first + block_rows) for first in range(0, n, block_rows)]
        assert np.concatenate(blocks).tobytes() == whole.vectors.tobytes()
        backwards = np.arange(n)[::-1]
        assert np.concatenate(list(reader.read_in_order(backwards))).tobytes() == whole.vectors[::-1].tobytes()
        unread = BlockReader(here, block_rows, by_id=by_id)
        assert unread.read_vectors(5, 9).tobytes() == whole.vectors[5:9].tobytes()


def test_no_more_rows_than_a_block_are_read_at_a_time(tmp_path, monkeypatch):
    pieces = write_pieces(tmp_path, 2)[0]
    reader = BlockReader(pieces, 16)
    n_read = []
    read = reader._read_rows
    monkeypatch.setattr(reader, "_read_rows", lambda rows: n_read.append(len(rows)) or read(rows))
    for first in range(0, len(reader.read_beside().ids), 16):
        reader.read_vectors(first, first + 16)
    assert max(n_read) <= 16
    assert sum(n_read) == N_ROWS


def test_a_window_without_repeated_ids_stays_as_it_is():
    assert group_rows(np.array([3, 1, 2]), by_id=True) is None
    groups = group_rows(np.array([5, 2, 5, 2, 9]), by_id=False)
    assert groups.order.tolist() == [0, 2, 1, 3, 4]
    assert groups.firsts.tolist() == [0, 1, 4]
    assert groups.find_rows().tolist() == [0, 1, 0, 1, 2]


def test_the_first_and_last_go_by_time_and_then_by_the_order_of_the_source():
    codes = np.array([1, 1, 1, 4])
    assert choose_rows(codes, "first").tolist() == [True, False, False, True]
    assert choose_rows(codes, "last").tolist() == [False, False, True, True]
    times = np.array([5, 9, 9, 0])
    assert choose_rows(codes, "last", times).tolist() == [False, False, True, True]
    assert choose_rows(codes, "first", times[::-1]).tolist() == [True, False, False, True]


def test_means_do_not_depend_on_how_many_come_at_a_time():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 9, 500)
    vectors = (rng.normal(size=(500, 3)) * 1e6).astype(np.float32)
    counts = np.bincount(groups, minlength=9)
    made = []
    for step in (1, 7, 500):
        average = RowAverage(counts)
        for begin in range(0, 500, step):
            average.add(groups[begin : begin + step], vectors[begin : begin + step])
        made.append(average.finish().tobytes())
    assert len(set(made)) == 1


def test_estimates_count_the_rows_that_are_read():
    def estimate(n_rows):
        return ReadEstimate(10, 8, 1000 * n_rows)

    assert estimate_merged(estimate, 50, 50, 50) == estimate(50)
    whole = estimate_merged(estimate, 50, 50, 400)
    assert whole.peak_bytes > estimate(400).peak_bytes
    block = estimate_merged(estimate, 20, 50, 400)
    assert estimate(20).peak_bytes < block.peak_bytes < estimate(40).peak_bytes
