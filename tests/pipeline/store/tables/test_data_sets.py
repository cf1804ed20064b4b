"""Maps as AnnData and as a data set of xarray: every row, in the order of the table, under names of their own."""

from __future__ import annotations

import sys

import anndata
import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import open_store, run
from driftmap.pipeline.errors import MissingExtraError, StoreError
from driftmap.pipeline.store.tables.data_sets import EMBEDDING

MONTHS = ["2024-11", "2024-12", "2025-01"]


@pytest.fixture(scope="module", params=["texts", "numbers"])
def store(request, tmp_path_factory):
    """Three months of 30 rows with ids, a label of texts and one of numbers, in three dimensions."""
    rng = np.random.default_rng(0)
    numbers = np.concatenate([np.arange(start, start + 30) for start in (0, 5, 10)])
    frame = pd.DataFrame(
        {
            "who": [f"r\u00e9{number}" for number in numbers] if request.param == "texts" else numbers,
            "month": np.repeat(MONTHS, 30),
            "kind": np.where(numbers % 2, "odd", "even"),
            "weight": numbers / 7,
            **{f"v{i}": rng.normal(size=90) for i in range(4)},
        }
    )
    folder = tmp_path_factory.mktemp(request.param) / "s"
    given = {"id": "who", "by": "month", "vectors": "v*", "label": ["kind", "weight"]}
    return run(frame, folder, scheduler="serial", n_epochs=5, n_neighbors=5, n_components=3, **given)


def test_anndata_has_every_row(store, tmp_path):
    table, found = store.to_table(), store.to_anndata()
    assert found.X is None
    assert found.shape == (90, 0)
    assert found.obs_names.is_unique
    assert found.obs_names[30] == f"2024-12/{table['id'][30].as_py()}"
    places = np.concatenate([store.positions(month) for month in MONTHS])
    np.testing.assert_array_equal(found.obsm[EMBEDDING], places)
    assert found.obsm[EMBEDDING].dtype == np.float32
    assert found.obs["window"].cat.categories.tolist() == MONTHS
    assert found.obs["window"].cat.ordered
    assert {"x", "y", "z"}.isdisjoint(found.obs.columns)
    for name in ("window", "window_index", "id", "status", "cluster", "kind", "weight"):
        assert found.obs[name].tolist() == table[name].to_pylist()
    found.write_h5ad(tmp_path / "maps.h5ad")
    again = anndata.read_h5ad(tmp_path / "maps.h5ad")
    np.testing.assert_array_equal(again.obsm[EMBEDDING], places)
    assert again.uns["driftmap"]["windows"].tolist() == MONTHS


def test_xarray_has_every_row(store):
    table, found = store.to_table(), store.to_xarray()
    assert found.sizes == {"row": 90, "axis": 3}
    assert found["axis"].values.tolist() == ["x", "y", "z"]
    assert found["position"].dtype == np.float32
    np.testing.assert_array_equal(found["position"].sel(axis="y"), table["y"].to_numpy())
    assert {*found.coords} == {"window", "window_index", "id", "axis"}
    for name in ("window", "id", "status", "cluster", "kind", "weight"):
        assert found[name].values.tolist() == table[name].to_pylist()
    for month, part in found.groupby("window"):
        np.testing.assert_array_equal(part["position"], store.positions(month))


def test_some_windows(store):
    assert store.to_anndata(["2025-01"]).obs["window"].cat.categories.tolist() == ["2025-01"]
    assert store.to_xarray([0]).sizes["row"] == 30
    for convert in (store.to_anndata, store.to_xarray):
        with pytest.raises(StoreError, match="no window with a map"):
            convert([])


@pytest.mark.parametrize("package", ["anndata", "xarray"])
def test_a_package_that_is_missing_is_named_with_what_to_do(store, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"to_{package} needs {package}, which is not installed; pip install"):
        getattr(open_store(store.path), f"to_{package}")()
