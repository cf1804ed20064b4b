"""Sources on S3: what is read there is what is read on disk, and what changes there is noticed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from tests.pipeline.conftest import SECRET

from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SourceError, StoreError
from driftmap.pipeline.ingestion.placing import place
from driftmap.pipeline.ingestion.quarantine import Quarantine
from driftmap.pipeline.sources import as_source, open_source
from driftmap.pipeline.sources.locations import SourcePlace
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.tables.table_files import write_table

if TYPE_CHECKING:
    from pathlib import Path

N_ROWS, N_YEARS = 40, 4
ROLES = {"id": "entity", "by": "year", "vectors": "v"}
SETTINGS = {"n_neighbors": 5, "n_epochs": 8, "block_windows": 2, "scheduler": "serial"}
KINDS = ["file", "folder", "zarr"]


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """The same rows as a file, as a folder of files by year, and as a Zarr group."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(N_YEARS * N_ROWS, 6)).astype(np.float32)
    columns = {"year": np.repeat(np.arange(N_YEARS) + 2000, N_ROWS), "entity": np.tile(np.arange(N_ROWS), N_YEARS)}
    table = pa.table({**columns, "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)})
    pq.write_table(table, folder / "rows.parquet", row_group_size=30)
    for number in range(N_YEARS):
        part = folder / "years" / f"year={2000 + number}" / "part.parquet"
        part.parent.mkdir(parents=True)
        pq.write_table(table.slice(number * N_ROWS, N_ROWS).drop_columns("year"), part)
    group = zarr.create_group(folder / "rows.zarr", zarr_format=2)  # chunks beside each other, unlike those of format 3
    for name, values in (("v", vectors), *columns.items()):
        group.create_array(name, data=values, chunks=(50, *values.shape[1:]))
    return {"file": folder / "rows.parquet", "folder": folder / "years", "zarr": folder / "rows.zarr"}


def upload(path: Path, url: str) -> str:
    """Copy a file, or a folder, to what is returned."""
    whole = f"{url}/{path.name}"
    for file in [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]:
        Location(url).replace(file.relative_to(path.parent).as_posix(), file.read_bytes())
    return whole


@pytest.fixture(scope="module")
def far(on_disk, s3):
    bucket = s3()
    return {kind: upload(path, f"{bucket}/team/data") for kind, path in on_disk.items()}


def make(source, store):
    return run(source, store, **ROLES, **SETTINGS)


def all_positions(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


@pytest.fixture(scope="module")
def alone(on_disk, tmp_path_factory):
    return make(on_disk["file"], tmp_path_factory.mktemp("runs") / "maps")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_on_disk(on_disk, far, kind):
    near, there = as_source(on_disk[kind], **ROLES), as_source(far[kind], **ROLES)
    assert there.spec.path == far[kind]
    there = open_source(there.spec)  # as a worker does
    assert there.n_rows == near.n_rows == N_YEARS * N_ROWS
    runs = np.array([[3, 7], [70, 71], [100, 160]])
    for some in (None, runs):
        for name, values in near.key_columns(["entity", "year"], some).items():
            np.testing.assert_array_equal(there.key_columns([name], some)[name], values)
    np.testing.assert_array_equal(there.read_rows(runs).vectors, near.read_rows(runs).vectors)
    np.testing.assert_array_equal(there.read_rows(runs).ids, near.read_rows(runs).ids)
    assert there.estimate_read(40).peak_bytes >= near.estimate_read(40).peak_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_of_the_data_on_disk(far, alone, tmp_path, kind):
    store = make(far[kind], tmp_path / "maps")
    assert all_positions(store) == all_positions(alone)
    files = [path for path in store.path.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_anew_within_a_second_is_noticed(on_disk, s3, kind):
    url = upload(on_disk[kind], s3())
    before = as_source(url, **ROLES).fingerprint()
    assert as_source(url, **ROLES).fingerprint() == before
    names = {"file": "", "folder": "/year=2001/part.parquet", "zarr": "/v/1.0"}
    place = SourcePlace(url + names[kind])
    content = place.above().read(place.file_name)
    place.above().replace(place.file_name, content[:40] + bytes([content[40] ^ 1]) + content[41:])
    assert as_source(url, **ROLES).fingerprint() != before


def test_a_changed_source_is_refused_and_named(on_disk, s3, tmp_path):
    url = upload(on_disk["folder"], s3())
    make(url, tmp_path / "maps")
    make(url, tmp_path / "maps")
    changed = pq.read_table(on_disk["folder"] / "year=2001" / "part.parquet", partitioning=None).slice(1)
    pq.write_table(changed, tmp_path / "part.parquet")
    Location(url).replace("year=2001/part.parquet", (tmp_path / "part.parquet").read_bytes())
    with pytest.raises(StoreError, match=r"the source s3://.*years changed .*year=2001/part.parquet has .* bytes, had"):
        make(url, tmp_path / "maps")


def test_what_is_not_there_is_said(far, s3):
    bucket = s3()
    with pytest.raises(SourceError, match=f"no such file or folder: {bucket}/absent.parquet"):
        as_source(f"{bucket}/absent.parquet", **ROLES)
    with pytest.raises(SourceError, match=f"no such file or folder: {bucket}"):
        as_source(bucket, **ROLES)
    with pytest.raises(SourceError, match="the source s3://absent-bucket/x cannot be read: there is no such bucket"):
        as_source("s3://absent-bucket/x", **ROLES)
    with pytest.raises(SourceError, match="no place for a source; give a folder, or s3://BUCKET/PREFIX"):
        as_source("ftp://bucket/x", **ROLES)
    with pytest.raises(SourceError, match="leave credentials out"):
        as_source(f"s3://key:{SECRET}@bucket/x", **ROLES)
    Location(bucket).create("letters/a.txt", b"dear")
    with pytest.raises(SourceError, match="letters has no files that are read"):
        as_source(f"{bucket}/letters", **ROLES)
    with pytest.raises(SourceError, match=r"a\.txt is of no format that is read"):
        as_source(f"{bucket}/letters/a.txt", **ROLES)
    spec = as_source(far["folder"], **ROLES).spec
    with pytest.raises(SourceError, match=r"year=1999/part\.parquet is gone"):
        open_source(spec.model_copy(update={"files": ("year=1999/part.parquet",)}))


def test_what_comes_later_is_ingested_and_placed(on_disk, s3, tmp_path, monkeypatch, capsys):
    """By the command line and a TOML file, into a folder and into a store on S3."""
    monkeypatch.chdir(tmp_path)
    bucket = s3()
    url = upload(on_disk["folder"], f"{bucket}/data")
    flags = ["--by=year", "--id=entity", "--vectors=v", "--n-neighbors=5", "--n-epochs=8", "--scheduler=serial"]
    assert run_command(["plan", url, *flags]) == 0
    assert run_command(["run", url, *flags]) == 0
    assert (tmp_path / "years-maps.zarr").is_dir()
    (tmp_path / "run.toml").write_text(f'source = "{url}"\nstore = "{bucket}/maps"\n')
    assert run_command(["run", "run.toml", *flags]) == 0
    latest = (on_disk["folder"] / "year=2003" / "part.parquet").read_bytes()
    for name in ("year=2004/part.parquet", "year=2005/part.parquet"):
        Location(url).create(name, latest)
    assert run_command(["ingest", "years-maps.zarr"]) == 0
    assert ingest(f"{bucket}/maps", scheduler="serial").new == ["2004"]
    here, there = open_store("years-maps.zarr"), open_store(f"{bucket}/maps")
    assert here.n_windows == 5
    assert all_positions(here) == all_positions(there)
    placed = place("years-maps.zarr", f"{url}/year=2000/part.parquet")
    assert placed.num_rows == N_ROWS
    output = capsys.readouterr()
    assert SECRET not in output.out + output.err


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_relations_there(on_disk, s3, tmp_path, ending):
    years = np.repeat(np.arange(N_YEARS - 1) + 2000, N_ROWS)
    ids = np.tile(np.arange(N_ROWS), N_YEARS - 1)
    pairs = pa.table({"window": years, "id": ids, "other_window": years + 1, "other_id": (ids + 1) % N_ROWS})
    write_table(pairs, tmp_path / f"pairs.{ending}")
    url = upload(tmp_path / f"pairs.{ending}", s3())
    planned = plan(on_disk["file"], **ROLES, relations=url, relations_only=True)
    assert [window.n_shared for window in planned.windows] == [0, *[N_ROWS] * (N_YEARS - 1)]
    assert (
        planned.config.relations
        == plan(on_disk["file"], **ROLES, relations=pairs, relations_only=True).config.relations
    )
    with pytest.raises(SourceError, match="no such file"):
        plan(on_disk["file"], **ROLES, relations=url.replace("pairs", "gone"))


@pytest.mark.parametrize("is_far", [True, False], ids=["source on S3", "source here"])
@pytest.mark.parametrize("is_aside_far", [True, False], ids=["to S3", "to a folder"])
def test_bad_files_are_set_aside_from_and_to_s3(on_disk, s3, tmp_path, is_far, is_aside_far):
    bucket = s3()
    shutil.copytree(on_disk["folder"], tmp_path / "years")
    source = upload(tmp_path / "years", bucket) if is_far else str(tmp_path / "years")
    aside = f"{bucket}/aside" if is_aside_far else str(tmp_path / "aside")
    run(source, tmp_path / "maps", **ROLES, **SETTINGS)
    name = "year=2004/part.parquet"
    table = pq.read_table(on_disk["folder"] / "year=2003" / "part.parquet").drop_columns("v")
    pq.write_table(table, tmp_path / "bad.parquet")
    content = (tmp_path / "bad.parquet").read_bytes()
    Location(source).create(name, content)
    good = (on_disk["folder"] / "year=2003" / "part.parquet").read_bytes()
    Location(source).create("year=2005/part.parquet", good)
    Location(source).create("year=2006/part.parquet", good)
    report = ingest(tmp_path / "maps", scheduler="serial", quarantine=aside)
    assert (report.quarantined, report.new) == ([name], ["2005"])
    assert not Location(source).has(name)
    assert Location(aside).read(name) == content
    assert b"no column 'v'" in Location(aside).read(f"{name}.reason.txt")


def test_a_quarantine_is_refused_where_files_cannot_go(on_disk, s3, tmp_path):
    source = upload(on_disk["folder"], s3())
    run(source, tmp_path / "maps", **ROLES, **SETTINGS)
    with pytest.raises(ConfigError, match=r"quarantine is s3://.*/bad, inside the source s3://"):
        ingest(tmp_path / "maps", quarantine=f"{source}/bad")
    with pytest.raises(ConfigError, match=r"no place for a quarantine; give a folder, or s3://BUCKET/PREFIX"):
        ingest(tmp_path / "maps", quarantine="ftp://host/bad")
    spec = as_source(source, **ROLES).spec.model_copy(update={"path": "https://host/rows.parquet"})
    with pytest.raises(ConfigError, match=r"files of the source https://host/rows.parquet cannot be moved there"):
        Quarantine(tmp_path / "bad", spec)
    assert ingest(tmp_path / "maps", scheduler="serial", quarantine=f"{source}/_bad").did_nothing
