"""Sparse vectors give the maps of the same vectors in a dense matrix, from Python and from an AnnData."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from driftmap.engine import AlignedUMAP
from driftmap.pipeline import ingest, open_store, place, plan, run
from driftmap.pipeline.errors import ConfigError, PlanError, SourceError, StoreError
from driftmap.pipeline.sources import WindowArrays, as_source, open_source
from driftmap.pipeline.store.verify import find_damage

N_ROWS, N_DAYS, N_FEATURES = 40, 3, 50
DAYS = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]"), N_ROWS)
SETTINGS = {"n_neighbors": 6, "n_epochs": 8, "scheduler": "serial"}
ROLES = {"time": "day", "id": "user", "window": "1D"}


def make_matrix(seed=0):
    """Counts, as of words: most are zero, one row is empty."""
    rng = np.random.default_rng(seed)
    matrix = rng.poisson(0.2, size=(N_DAYS * N_ROWS, N_FEATURES)).astype(np.float32)
    matrix[matrix > 0] += rng.normal(size=int((matrix > 0).sum())).astype(np.float32)
    matrix[7] = 0.0
    return matrix


MATRIX = make_matrix()
IDS = {
    "int": np.tile(np.arange(N_ROWS), N_DAYS),
    "text": np.array([f"ü{row}" for row in range(N_ROWS)] * N_DAYS, dtype=object),
    "bytes": np.array([bytes([row, 0]) for row in range(N_ROWS)] * N_DAYS, dtype=object),
    "dates": np.tile(np.datetime64("1990-01-01") + np.arange(N_ROWS), N_DAYS),
}


def as_columns(vectors, ids="int"):
    return {"vectors": vectors, "user": IDS[ids], "day": DAYS}


def cut_windows(vectors):
    parts = [slice(day * N_ROWS, (day + 1) * N_ROWS) for day in range(N_DAYS)]
    return WindowArrays([vectors[part] for part in parts], ids=[IDS["int"][part] for part in parts])


def list_maps(store):
    return [(store.labels[window], store.positions(window).tobytes()) for window in range(store.n_windows)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return list_maps(run(as_columns(MATRIX), tmp_path_factory.mktemp("maps") / "maps", **ROLES, **SETTINGS))


def with_stored_zeros(matrix):
    found = sparse.coo_array(matrix)
    found.sum_duplicates()
    rows, features = found.coords
    more = (np.append(rows, 3), np.append(features, 5))
    values = np.append(found.data, 0.0)
    order = np.random.default_rng(0).permutation(len(values))
    return sparse.csr_array(sparse.coo_array((values[order], (more[0][order], more[1][order])), shape=matrix.shape))


FORMS = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "float64": lambda matrix: sparse.csr_array(matrix.astype(np.float64)),
    "zeros that are stored, features in no order": with_stored_zeros,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_matrix_of_any_form(tmp_path, expected, form):
    assert list_maps(run(as_columns(FORMS[form](MATRIX)), tmp_path / "maps", **ROLES, **SETTINGS)) == expected


@pytest.mark.parametrize("kind", ["int", "uint", "bool"])
def test_numbers_of_any_type(tmp_path, kind):
    numbers = np.abs(MATRIX).round().astype(kind)
    dense = run(as_columns(numbers), tmp_path / "dense", **ROLES, **SETTINGS)
    other = run(as_columns(sparse.csr_array(numbers)), tmp_path / "sparse", **ROLES, **SETTINGS)
    assert list_maps(other) == list_maps(dense)
    assert open_store(tmp_path / "sparse").config["source"]["pin"]["types"] == [
        f"sparse rows of {'bool' if kind == 'bool' else 'integer'}"
    ]


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_metrics_and_ids(tmp_path, ids, metric):
    settings = {**SETTINGS, "metric": metric}
    dense = run(as_columns(MATRIX, ids), tmp_path / "dense", **ROLES, **settings)
    other = run(as_columns(sparse.csr_array(MATRIX), ids), tmp_path / "sparse", **ROLES, **settings)
    assert list_maps(other) == list_maps(dense)
    assert other.to_table()["id"].equals(dense.to_table()["id"])


def test_windows_as_the_engine_has_them(tmp_path):
    given = cut_windows(sparse.csr_array(MATRIX))
    store = run(given, tmp_path / "maps", **SETTINGS)
    assert list_maps(store) == list_maps(run(cut_windows(MATRIX), tmp_path / "dense", **SETTINGS))
    mapper = AlignedUMAP(n_neighbors=6, n_epochs=8, random_state=42)
    mapper.fit(given.vectors, ids=given.ids)
    for window, graph in enumerate(mapper.graphs_):
        np.testing.assert_array_equal(store.fuzzy_graph(window).data, graph.data)


def test_windows_of_unlike_widths(tmp_path):
    windows = cut_windows(sparse.csr_array(MATRIX))
    wider = sparse.csr_array(np.pad(MATRIX[N_ROWS : 2 * N_ROWS], ((0, 0), (0, 9))))
    vectors = [windows.vectors[0], wider, windows.vectors[2]]
    store = run(WindowArrays(vectors, ids=windows.ids), tmp_path / "maps", **SETTINGS)
    assert list_maps(store) == list_maps(run(windows, tmp_path / "same", **SETTINGS))
    with pytest.raises(SourceError, match="some windows are sparse matrices and others are not"):
        plan(WindowArrays([MATRIX[:9], sparse.csr_array(MATRIX[:9])]), allow_unrelated=True, **SETTINGS)


def test_a_bare_matrix_and_tuples(tmp_path):
    bare = plan(sparse.csr_matrix(MATRIX), rows=N_ROWS, row_stride=20, **SETTINGS)
    assert str(bare.config.source.pin) == "vectors: 1 column, vectors (sparse rows of 50 numbers)"
    timed = plan((sparse.csr_matrix(MATRIX), IDS["text"], DAYS), window="1D", **SETTINGS)
    assert [window.n_shared for window in timed.windows] == [0, N_ROWS, N_ROWS]


def test_workers_resume_and_verify(tmp_path, expected):
    given = as_columns(sparse.csr_array(MATRIX))
    settings = {**SETTINGS, "scheduler": None, "workers": 2}

    def stop(progress):
        if progress.stage == "graphs" and progress.windows_done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(given, tmp_path / "maps", progress=stop, **ROLES, **settings)
    store = run(given, tmp_path / "maps", **ROLES, **settings)
    assert list_maps(store) == expected
    assert not find_damage(store)
    assert list_maps(run(given, tmp_path / "maps", **ROLES, **settings)) == expected
    other = given | {"vectors": sparse.csr_array(make_matrix(1))}
    with pytest.raises(StoreError, match="changed since the store"):
        run(other, tmp_path / "maps", **ROLES, **settings)


def test_scaling_to_unit_length_is_scikit_learns(tmp_path):
    settings = {**SETTINGS, "scale": "unit"}
    store = run(as_columns(sparse.csr_array(MATRIX)), tmp_path / "sparse", **ROLES, **settings)
    from sklearn.preprocessing import normalize

    scaled = run(as_columns(normalize(sparse.csr_array(MATRIX))), tmp_path / "before", **ROLES, **SETTINGS)
    for window in range(N_DAYS):
        one, two = store.fuzzy_graph(window), scaled.fuzzy_graph(window)
        np.testing.assert_array_equal(one.indices, two.indices)
        np.testing.assert_allclose(one.data, two.data, atol=1e-5)


def test_what_sparse_rows_cannot_have_is_refused_before_any_work(tmp_path):
    given = as_columns(sparse.csr_array(MATRIX))
    for scale in ("standard", "robust"):
        with pytest.raises(ConfigError, match=rf"scale is '{scale}', which takes .*MaxAbsScaler"):
            run(given, tmp_path / "maps", **ROLES, **SETTINGS, scale=scale)
    with pytest.raises(ConfigError, match="metric 'haversine' is not known for sparse rows"):
        run(given, tmp_path / "maps", **ROLES, **SETTINGS, metric="haversine")
    assert not (tmp_path / "maps").exists()
    with pytest.raises(PlanError, match="sparse rows are searched as a whole"):
        plan(given, **ROLES, n_neighbors=6, workers=1, worker_memory="300MB")
    with pytest.raises(SourceError, match=r"vectors: a sparse matrix of shape \(120, 50\) and type complex128"):
        plan(as_columns(sparse.csr_array(MATRIX.astype(complex))), **ROLES, **SETTINGS)


def test_bad_rows_are_named_or_dropped(tmp_path):
    bad = MATRIX.copy()
    bad[[3, 90], [4, 6]] = np.nan, np.inf
    given = as_columns(sparse.csr_array(bad))
    with pytest.raises(SourceError, match=r"window '2024-01-01': vectors hold NaN.* in row 3 .* column 'vectors\[4\]'"):
        run(given, tmp_path / "refused", **ROLES, **SETTINGS)
    settings = {**SETTINGS, "on_bad_rows": "drop"}
    dropped = run(given, tmp_path / "maps", **ROLES, **settings)
    assert [window.n_rows for window in dropped.state()] == [N_ROWS - 1, N_ROWS, N_ROWS - 1]
    assert list_maps(dropped) == list_maps(run(as_columns(bad), tmp_path / "dense", **ROLES, **settings))


@pytest.mark.parametrize("rule", ["first", "last", "mean"])
def test_ids_that_come_more_than_once(tmp_path, rule):
    ids = IDS["int"].copy()
    ids[[5, 6, 50]] = [1, 1, 3]
    settings = {**SETTINGS, "duplicates": rule}
    given = as_columns(sparse.csr_array(MATRIX)) | {"user": ids}
    dense = run(given | {"vectors": MATRIX}, tmp_path / "dense", **ROLES, **settings)
    assert list_maps(run(given, tmp_path / "sparse", **ROLES, **settings)) == list_maps(dense)


def test_ingest_and_place(tmp_path):
    later = {"vectors": make_matrix(5)[:N_ROWS], "user": IDS["int"][:N_ROWS], "day": DAYS[:N_ROWS] + 3}
    stores = []
    for name, form in (("sparse", sparse.csr_array), ("dense", np.array)):
        run(as_columns(form(MATRIX)), tmp_path / name, **ROLES, **SETTINGS)
        ingest(tmp_path / name, source=later | {"vectors": form(later["vectors"])}, complete=True, scheduler="serial")
        stores.append(open_store(tmp_path / name))
    assert list_maps(stores[0]) == list_maps(stores[1])
    assert stores[0].n_windows == N_DAYS + 1
    new = make_matrix(6)[:9]
    found = [
        place(stores[0], rows)["x"].to_numpy()
        for rows in (sparse.csr_array(new), {"vectors": sparse.csr_array(new)}, {"vectors": new})
    ]
    assert all(np.array_equal(found[0], other) for other in found[1:])
    np.testing.assert_allclose(found[0], place(stores[1], {"vectors": new})["x"].to_numpy(), atol=1e-3)
    with pytest.raises(SourceError, match=r"vectors are dense, and sparse ones were expected.*csr_array"):
        ingest(tmp_path / "sparse", source=later, scheduler="serial")
    with pytest.raises(SourceError, match=r"vectors are sparse, and dense ones were expected.*toarray"):
        ingest(tmp_path / "dense", source=later | {"vectors": sparse.csr_array(later["vectors"])}, scheduler="serial")
    narrow = later | {"vectors": sparse.csr_array(later["vectors"][:, :9])}
    with pytest.raises(SourceError, match=r"vectors of 9 numbers, and 50 were expected"):
        ingest(tmp_path / "sparse", source=narrow, scheduler="serial")


@pytest.fixture(scope="module")
def cells():
    import anndata

    obs = pd.DataFrame({"day": DAYS.astype(str), "user": IDS["int"]}, index=[f"c{row}" for row in range(len(DAYS))])
    counts = sparse.csr_matrix(MATRIX)
    return anndata.AnnData(X=counts, obs=obs, obsm={"X_pca": MATRIX[:, :4]}, layers={"counts": counts.copy()})


def write_cells(cells, kind, path):
    with warnings.catch_warnings(action="ignore"):
        cells.write_h5ad(path) if kind == "h5ad" else cells.write_zarr(path)
    return path


@pytest.mark.parametrize("name", ["X", "counts"])
@pytest.mark.parametrize("kind", ["memory", "h5ad", "zarr"])
def test_anndata(tmp_path, expected, cells, kind, name):
    given = cells if kind == "memory" else write_cells(cells.copy(), kind, tmp_path / f"cells.{kind}")
    store = run(given, tmp_path / "maps", vectors=name, **ROLES, **SETTINGS)
    assert list_maps(store) == expected
    assert list_maps(run(given, tmp_path / "maps", vectors=name, **ROLES, **SETTINGS)) == expected
    if kind != "memory":
        source = open_source(store_spec(store))
        runs = np.array([[7, 9], [11, 12], [100, 101]])
        read = source.read_rows(runs).vectors
        np.testing.assert_array_equal(read.toarray(), MATRIX[[7, 8, 11, 100]])
        rows = place(tmp_path / "maps", given)
        assert np.isfinite(rows["x"].to_numpy()).all()


def store_spec(store):
    from driftmap.pipeline.config.run_config import RunConfig

    return RunConfig.from_json(store.config).source


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_anndata_by_columns_and_bad_rows(tmp_path, cells, kind):
    held = cells.copy()
    held.X = sparse.csc_matrix(MATRIX)
    bad = MATRIX.copy()
    bad[[2, 60], 1] = np.nan
    held.layers["counts"] = sparse.csr_matrix(bad)
    path = write_cells(held, kind, tmp_path / f"cells.{kind}")
    with pytest.raises(SourceError, match=r"X of .* is a sparse matrix by columns \(CSC\).*tocsr"):
        plan(path, vectors="X", **ROLES, **SETTINGS)
    with pytest.raises(SourceError, match=r"in row 2 of the source, column 'counts\[1\]'"):
        run(path, tmp_path / "refused", vectors="counts", **ROLES, **SETTINGS)
    planned = plan(path, vectors="counts", on_bad_rows="drop", **ROLES, **SETTINGS)
    assert planned.bad_rows.tolist() == [2, 60]
    with pytest.raises(SourceError, match="name one of them"):
        plan(path, vectors="absent", **ROLES, **SETTINGS)


def test_what_is_not_taken_says_what_to_do(tmp_path, cells):
    import anndata
    import dask.array as da

    path = write_cells(cells.copy(), "h5ad", tmp_path / "cells.h5ad")
    with pytest.raises(SourceError, match=r"X of the AnnData lies on disk; give the path"):
        plan(anndata.read_h5ad(path, backed="r"), vectors="X", **ROLES, **SETTINGS)
    blocks = da.from_array(MATRIX, chunks=(40, N_FEATURES)).map_blocks(sparse.csr_matrix)
    with pytest.raises(SourceError, match=r"Dask array of sparse blocks; compute\(\) it"):
        plan({"vectors": blocks}, rows=N_ROWS, **SETTINGS)


def test_rows_that_are_read_are_what_was_given(tmp_path):
    source = as_source(as_columns(sparse.csr_array(MATRIX)), time="day", id="user").spill(tmp_path / "spilled")
    runs = np.array([[0, 3], [7, 8], [50, 120]])
    rows = np.concatenate([np.arange(*run) for run in runs.tolist()])
    opened = open_source(source.spec)
    assert opened.fingerprint() == source.fingerprint()
    for held in opened.hold_rows(runs, 30):
        np.testing.assert_array_equal(held.pick(np.array([0, 2])).vectors.toarray(), MATRIX[held.rows[[0, 2]]])
    np.testing.assert_array_equal(opened.read_rows(runs).vectors.toarray(), MATRIX[rows])
    estimate = opened.estimate_read(10)
    most = np.sort((MATRIX != 0).sum(axis=1))[::-1][:10].sum()
    assert estimate.n_stored == most
    assert estimate.n_features == N_FEATURES
    assert pa.array(opened.key_columns(["user"])["user"]).equals(pa.array(IDS["int"]))
