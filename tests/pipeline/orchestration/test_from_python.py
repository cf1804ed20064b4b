"""What other packages hold gives the maps of the same rows in a table: data frames, Dask, xarray, AnnData."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import zarr
from pyarrow import feather
from scipy import sparse

from driftmap.pipeline import ingest, place, plan, run
from driftmap.pipeline.errors import ConfigError, PlanWarning, SourceError, StoreError
from driftmap.pipeline.sources import as_source, open_source
from driftmap.pipeline.sources.columns.value_ranges import find_sparse_ranges

N_ROWS, N_DAYS, N_NUMBERS = 30, 4, 4
DAYS = pd.date_range("2024-01-01", periods=N_DAYS)
USERS = [f"u{row}" for row in range(N_ROWS)]
SETTINGS = {"n_neighbors": 5, "n_epochs": 8, "scheduler": "serial"}
ROLES = {"time": "day", "id": "user", "label": "kind", "window": "1D"}


def make_frame():
    matrix = np.random.default_rng(0).normal(size=(N_DAYS * N_ROWS, N_NUMBERS)).astype(np.float32)
    columns = {f"e{axis}": matrix[:, axis] for axis in range(N_NUMBERS)}
    kinds = pd.Categorical(["b", "a"] * (len(matrix) // 2), categories=["b", "a"], ordered=True)
    return pd.DataFrame({"day": np.repeat(DAYS, N_ROWS), "user": USERS * N_DAYS, "kind": kinds, **columns})


FRAME = make_frame()
MATRIX = FRAME[[f"e{axis}" for axis in range(N_NUMBERS)]].to_numpy()
CUBE = MATRIX.reshape(N_DAYS, N_ROWS, N_NUMBERS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return list_maps(run(FRAME, tmp_path_factory.mktemp("maps") / "maps", **ROLES, **SETTINGS))


def list_maps(store):
    return [(store.labels[window], store.positions(window).tobytes()) for window in range(store.n_windows)]


def as_narwhals(frame):
    import narwhals

    return narwhals.from_native(frame)


def as_dataset(frame):
    return ds.dataset(pa.Table.from_pandas(frame))


FRAMES = {
    "pandas": lambda frame: frame,
    "pandas by Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "pandas, ids as index": lambda frame: frame.set_index("user"),
    "polars": pl.from_pandas,
    "polars, lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "polars, enum": lambda frame: pl.from_pandas(frame).with_columns(pl.col("kind").cast(pl.Enum(["b", "a"]))),
    "polars, categorical ids": lambda frame: pl.from_pandas(frame).with_columns(pl.col("user").cast(pl.Categorical)),
    "Arrow": pa.Table.from_pandas,
    "Arrow data set": as_dataset,
    "Arrow reader": lambda frame: pa.Table.from_pandas(frame).to_reader(7),
    "narwhals": as_narwhals,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_tables_of_any_kind(tmp_path, expected, kind):
    store = run(FRAMES[kind](FRAME), tmp_path / "maps", **ROLES, **SETTINGS)
    assert list_maps(store) == expected
    assert store.to_table()["kind"].to_pylist()[:2] == ["b", "a"]


IDS = {
    "int": np.arange(N_ROWS),
    "text": USERS,
    "categories": pd.Categorical(USERS),
    "dates": pd.date_range("1990-01-01", periods=N_ROWS),
    "bytes": [f"{row}\0".encode() for row in range(N_ROWS)],
}


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("kind", ["pandas", "polars", "dask"])
def test_kinds_of_ids_of_every_package(tmp_path, kind, ids):
    frame = pd.concat([FRAME[FRAME["day"] == day].assign(user=IDS[ids]) for day in DAYS], ignore_index=True)
    if kind == "dask":
        import dask
        import dask.dataframe as dd

        with dask.config.set({"dataframe.convert-string": False}):
            given = dd.from_pandas(frame, npartitions=3)
    else:
        given = frame if kind == "pandas" else pl.from_pandas(frame)
    store = run(given, tmp_path / "maps", **ROLES, **SETTINGS)
    found = store.to_table()["id"].to_pylist()
    assert found == pa.Table.from_pandas(frame)["user"].to_pylist()


def test_dask_data_frames(tmp_path, expected):
    import dask.dataframe as dd

    frame = dd.from_pandas(FRAME, npartitions=7)
    planned = plan(frame, **ROLES, **SETTINGS)
    assert [window.n_rows for window in planned.windows] == [N_ROWS] * N_DAYS
    assert str(planned.config.source.pin) == "vectors: 4 columns, e0, e1, e2, e3"
    for _ in range(2):
        store = run(frame, tmp_path / "maps", **ROLES, **SETTINGS)
        assert list_maps(store) == expected
    other = dd.from_pandas(FRAME.iloc[::-1], npartitions=7)
    with pytest.raises(SourceError, match="the partitions of another Dask collection than the one that was given"):
        run(other, tmp_path / "maps", **ROLES, **SETTINGS)
    with pytest.raises(SourceError, match=r"a Dask collection was given.* compute\(\)"):
        place(tmp_path / "maps", frame)
    with pytest.raises(SourceError, match=r"a Dask collection was given; write it"):
        ingest(tmp_path / "maps", source=frame, scheduler="serial")
    with pytest.raises(SourceError, match="no column 'absent'"):
        plan(frame, **{**ROLES, "id": "absent"}, **SETTINGS)


def test_dask_arrays(tmp_path, expected):
    import dask.array as da

    arrays = {
        "vectors": da.from_array(MATRIX, chunks=(50, 3)),
        "user": FRAME["user"].to_numpy(),
        "day": da.from_array(FRAME["day"].to_numpy(), chunks=40),
        "kind": FRAME["kind"].to_numpy(),
    }
    assert list_maps(run(arrays, tmp_path / "maps", **ROLES, **SETTINGS)) == expected
    with pytest.raises(SourceError, match="column 'user' has 7 values for 120 vectors"):
        plan({**arrays, "user": arrays["user"][:7]}, **ROLES, **SETTINGS)
    unknown = arrays["vectors"][arrays["vectors"][:, 0] > 0]
    with pytest.raises(SourceError, match=r"of a length that is known \(compute_chunk_sizes\(\)\)"):
        plan({"vectors": unknown}, rows=5, **SETTINGS)


def read_part(number, folder):
    """Read a part of the rows, and note which process did."""
    (folder / f"{number}-{os.getpid()}-{os.urandom(4).hex()}").touch()
    return FRAME.iloc[number * 20 : (number + 1) * 20]


def test_partitions_are_read_on_the_workers_alone(tmp_path, expected):
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    readers = tmp_path / "readers"
    readers.mkdir()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        frame = dd.from_map(read_part, range(6), folder=readers, meta=FRAME.iloc[:0])
        store = run(frame, tmp_path / "maps", **ROLES, **{**SETTINGS, "scheduler": client})
        assert list_maps(store) == expected
    counts = [int(path.name.split("-")[1]) for path in readers.iterdir()]
    assert len(counts) >= 12
    assert os.getpid() not in counts


def make_cube(**coords):
    import xarray as xr

    names = {"time": DAYS, "sample": USERS} | coords
    return xr.DataArray(CUBE, dims=("time", "sample", "feature"), coords=names, name="v")


CUBES = {
    "cube": lambda cube: cube,
    "other order": lambda cube: cube.transpose("feature", "sample", "time"),
    "lazy": lambda cube: cube.chunk({"time": 1, "feature": 3}),
    "data set": lambda cube: cube.to_dataset(name="v").assign(mean=cube.mean(("sample", "feature"))),
    "rows": lambda cube: cube.stack(row=("time", "sample")).transpose("row", "feature").reset_index("row"),
}


@pytest.mark.parametrize("kind", CUBES)
def test_xarray(tmp_path, expected, kind):
    more = {"id": "sample", "time": "time", "window": "1D"} if kind == "rows" else {}
    store = run(CUBES[kind](make_cube()), tmp_path / "maps", **more, **SETTINGS)
    assert list_maps(store) == expected
    assert store.embedding(0)[0].tolist() == USERS


def test_xarray_without_dates_and_what_cannot_be_read(tmp_path):
    years = make_cube(time=[1999, 2000, 2001, 2002], kind=("sample", ["a", "b"] * (N_ROWS // 2)))
    store = run(years, tmp_path / "maps", label="kind", **SETTINGS)
    assert store.labels == ["1999", "2000", "2001", "2002"]
    assert store.to_table()["kind"].to_pylist()[:3] == ["a", "b", "a"]
    with pytest.raises(SourceError, match=r"an xarray of dimensions \(a: 4, b: 30, c: 4\) was given; say which is"):
        plan(years.drop_vars(["time", "sample", "kind"]).rename(time="a", sample="b", feature="c"), **SETTINGS)
    with pytest.raises(SourceError, match=r"dimensions \(time: 4\) was given; \(time, sample, feature\), or"):
        plan(years.mean(("sample", "feature")), **SETTINGS)


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_cube(tmp_path, expected, version):
    cube = make_cube(time=DAYS.tz_localize(None))
    with warnings.catch_warnings(action="ignore"):  # text has no type in Zarr's third format yet
        cube.to_dataset(name="v").to_zarr(tmp_path / "cube.zarr", zarr_format=version, consolidated=False)
    store = run(tmp_path / "cube.zarr", tmp_path / "maps", window="1D", **SETTINGS)
    assert list_maps(store) == expected
    source = as_source(tmp_path / "cube.zarr")
    runs = np.array([[28, 33], [90, 91]])
    np.testing.assert_array_equal(open_source(source.spec).read_rows(runs).vectors, MATRIX[[28, 29, 30, 31, 32, 90]])


@pytest.fixture(scope="module")
def cells():
    import anndata

    obs = FRAME[["day", "user", "kind"]].assign(day=FRAME["day"].dt.strftime("%Y-%m-%d"), depth=np.arange(len(FRAME)))
    obs["batch"] = pd.array([1, None] * (len(FRAME) // 2), dtype="Int64")
    obs.index = [f"cell{row}" for row in range(len(FRAME))]
    return anndata.AnnData(X=MATRIX, obs=obs, obsm={"X_pca": MATRIX, "X_umap": MATRIX[:, :2]})


@pytest.mark.parametrize("kind", ["memory", "h5ad", "zarr"])
def test_anndata(tmp_path, expected, cells, kind):
    given = cells
    if kind != "memory":
        given = tmp_path / f"cells.{kind}"
        with warnings.catch_warnings(action="ignore"):
            cells.copy().write_h5ad(given) if kind == "h5ad" else cells.copy().write_zarr(given)
    store = run(given, tmp_path / "maps", **{**ROLES, "label": ["kind", "batch"]}, **SETTINGS)
    assert list_maps(store) == expected
    table = store.to_table()
    assert table["kind"].to_pylist()[:2] == ["b", "a"]
    np.testing.assert_array_equal(table["batch"].to_pylist()[:2], [1, np.nan])
    alone = {"by": "day", "allow_unrelated": True, **SETTINGS}
    store = run(given, tmp_path / "cells", **alone)  # by the names of observations
    assert store.embedding(1)[0].tolist()[0] == "cell30"
    assert plan(given, vectors="X_umap", **alone).config.source.pin.dimension in (2, None)
    with pytest.raises(SourceError, match=r"vectors is 'X_tsne', and .* the arrays X, X_pca, X_umap; name one of them"):
        plan(given, vectors="X_tsne", **alone)
    with pytest.raises(SourceError, match="no column 'absent'"):
        plan(given, **{**alone, "by": "absent"})
    if kind != "memory":
        assert run(given, tmp_path / "cells", **alone).labels == store.labels


@pytest.mark.parametrize("role", ["id", "day", "group"])
def test_what_a_mask_hides_is_missing(tmp_path, role):
    days = np.repeat(DAYS.to_numpy().astype("M8[us]"), N_ROWS)
    given = {"vectors": MATRIX, "id": np.tile(USERS, N_DAYS), "day": days, "group": np.tile(np.arange(N_ROWS), N_DAYS)}
    given[role] = np.ma.array(given[role], mask=np.arange(len(days)) == 3)
    roles = {"time": "day", "id": "id", "label": "group", "window": "1D", **SETTINGS}
    if role == "group":
        labels = run(given, tmp_path / "maps", **roles).window_labels(0)["group"]
        assert np.flatnonzero(np.isnan(labels)).tolist() == [3]
        return
    with pytest.raises(SourceError, match=f"column '{role}' has no value in row 3 of the source"):
        run(given, tmp_path / "maps", **roles)
    if role == "id":
        assert plan(given, on_bad_rows="drop", **roles).windows[0].n_rows == N_ROWS - 1


KINDS_OF_NUMBERS = {
    "dict": lambda matrix: {"vectors": matrix, "id": USERS * N_DAYS, "w": np.repeat(np.arange(N_DAYS), N_ROWS)},
    "pandas": lambda matrix: (
        pd.DataFrame(matrix).add_prefix("e").assign(**KINDS_OF_NUMBERS["dict"](0) | {"vectors": "-"})
    ),
    "lists": lambda matrix: pa.table(KINDS_OF_NUMBERS["dict"](matrix.tolist())),
    "sparse": lambda matrix: {**KINDS_OF_NUMBERS["dict"](0), "vectors": sparse.csr_array(matrix)},
}


def write_source(path, made, matrix):
    """Write a table to a file of the path's ending, or its columns and the matrix as a Zarr group."""
    if path.suffix == ".zarr":
        group = zarr.create_group(path, overwrite=True)
        for name, values in (
            ("vectors", matrix),
            ("id", made["id"].astype("category").cat.codes.to_numpy()),
            ("w", made["w"].to_numpy()),
        ):
            group.create_array(name, data=values)
    elif path.suffix == ".json":
        path.write_text("".join(json.dumps(row) + "\n" for row in made.to_pylist()))
    elif path.suffix == ".csv":
        made.to_csv(path, index=False)
    else:
        table = made if isinstance(made, pa.Table) else pa.Table.from_pandas(made)
        (pq.write_table if path.suffix == ".parquet" else feather.write_feather)(table, path)
    return path


