"""The order of windows by a column: numbers in texts, months, categories, or what was given."""

from __future__ import annotations

import calendar
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline import ingest, open_store, plan, run
from driftmap.pipeline.errors import ConfigError, PlanError
from driftmap.pipeline.planning.value_order import sort_texts


def put_in_order(texts, order="natural"):
    return [texts[number] for number in sort_texts(texts, order).tolist()]


@pytest.mark.parametrize(
    "expected",
    [
        ["v1", "v2", "v9", "v10"],
        ["1.9.0", "1.10.0", "2.0.0"],
        ["a", "a1", "a1b", "a2", "b"],
        ["week 9", "week 10", "week 100"],
        ["-2", "0.5", "3", "10"],
        ["Jan", "Feb", "Mar", "Oct"],
        ["january", "March", "MAY", "december"],
        ["Dec 2023", "Jan 2024", "Feb 2024"],
        ["2023-Nov", "2024-Jan", "2024-Feb"],
        ["mayor", "newt", "owl"],
        ["2024-01", "2024-02", "2024-10"],
        ["9", "10", "b"],
        ["Oct-23", "Nov-23", "Dec-23", "Jan-24", "Feb-24"],
        ["Dec '98", "Jan '99", "Jun '02"],
        ["Sep 97", "Oct 98", "Jan 01"],
        ["Jan-30", "Jan-31", "Feb-01", "Mar-02"],
        ["Q4 2023", "Q1 2024", "Q2 2024"],
        ["2023-Q4", "2024Q1", "2024 q2"],
        ["Q1", "Q2", "Q3", "Q4"],
        ["01.10.2023", "01.11.2023", "1.2.2024"],
        ["31/10/2023", "01/02/2024"],
        ["10/31/2023", "02/01/2024"],
        ["10/01/2023", "11/01/2023", "01/01/2024"],
        ["9/1/2023", "10/1/2023", "1/1/2024"],
        ["Q1 2024", "Q5 2023"],
    ],
)
def test_natural_order(expected):
    assert put_in_order(sorted(expected)) == expected
    assert put_in_order(expected[::-1]) == expected


def test_all_months_are_known():
    for names in (list(calendar.month_name)[1:], list(calendar.month_abbr)[1:]):
        assert put_in_order(sorted(names)) == names


def test_stores_of_before_keep_their_order():
    assert put_in_order(["v9", "v10", "v2"], None) == ["v10", "v2", "v9"]
    assert put_in_order(["10", "9"], None) == ["9", "10"]


@given(texts=st.lists(st.text("ab01 .-", max_size=5), unique=True))
def test_any_texts_have_one_order_whatever_order_they_come_in(texts):
    assert put_in_order(sorted(texts)) == put_in_order(texts) == put_in_order(texts[::-1])
    assert sorted(put_in_order(texts)) == sorted(texts)


@given(
    order=st.permutations(["low", "mid", "high"]), others=st.lists(st.sampled_from(["v1", "v2", "v10"]), unique=True)
)
def test_a_given_order_comes_first_and_other_values_follow(order, others):
    assert put_in_order([*others, *sorted(order)], order) == [*order, *put_in_order(others)]


def make_frame(values, *, ordered=None):
    frame = pd.DataFrame({"id": np.tile(np.arange(20), len(values))})
    frame[["a", "b"]] = np.random.default_rng(0).normal(size=(len(frame), 2))
    windows = np.repeat(values, 20)
    frame["w"] = windows if ordered is None else pd.Categorical(windows, categories=ordered, ordered=True)
    return frame


OPTIONS = {"by": "w", "id": "id", "n_neighbors": 5, "n_epochs": 5}
LEVELS = ["low", "mid", "high"]


@pytest.mark.parametrize("kind", ["pandas", "parquet", "folder", "arrays"])
def test_ordered_categories_keep_their_order(tmp_path, kind):
    frame = make_frame(["high", "low", "mid"], ordered=LEVELS)
    source = frame
    if kind == "parquet":
        source = tmp_path / "x.parquet"
        frame.to_parquet(source)
    elif kind == "folder":
        source = tmp_path / "x"
        source.mkdir()
        for number, (_, part) in enumerate(frame.groupby("w", observed=True)):
            part.to_parquet(source / f"{number}.parquet")
    elif kind == "arrays":
        source = {"vectors": frame[["a", "b"]].to_numpy(), "id": frame["id"], "w": frame["w"]}
    made = plan(source, **OPTIONS)
    assert [window.label for window in made.windows] == LEVELS
    assert made.rule == "Windows are in the order of 'w': low, mid, high"


