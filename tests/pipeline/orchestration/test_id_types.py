"""Ids of every type come back as they came: from the store, an export, placed rows and the page."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmap.pipeline import ingest, open_store, place, run
from driftmap.pipeline.errors import DriftmapError, SourceError
from driftmap.pipeline.look.page_codec import decode_page
from driftmap.pipeline.look.page_data import read_page
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.readers.python.from_python import WindowArrays
from driftmap.pipeline.store.id_types import as_arrow_type, as_id_column, name_id_type
from driftmap.pipeline.store.tables.table_files import write_table

N_IDS = 8
FAST = {"scheduler": "serial", "n_epochs": 2, "n_neighbors": 4, "lookahead": 1}

_UTC = dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)
TYPES = {
    "uuid": (pa.uuid(), st.uuids(allow_nil=True)),
    "bytes": (pa.binary(), st.binary(max_size=20)),
    "large bytes": (pa.large_binary(), st.binary(max_size=20)),
    "16 bytes": (pa.binary(16), st.binary(min_size=16, max_size=16)),
    "3 bytes": (pa.binary(3), st.lists(st.sampled_from([0, 1, 97]), min_size=3, max_size=3).map(bytes)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "text": (pa.string(), st.text(max_size=12).filter(lambda text: not text.endswith("\0"))),
    "categories": (pa.dictionary(pa.int32(), pa.string()), st.text("abc", max_size=5)),
    "days": (pa.date32(), st.dates()),
    "milliseconds": (pa.timestamp("ms"), st.datetimes(*_UTC).map(lambda time: time.replace(microsecond=0))),
    "times in a zone": (pa.timestamp("us", "Europe/Berlin"), st.datetimes(*_UTC, timezones=st.just(dt.UTC))),
    "times of day": (pa.time64("us"), st.times()),
    "decimals": (pa.decimal128(30, 2), st.integers(-(10**27), 10**27).map(lambda n: decimal.Decimal(n).scaleb(-2))),
}


def make_table(ids, kind, *, n_windows=2):
    rng = np.random.default_rng(0)
    columns = [ids if pa.types.is_dictionary(kind) else pa.array(ids, kind)] * n_windows
    if pa.types.is_dictionary(kind):
        columns = [pa.array(column).dictionary_encode() for column in columns]
    n_rows = n_windows * len(ids)
    vectors = pa.array(rng.normal(size=(n_rows, 3)).astype("f4").tolist())
    return pa.table(
        {"w": np.repeat(np.arange(n_windows), len(ids)), "id": pa.chunked_array(columns), "vector": vectors}
    )


def show(values):
    """Write ids as the page does."""
    if not all(isinstance(value, bytes) for value in values):
        return [str(value.isoformat() if hasattr(value, "isoformat") else value) for value in values]
    texts = [value.decode(errors="replace") for value in values]
    is_text = all("\ufffd" not in text and text.isprintable() for text in texts)
    return texts if is_text else [value.hex() for value in values]


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=3)
@given(data=st.data())
def test_ids_come_back_as_they_were(name, data, tmp_path_factory):
    kind, strategy = TYPES[name]
    ids = data.draw(st.lists(strategy, min_size=N_IDS, max_size=N_IDS, unique=True))
    folder = tmp_path_factory.mktemp("ids")
    table = make_table(ids, kind)
    pq.write_table(table, folder / "rows.parquet")
    store = run(folder / "rows.parquet", folder / "s", by="w", id="id", **FAST)
    exported = store.to_table()
    assert exported["id"].to_pylist() == table["id"].to_pylist()
    write_table(exported, folder / "maps.parquet")
    write_table(exported, folder / "maps.csv")
    assert pq.read_table(folder / "maps.parquet")["id"].to_pylist() == table["id"].to_pylist()
    assert place(store, table)["id"].to_pylist() == table["id"].to_pylist()
    held, _ = store.embedding(0)
    if held.dtype.kind != "M":
        assert held.tolist() == ids
    header, _ = decode_page(read_page(store, measure_windows(store)).text)
    shown = [text if text.strip() else "(empty)" for text in show(table["id"].to_pylist()[:N_IDS])]
    assert sorted(header["entities"]) == sorted(shown)


@pytest.mark.parametrize("name", TYPES)
def test_types_are_named_and_found_by_name(name):
    kind, _ = TYPES[name]
    found = name_id_type(kind)
    if found not in (None, "binary"):
        assert as_arrow_type(found) == kind


UUIDS = [uuid.UUID(int=(number << 64) + (number << 8)) for number in range(N_IDS)]
"""With zero bytes, at the end too."""


def given_from_python(ids):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2 * len(ids), 3))
    columns = {"w": np.repeat([0, 1], len(ids)), "id": ids * 2, **dict(zip("abc", matrix.T, strict=True))}
    yield "pandas", pd.DataFrame(columns)
    yield "arrays", {"vectors": matrix, "id": columns["id"], "w": columns["w"]}
    yield "windows", WindowArrays(list(np.split(matrix, 2)), ids=[ids, ids])
    if isinstance(ids[0], bytes):
        yield "polars", pl.DataFrame(columns)
        yield "numpy", {"vectors": matrix, "id": np.array(columns["id"]), "w": columns["w"]}


@pytest.mark.parametrize("ids", [UUIDS, [b"%d\0%d" % (n // 3, n) for n in range(N_IDS)]], ids=["uuid", "bytes"])
def test_ids_given_from_python_come_back_as_they_were(ids, tmp_path):
    for name, source in given_from_python(ids):
        by = {} if name == "windows" else {"by": "w", "id": "id"}
        store = run(source, tmp_path / name, **by, **FAST)
        assert store.to_table()["id"].to_pylist() == ids * 2, name
        assert store.window_ids(1).tolist() == ids, name


def test_large_whole_numbers_of_a_zarr_array_come_back_as_they_were(tmp_path):
    group = zarr.create_group(tmp_path / "z", zarr_format=3)
    group.create_array("vectors", data=np.random.default_rng(0).normal(size=(2 * N_IDS, 3)))
    group.create_array("id", data=np.tile(np.arange(N_IDS, dtype="u8") + np.uint64(2**63), 2))
    group.create_array("w", data=np.repeat([0, 1], N_IDS))
    store = run(tmp_path / "z", tmp_path / "s", by="w", **FAST)
    assert store.window_ids(0).tolist() == [2**63 + n for n in range(N_IDS)]


@pytest.mark.parametrize(("first", "second"), [(pa.uuid(), pa.binary(16)), (pa.binary(16), pa.uuid())])
def test_later_files_may_hold_the_same_ids_in_a_related_type(first, second, tmp_path):
    ids = [value.bytes for value in UUIDS]
    table = make_table(ids, pa.binary(16), n_windows=3)
    (tmp_path / "rows").mkdir()
    for number, (part, kind) in enumerate([(table[: 2 * N_IDS], first), (table[2 * N_IDS :], second)]):
        chunks = [pa.array([chunk.as_py() for chunk in part["id"]], kind)]
        written = part.set_column(1, "id", pa.chunked_array(chunks))
        pq.write_table(written, tmp_path / "rows" / f"{number}.parquet")
        if number == 0:
            run(tmp_path / "rows", tmp_path / "s", by="w", id="id", **FAST)
    report = ingest(tmp_path / "s", complete=True, scheduler="serial")
    assert report.new == ["2"]
    assert report.store.window_keys(2).tolist() == report.store.window_keys(0).tolist()
    assert report.store.to_table()["id"].type == first


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        (pa.array([b"%d" % n for n in range(N_IDS)]), pa.array([str(n) for n in range(N_IDS)]), "binary was expected"),
        (pa.array([str(n) for n in range(N_IDS)]), pa.array([b"%d" % n for n in range(N_IDS)]), "text were expected"),
        (pa.array(range(N_IDS)), pa.array([2**63 + n for n in range(N_IDS)], pa.uint64()), "give them as text"),
        (pa.array([b"ab"] * N_IDS, pa.binary(2)), pa.array([b"abc"] * N_IDS, pa.binary(3)), "and 2 were expected"),
    ],
)
def test_ids_of_another_type_than_the_runs_are_refused(first, later, message, tmp_path):
    options = {"by": "w", "id": "id"}
    opened = as_source_of(first, options)
    with pytest.raises(SourceError, match=message):
        as_source_of(later, options | {"pin": opened.pin.relax(), "id_type": opened.id_type})


def as_source_of(ids, options):

    table = pa.table({"w": np.zeros(len(ids)), "id": ids, "v": np.ones((len(ids), 2)).tolist()})
    return as_source(table, **options).spec


def test_binary_labels_and_windows_are_readable_text(tmp_path):
    table = make_table([value.bytes for value in UUIDS], pa.binary(16))
    keys = pa.array([b"\xff\0"] * N_IDS + [b"plain"] * N_IDS)
    table = table.append_column("day", keys).append_column("kind", table["id"].cast(pa.uuid()).combine_chunks())
    store = run(table, tmp_path / "s", by="day", id="id", label=["kind", "day"], **FAST)
    assert set(store.labels) == {"ff00", "plain"}
    assert all(len(text) == 32 for text in store.window_labels(0)["kind"])


def test_windows_by_large_whole_numbers(tmp_path):
    table = make_table(list(range(N_IDS)), pa.int64())
    table = table.append_column("key", pa.array([2**63] * N_IDS + [2**64 - 1] * N_IDS, pa.uint64()))
    assert run(table, tmp_path / "s", by="key", id="id", **FAST).labels == [str(2**63), str(2**64 - 1)]


def test_a_store_without_a_type_of_ids_is_read_as_before(tmp_path):
    ids = np.array([b"a\xff", b"b"])
    assert as_id_column(ids, None).to_pylist() == ids.tolist()
    assert as_id_column(np.array(["a", "b"]), None).to_pylist() == ["a", "b"]
    with pytest.raises(DriftmapError):
        open_store(tmp_path / "none")