FILES_OF_NUMBERS = ("parquet", "csv", "lists, parquet", "lists, json", "arrow", "lists, arrow", "zarr")


@pytest.mark.parametrize("kind", [*KINDS_OF_NUMBERS, *FILES_OF_NUMBERS])
@pytest.mark.parametrize(
    "change",
    [
        lambda matrix: matrix.astype(np.float64) + 1e9,
        lambda matrix: np.round(matrix * 100).astype(np.int64) + 2**60,
        lambda matrix: matrix.astype(np.float64) * 1e-200,
        lambda matrix: 0.5 + 1e-9 * matrix.astype(np.float64),
    ],
    ids=["large", "whole", "small", "below 1"],
)
def test_what_float32_would_merge_is_warned_of(tmp_path, kind, change):
    def write(matrix):
        made = KINDS_OF_NUMBERS.get(kind, KINDS_OF_NUMBERS["lists" if "lists" in kind else "pandas"])(matrix)
        return made if kind in KINDS_OF_NUMBERS else write_source(tmp_path / f"x.{kind.split()[-1]}", made, matrix)

    options = {"by": "w", "id": "id", **SETTINGS}
    assert not plan(write(MATRIX), **options).notes
    for scale in ("none", "unit" if kind == "sparse" else "standard"):
        (note,) = plan(write(change(MATRIX)), scale=scale, **options).notes
        assert "rounds away" in note
        is_small = np.abs(change(MATRIX)).max() < 1e-100
        assert note.endswith("multiply them by a constant first" if is_small else "subtract the columns' means first")
    with pytest.warns(PlanWarning, match="vectors hold numbers so (large, for how little|small)"):
        run(write(change(MATRIX)), tmp_path / "maps", **options)


