"""Texts of any length: as objects, packed, staged, spilled, and in the store."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.memory import needs_proc, peak_bytes_of

from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.columns.texts import PackedTexts, to_objects
from driftmap.pipeline.sources.protocol import WindowRows
from driftmap.pipeline.sources.readers.python.arrays import open_arrays
from driftmap.pipeline.sources.rows.pieces import Piece, PieceRows, digest_pieces, digest_prose, read_pieces
from driftmap.pipeline.sources.rows.staged_rows import StagedBlock, StagedRows, pack_rows
from driftmap.pipeline.store.disk.arrays import digest_values, read_checked, write_arrays
from driftmap.pipeline.store.disk.location import Location

TEXTS = ["ä rather long one " * 20, "", "short", None, "short"]


def make_source(**roles):
    columns = {"v": np.arange(5.0), "id": np.arange(5), "t": TEXTS, "title": TEXTS[::-1]}
    return as_source(pa.table(columns), id="id", vectors="v", **roles)


def test_texts_are_as_long_as_they_are():
    labels = make_source(text="t", show="title").read_rows(np.array([[0, 5]])).labels
    assert [text.decode() for text in labels["t"]] == [text or "" for text in TEXTS]
    assert labels["t"].dtype.kind == labels["title"].dtype.kind == "O"
    assert make_source(label="t", show="t").read_rows(np.array([[0, 5]])).labels["t"].dtype.kind == "S"


def test_packed_texts_are_the_same_again():
    texts = to_objects(pa.array([text or "" for text in TEXTS]))
    packed = PackedTexts.of(texts)
    assert packed.take_all().tolist() == texts.tolist()
    assert packed.take(np.array([4, 0])).tolist() == [texts[4], texts[0]]
    assert PackedTexts.of(texts[:0]).take_all().tolist() == []


def test_arrays_from_python_are_spilled_and_mapped_with_them(tmp_path):
    source = make_source(text="t", show="title")
    spilled = open_arrays(source.spill(tmp_path / "arrays").spec)
    runs = np.array([[1, 2], [3, 5]])
    ours, theirs = (one.read_rows(runs).labels for one in (source, spilled))
    assert {name: column.tolist() for name, column in ours.items()} == {
        name: column.tolist() for name, column in theirs.items()
    }
    assert spilled.fingerprint() == source.fingerprint()
    assert spilled.estimate_read(5).text_bytes == source.estimate_read(5).text_bytes > 56


@pytest.mark.parametrize("runs", [[[10, 15]], [[11, 12], [13, 15]]])
def test_staged_rows_have_them(tmp_path, runs):
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    texts = to_objects(pa.array([text or "" for text in TEXTS]))
    ids, kinds = np.arange(5), np.array([b"a", b"b", b"", b"a", b"c"])
    data = pack_rows(WindowRows(vectors, ids, {"kind": kinds, "t": texts}))
    store = Location(tmp_path)
    store.replace("rows", data)
    block = StagedBlock("rows", 0, len(data), 5, zlib.crc32(data))
    staged = StagedRows(store, 2, ("kind", "t"), True, (block,)).open(np.array([[10, 15]]))
    places = np.concatenate([np.arange(first, last) for first, last in runs]) - 10
    read = staged.read_rows(np.array(runs))
    assert read.labels["t"].tolist() == texts[places].tolist()
    assert read.labels["kind"].tolist() == kinds[places].tolist()
    assert np.array_equal(read.vectors, vectors[places])


def test_a_store_has_the_bytes_that_it_had(tmp_path):
    texts = to_objects(pa.array([text or "" for text in TEXTS]))
    wide = np.array(texts.tolist(), dtype="S")
    assert digest_values(texts) == digest_values(wide)
    write_arrays(tmp_path, "new", {"t": texts})
    write_arrays(tmp_path, "old", {"t": wide})
    assert read_checked(tmp_path, "new", "t", "it").tolist() == wide.tolist()
    chunks = [(tmp_path / group / "t" / "c" / "0" / "0").read_bytes() for group in ("new", "old")]
    assert chunks[0] == chunks[1]


@needs_proc
def test_a_window_with_one_long_text_is_read_in_little(tmp_path):
    n = 20_000
    texts = ["word " * 800, *(f"row {number}" for number in range(1, n))]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"v": np.arange(float(n)), "id": np.arange(n), "t": texts}), path)
    source = as_source(path, id="id", vectors="v", text="t")
    pieces = (Piece(source.spec, np.array([[0, n]])),)
    read_pieces((Piece(source.spec, np.array([[1, 100]])),))
    estimate = source.estimate_read(n)
    assert 50 < estimate.text_bytes < 200
    assert peak_bytes_of(lambda: read_pieces(pieces)) < min(2 * estimate.peak_bytes, n * 1_000)


@needs_proc
def test_writing_one_long_text_does_not_take_its_length_for_every_row(tmp_path):
    n = 40_000
    texts = to_objects(pa.array(["x" * 4_000, *(f"row {number}" for number in range(1, n))]))
    write_arrays(tmp_path, "first", {"t": texts[:100]})
    assert peak_bytes_of(lambda: write_arrays(tmp_path, "group", {"t": texts})) < n * 4_000 * 0.9


def test_digests_of_texts_and_of_rows_are_apart():
    spec = make_source(text="t").spec
    texts = to_objects(pa.array([text or "" for text in TEXTS]))
    rows = PieceRows(np.zeros((5, 1), dtype=np.float32), np.arange(5), {"t": texts})
    other = rows._replace(labels={"t": texts[::-1]})
    assert digest_pieces(rows, spec) == digest_pieces(other, spec)
    assert digest_prose(rows, spec) != digest_prose(other, spec)
    turned = PieceRows(rows.vectors, rows.ids[::-1], {"t": texts[::-1]})
    assert digest_prose(turned, spec) == digest_prose(rows, spec)
    assert digest_prose(rows._replace(labels={}), spec) is None
