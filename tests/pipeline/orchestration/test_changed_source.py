"""A source that changes or goes away under a run, or between two: refused, with the file and what is different."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from tests.pipeline.damage import flip_a_bit

from driftmap.pipeline import open_store, run
from driftmap.pipeline.errors import SourceError, StoreError
from driftmap.pipeline.planning.estimates import reading
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources import stamps as module
from driftmap.pipeline.sources.stamps import FileStamp, describe_stamps, explain_change, summarise
from driftmap.pipeline.store import Store

N_WINDOWS, N_ROWS = 4, 40
OPTIONS = {"by": "year", "id": "entity", "vectors": "v", "n_neighbors": 5, "n_epochs": 5, "scheduler": "serial"}


def write_year(folder, year, n_rows=N_ROWS, scale=1.0):
    vectors = scale * np.random.default_rng(year).normal(size=(n_rows, 6)).astype(np.float32)
    columns = {"year": np.full(n_rows, year), "entity": np.arange(n_rows)}
    columns["v"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    pq.write_table(pa.table(columns), folder / f"{year}.parquet")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "years"
    folder.mkdir()
    for year in range(2000, 2000 + N_WINDOWS):
        write_year(folder, year)
    return folder


def describe(**files):
    return {"rows": 9, **describe_stamps(FileStamp(name, *stamp) for name, stamp in files.items())}


def test_each_kind_of_change_is_said_of_its_file():
    stored = describe(a=(10, 5_000_000_000), b=(20, 6), c=(30, 7))
    assert explain_change(stored, stored) == ""
    assert explain_change(stored, describe(a=(10, 6_500_000_000), b=(20, 6), c=(30, 7))) == (
        "a was written at 1970-01-01 00:00:06.500+00:00, was at 1970-01-01 00:00:05.000+00:00"
    )
    now = describe(a=(10, 5_000_000_000), c=(31, 8), d=(1, 1))
    assert explain_change(stored, {**now, "rows": 10}) == (
        "b is gone, c has 31 bytes, had 30, d is new; rows: 9, now 10"
    )


def test_of_many_files_only_the_sum_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MAX_STAMPS", 2)
    stored = describe(a=(10, 5), b=(20, 6), c=(30, 7))
    assert stored.keys() == {"rows", "files", "bytes", "digest"}
    assert explain_change(stored, describe(a=(10, 5), b=(20, 6))).startswith("files: 3, now 2, bytes: 60, now 30, dig")


def test_what_an_older_version_did_not_note_is_no_change():
    now = describe(a=(10, 5))
    assert explain_change(summarise(now), now) == ""
    assert "digest" in explain_change(summarise(now), describe(a=(10, 6)))


@pytest.mark.parametrize("change", ["longer", "touched", "gone", "new"])
def test_a_run_that_goes_on_names_the_file(source, tmp_path, change):
    run(source, tmp_path / "s", **OPTIONS)
    if change == "longer":
        write_year(source, 2001, n_rows=N_ROWS + 1)
        expected = r"2001\.parquet has [\d,]+ bytes, had [\d,]+; rows: 160, now 161"
    elif change == "touched":
        os.utime(source / "2001.parquet", ns=(1, 10**18))
        expected = r"2001\.parquet was written at 2001-09-09 .*, was at 20"
    elif change == "gone":
        (source / "2001.parquet").unlink()
        expected = r"2001\.parquet is gone; rows: 160, now 120"
    else:
        write_year(source, 2009)
        expected = r"2009\.parquet is new; rows: 160, now 200"
    advice = "adds what came" if change == "new" else "takes in what is new"
    with pytest.raises(StoreError, match=rf"changed since .* was made \({expected}.*`driftmap ingest .*` {advice}"):
        run(source, tmp_path / "s", **OPTIONS)


@pytest.mark.parametrize("change", ["written", "gone"])
def test_a_change_under_the_run_stops_it_before_anything_of_it_counts(source, tmp_path, change):
    expected = run(source, tmp_path / "undisturbed", **OPTIONS)
    shutil.copytree(source, tmp_path / "kept")

    def disturb(report):
        if report.stage == "graphs" and report.windows_done == 2:
            if change == "written":
                write_year(source, 2002, scale=2.0)
            else:
                (source / "2002.parquet").unlink()

    said = "was written at" if change == "written" else "is gone"
    with pytest.raises(SourceError, match=rf"window '2002': .*changed while the run was at work \(2002.parquet {said}"):
        run(source, tmp_path / "s", progress=disturb, **OPTIONS)
    assert [window.status for window in open_store(tmp_path / "s").state()] == ["graph", "graph", "planned", "planned"]
    shutil.rmtree(source)
    shutil.copytree(tmp_path / "kept", source)  # with its times
    store = run(source, tmp_path / "s", **OPTIONS)
    for window in range(N_WINDOWS):
        assert store.positions(window).tobytes() == expected.positions(window).tobytes()


@pytest.mark.parametrize(("change", "said"), [("cut", r"has [\d,]+ bytes, had"), ("gone", "it is gone")])
@pytest.mark.parametrize("stage", ["sort", "graphs"])
def test_rows_that_cannot_be_read_any_more_are_a_change(source, tmp_path, monkeypatch, change, said, stage):
    table = pa.concat_tables(pq.read_table(file) for file in sorted(source.iterdir()))
    rows = tmp_path / "rows.parquet"
    pq.write_table(table.take(np.random.default_rng(0).permutation(len(table))), rows, row_group_size=20)
    monkeypatch.setattr(reading, "LEAST_EXCESS_BYTES", 0 if stage == "sort" else 2**40)

    def disturb(report):
        if report.stage == stage and rows.exists():
            if change == "gone":
                rows.unlink()
            else:
                os.truncate(rows, 3000)

    with pytest.raises(SourceError, match=rf"rows\.parquet changed while the run was at work \(.*{said}"):
        run(rows, tmp_path / "s", progress=disturb, **OPTIONS)


@pytest.mark.parametrize(("change", "said"), [("cut", "was changed"), ("gone", "was taken away")])
def test_a_change_before_the_run_has_begun_is_said(source, change, said):
    file = source / "2001.parquet"
    opened = as_source(source, by="year", id="entity", vectors="v")
    if change == "gone":
        file.unlink()
    else:
        os.truncate(file, 10)
    with pytest.raises(SourceError, match=rf"2001\.parquet {said} while it was read"):
        opened.key_columns(["year"])


def test_chunks_of_a_zarr_source_are_named(tmp_path):
    group = zarr.create_group(tmp_path / "data.zarr")
    group.create_array("vectors", data=np.random.default_rng(0).normal(size=(80, 4)), chunks=(40, 4))
    group.create_array("id", data=np.arange(80), chunks=(80,))
    options = {**OPTIONS, "id": "id", "vectors": "vectors", "rows": 40, "allow_unrelated": True}
    del options["by"]
    run(tmp_path / "data.zarr", tmp_path / "s", **options)
    os.utime(tmp_path / "data.zarr/vectors/c/1/0", ns=(1, 10**18))
    with pytest.raises(StoreError, match=r"vectors/c/1/0 was written at 2001-09-09"):
        run(tmp_path / "data.zarr", tmp_path / "s", **options)


def change_unseen(source, year):
    """Write other vectors of a year, with the size and time that its file had."""
    path = source / f"{year}.parquet"
    before = path.stat()
    table = pq.read_table(path)
    vectors = np.ascontiguousarray(-2 * np.asarray(table["v"].combine_chunks().flatten()).reshape(-1, 6))
    changed = table.set_column(2, "v", pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6))
    pq.write_table(changed, path, compression="none", use_dictionary=False)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.fixture
def plain(source):
    for path in source.iterdir():
        pq.write_table(pq.read_table(path), path, compression="none", use_dictionary=False)
    return source


def begin(source, path, n_graphs, with_digests=True, **options):
    """Begin a run that stops once so many graphs are committed."""
    commit = Store.commit_graph

    def commit_or_stop(store, receipt):
        commit(store, receipt if with_digests else {**receipt, "rows_digest": None})
        if sum(window.graph_attempt is not None for window in store.state()) == n_graphs:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit_graph", commit_or_stop)
        with pytest.raises(KeyboardInterrupt):
            run(source, path, **OPTIONS, **options)


@pytest.mark.parametrize("options", [{}, {"memory_limit": "300MB"}])
def test_rows_that_changed_unseen_are_found_when_a_run_goes_on(plain, tmp_path, options):
    begin(plain, tmp_path / "s", 2, **options)
    there = (plain / "2001.parquet").read_bytes(), (plain / "2001.parquet").stat()
    change_unseen(plain, 2001)
    with pytest.raises(SourceError, match=r"window '2001': its rows are others in the source than its graph was built"):
        run(plain, tmp_path / "s", **OPTIONS, **options)
    (plain / "2001.parquet").write_bytes(there[0])
    os.utime(plain / "2001.parquet", ns=(there[1].st_atime_ns, there[1].st_mtime_ns))
    assert run(plain, tmp_path / "s", **OPTIONS, **options).is_complete


def test_a_run_goes_on_where_rows_are_as_they_were(plain, tmp_path):
    begin(plain, tmp_path / "s", 3)
    whole = run(plain, tmp_path / "whole", **OPTIONS)
    again = run(plain, tmp_path / "s", **OPTIONS)
    assert [again.positions(i).tobytes() for i in range(N_WINDOWS)] == [
        whole.positions(i).tobytes() for i in range(N_WINDOWS)
    ]


def test_rows_that_changed_unseen_are_found_by_a_repair(plain, tmp_path):
    store = run(plain, tmp_path / "s", **OPTIONS)
    state = store.state()[1]
    flip_a_bit(store.path / f"windows/00000001/{state.graph_attempt}")
    change_unseen(plain, 2001)
    with pytest.raises(SourceError, match=r"window '2001': graph, array '.*cannot be built again: its rows are o"):
        run(plain, tmp_path / "s", **OPTIONS)


def test_a_graph_without_a_digest_of_its_rows_is_taken_as_it_is(plain, tmp_path):
    begin(plain, tmp_path / "s", 1, with_digests=False)
    change_unseen(plain, 2000)
    assert run(plain, tmp_path / "s", **OPTIONS).is_complete