def test_what_sparse_rows_do_not_store_counts_as_zero():
    stored = sparse.csr_array([[1e9, 0.0, -3.0], [1e9 + 1, 2.0, -4.0]])
    assert find_sparse_ranges([stored]) == ((1e9, 0.0, -4.0), (1e9 + 1, 2.0, -3.0))
    wide = sparse.csr_array(np.array([[2**62 + 1, 0, 0, 7]]))
    assert find_sparse_ranges([stored.astype(np.int64), wide]).lows == (10**9, 0, -4, 0)
    assert find_sparse_ranges([wide]).lows == (2**62 + 1, 0, 0, 7)
    assert find_sparse_ranges([stored.astype(np.float32)]) is None
    half = sparse.csr_array(np.where(MATRIX > 0, MATRIX.astype(np.float64) + 1e9, 0))
    columns = {"vectors": half, "w": np.repeat(np.arange(N_DAYS), N_ROWS)}
    assert not plan(columns, by="w", allow_unrelated=True, **SETTINGS).notes


def test_what_is_no_source_is_named(tmp_path):
    with pytest.raises(SourceError, match="a source cannot be made of object; give a path, a table"):
        as_source(object())
    (tmp_path / "a.h5ad").write_bytes(b"no HDF5")
    with pytest.raises(SourceError, match=r"the AnnData .*a\.h5ad cannot be read \(OSError"):
        as_source(tmp_path / "a.h5ad")
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "a.parquet")
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "zarr.json").write_text("{}")
    with pytest.raises(ConfigError, match="vectors_file goes with"):
        as_source(tmp_path / "z", vectors_file=tmp_path / "a.parquet")


def test_tables_that_arrow_cannot_read_and_odd_paths_of_stores_are_refused_in_our_words(tmp_path):
    roles = {"by": "day", "id": "user"}
    for frame in (FRAME.rename(columns={"e1": "e0"}), FRAME.assign(mixed=[1, "a"] * (len(FRAME) // 2))):
        with pytest.raises(
            SourceError, match=r"the DataFrame cannot be read as a table of Arrow \(.*rename or convert"
        ):
            plan(frame, **roles)
    for path in (None, 5, b"maps"):
        with pytest.raises(StoreError, match="a path or URL"):
            run(FRAME, path, **roles)
    with pytest.raises(
        SourceError, match=r"column 'e0' \(float\) cannot be read as ids: some are no whole numbers .*; name another"
    ):
        plan(FRAME, by="day", id="e0")


def test_a_window_is_named_by_text_or_number(tmp_path):
    store = run(FRAME, tmp_path / "maps", **ROLES, **SETTINGS)
    for window in (DAYS[0], 0.0, None):
        with pytest.raises(StoreError, match=r"a label or a number was expected, such as '2024-01-01' or 0"):
            store.embedding(window)
    assert store.embedding(np.int64(0))[0].tolist() == USERS
