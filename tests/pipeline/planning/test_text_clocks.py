"""Times that are text with an offset: windows begin by that clock, or the zone is asked for."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftmap.pipeline import plan, run
from driftmap.pipeline.errors import PlanError
from driftmap.pipeline.sources.columns.moments import find_offsets

OPTIONS = {"time": "t", "id": "id", "window": "1M", "n_neighbors": 5, "n_epochs": 5}
MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04"]


def make_frame(texts, n_rows=20):
    frame = pd.DataFrame({"id": np.tile(np.arange(n_rows), len(texts)), "t": np.repeat(texts, n_rows)})
    frame[["a", "b"]] = np.random.default_rng(0).normal(size=(len(frame), 2))
    return frame


def first_days(*offsets):
    return [f"{month}-01T00:00:00{offset}" for month, offset in zip(MONTHS, offsets * (4 // len(offsets)), strict=True)]


def write(frame, folder, kind):
    path = folder / f"x.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    elif kind == "categories":
        path = frame.assign(t=frame["t"].astype("category"))
    elif kind == "arrays":
        path = {"vectors": frame[["a", "b"]].to_numpy(), "id": frame["id"], "t": frame["t"]}
    elif kind in ("h5ad", "zarr"):
        import anndata

        obs = frame[["id", "t"]].set_index(frame.index.astype(str))
        given = anndata.AnnData(frame[["a", "b"]].to_numpy(), obs=obs)
        with warnings.catch_warnings():  # of the format of Zarr that anndata writes next year
            warnings.simplefilter("ignore")
            (given.write_h5ad if kind == "h5ad" else given.write_zarr)(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "categories", "arrays", "h5ad", "zarr"])
@pytest.mark.parametrize(("offset", "clock"), [("+02:00", "+02:00"), ("+0530", "+05:30"), ("-05", "-05:00")])
def test_months_begin_by_the_one_offset_of_all_texts(tmp_path, kind, offset, clock):
    vectors = {"vectors": "X"} if kind in ("h5ad", "zarr") else {}
    made = plan(write(make_frame(first_days(offset)), tmp_path, kind), **OPTIONS, **vectors)
    assert [window.label for window in made.windows] == MONTHS
    assert made.rule == f"Windows begin by the clock of {clock} (timezone)"


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrays"])
def test_summer_and_winter_time_without_a_zone_are_refused_for_months(tmp_path, kind):
    source = write(make_frame(first_days("+01:00", "+01:00", "+01:00", "+02:00")), tmp_path, kind)
    with pytest.raises(PlanError, match=r"'t' holds texts with the offsets \+01:00 and \+02:00.*give timezone"):
        plan(source, **OPTIONS)
    assert [w.label for w in plan(source, **OPTIONS, timezone="Europe/Berlin").windows] == MONTHS
    assert plan(source, **OPTIONS, timezone="UTC").windows[0].label == "2023-12"
    assert plan(source, **{**OPTIONS, "window": "600h"}).windows


def test_offsets_from_all_over_the_world_are_read_in_utc_and_said(tmp_path):
    made = plan(write(make_frame(first_days("+01:00", "-05:00")), tmp_path, "csv"), **OPTIONS, duplicates="first")
    assert [window.label for window in made.windows] == ["2023-12", "2024-02", "2024-04"]
    assert any("it names 2 offsets from UTC, such as -05:00" in note for note in made.doubts)


@pytest.mark.parametrize("ending", ["", "Z", "+00:00"])
def test_utc_stays_utc(tmp_path, ending):
    made = plan(write(make_frame(first_days(ending)), tmp_path, "csv"), **OPTIONS)
    assert [window.label for window in made.windows] == MONTHS
    assert made.rule == "Windows begin by the clock of UTC (timezone)"


def test_a_run_keeps_the_offset(tmp_path):
    source = write(make_frame(first_days("+02:00")), tmp_path, "csv")
    store = run(source, tmp_path / "s", scheduler="serial", **OPTIONS)
    assert store.labels == MONTHS
    assert store.config["windows"]["timezone"] == "+02:00"
    assert run(source, tmp_path / "s", scheduler="serial", **OPTIONS).labels == MONTHS


def test_offsets_of_texts():
    texts = ["2024-01-01", "2024-01-01T10:00", " 2024-01-01T10:00Z ", None, "2024", "2024-02"]
    assert find_offsets(pa.chunked_array([texts])) == ("+00:00",)
    texts = ["2024-01-01 10:00:00.5-0330", "2024-01-01T10:00+02", "2024-01-01T10:00:00-00:00"]
    assert find_offsets(pa.chunked_array([texts])) == ("-03:30", "+00:00", "+02:00")
    assert find_offsets(pa.chunked_array([[1, 2]])) == ()