@pytest.mark.parametrize("kind", ["h5ad", "zarr", "memory"])
def test_ordered_categories_of_an_anndata_keep_their_order(tmp_path, kind):
    anndata = pytest.importorskip("anndata")
    frame = make_frame(["high", "low", "mid"], ordered=LEVELS)
    obs = frame[["w", "id"]].set_index(frame.index.astype(str))
    given = anndata.AnnData(frame[["a", "b"]].to_numpy(), obs=obs.assign(plain=obs["w"].astype(str)))
    source = given
    if kind != "memory":
        source = tmp_path / ("x.h5ad" if kind == "h5ad" else "x.zarr")
        with warnings.catch_warnings():  # of the format of Zarr that anndata writes next year
            warnings.simplefilter("ignore")
            (given.write_h5ad if kind == "h5ad" else given.write_zarr)(source)
    for column, labels in (("w", LEVELS), ("plain", ["high", "low", "mid"])):
        made = plan(source, **{**OPTIONS, "by": column}, vectors="X", allow_unrelated=True)
        assert [window.label for window in made.windows] == labels


@pytest.mark.slow
def test_ordered_categories_of_a_dask_data_frame_keep_their_order(tmp_path):
    frames = pytest.importorskip("dask.dataframe")
    frame = make_frame(["high", "low", "mid"], ordered=LEVELS)
    store = run(frames.from_pandas(frame, npartitions=2), tmp_path / "s", scheduler="serial", **OPTIONS)
    assert store.labels == LEVELS


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"]), ["2024-01-03", "2024-01-01", "2024-01-02"]),
        ([3.0, 1.0, 2.0], ["3", "1", "2"]),
        ([3.5, 1.5, 2.5], ["3.5", "1.5", "2.5"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_ordered_categories_that_are_no_text_keep_their_order(values, labels):
    frame = make_frame(sorted(values), ordered=values)
    assert [window.label for window in plan(frame, **OPTIONS).windows] == labels


def test_categories_of_moments_are_shown_by_the_clock_of_their_zone():
    moments = pd.date_range("2024-01-01", periods=2, tz="Asia/Tokyo")
    frame = make_frame(moments, ordered=moments[::-1])
    assert [window.label for window in plan(frame, **OPTIONS).windows] == ["2024-01-02", "2024-01-01"]


def test_an_order_can_be_given(tmp_path):
    frame = make_frame(["high", "low", "mid"])
    assert [window.label for window in plan(frame, **OPTIONS).windows] == ["high", "low", "mid"]
    for order in ("low,mid, high", LEVELS, (*LEVELS, "none yet")):
        assert [window.label for window in plan(frame, **OPTIONS, order=order).windows] == LEVELS
    assert [w.label for w in plan(make_frame(["v2", "v10"]), **OPTIONS, order="text").windows] == ["v10", "v2"]
    with pytest.raises(PlanError, match=r"order does not name 'high', which column 'w' has"):
        plan(frame, **OPTIONS, order="low,mid")
    with pytest.raises(ConfigError, match=r"order: 'low' is in it more than once"):
        plan(frame, **OPTIONS, order="low,low")
    with pytest.raises(ConfigError, match=r"order is 'natural', but by is not given"):
        plan(frame, rows=20, id="id", order="natural")


def test_a_run_keeps_the_order_and_an_ingest_goes_on_in_it(tmp_path):
    (tmp_path / "x").mkdir()
    make_frame(["v9", "v10"]).to_parquet(tmp_path / "x" / "1.parquet", index=False)
    store = run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS)
    assert store.labels == ["v9", "v10"]
    assert run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS, order="natural").labels == store.labels
    with pytest.raises(ConfigError, match="order: store has 'natural', now 'text'"):
        run(tmp_path / "x", tmp_path / "s", scheduler="serial", **OPTIONS, order="text")
    make_frame(["v100", "v11"]).to_parquet(tmp_path / "x" / "2.parquet", index=False)
    assert ingest(tmp_path / "s", scheduler="serial", complete=True).new == ["v11", "v100"]
    assert open_store(tmp_path / "s").labels == ["v9", "v10", "v11", "v100"]


def test_a_parquet_file_of_several_dictionaries_is_read_in_the_order_of_the_first(tmp_path):
    kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    tables = []
    for number, values in enumerate((["b", "a"], ["b", "a", "c"])):
        codes = pa.array(np.repeat(np.arange(len(values)), 9), pa.int8())
        columns = {"w": pa.DictionaryArray.from_arrays(codes, values, ordered=True)}
        columns["id"] = np.tile(np.arange(9), len(values)) + 10 * number
        columns["a"] = np.random.default_rng(number).normal(size=len(codes))
        tables.append(pa.table(columns))
    assert tables[0].schema.field("w").type == kind
    (tmp_path / "x").mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, tmp_path / "x" / f"{number}.parquet")
    made = plan(tmp_path / "x", **OPTIONS, allow_unrelated=True)
    assert [window.label for window in made.windows] == ["b", "a", "c"]
