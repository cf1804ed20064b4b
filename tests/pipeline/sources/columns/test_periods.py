"""Columns of pandas' periods, of numbers of rows, and of numbers in another byte order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import plan
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.sources.columns.periods import find_periods

N = 20
OPTIONS = {"id": "id", "n_neighbors": 5}


def make_frame():
    frame = pd.DataFrame({"id": np.tile(np.arange(N), 2), "w": np.repeat([1, 2], N)})
    frame[["a", "b"]] = np.random.default_rng(0).normal(size=(2 * N, 2))
    return frame.assign(p=pd.PeriodIndex(np.repeat(["2024-02", "2024-10"], N), freq="M"))


def give(frame, folder, kind):
    if kind == "arrays":
        return {"vectors": frame[["a", "b"]].to_numpy(), **{name: frame[name] for name in ("id", "w", "p")}}
    if kind == "frame":
        return frame
    path = folder / f"x.{kind}"
    frame.to_parquet(path) if kind == "parquet" else frame.to_feather(path)
    return path


@pytest.mark.parametrize("kind", ["arrays", "frame", "parquet", "feather"])
@pytest.mark.parametrize(
    "roles",
    [{"by": "p"}, {"time": "p", "window": "1M"}, {"by": "w", "label": "p"}, {"by": "w", "id": "p"}],
)
def test_periods_are_refused_where_their_numbers_would_stand_for_them(tmp_path, kind, roles):
    with pytest.raises(SourceError, match=r"'p' holds periods of pandas \(M\).*to_timestamp\(\) or .astype\(str\)"):
        plan(give(make_frame(), tmp_path, kind), **{**OPTIONS, **roles})


@pytest.mark.parametrize("kind", ["frame", "parquet", "feather"])
def test_periods_are_no_features(tmp_path, kind):
    made = plan(give(make_frame(), tmp_path, kind), by="w", **OPTIONS)
    assert "vectors: 2 columns, a, b" in made.columns
    assert "not in the vectors: p (periods of pandas)" in made.columns


def test_periods_are_known_without_pandas():
    saved = {"ARROW:extension:name": "pandas.period", "ARROW:extension:metadata": '{"freq": "Q-DEC"}'}
    odd = {**saved, "ARROW:extension:metadata": "["}
    schema = pa.schema(
        [pa.field("q", pa.int64(), metadata=saved), pa.field("odd", pa.int64(), metadata=odd), ("n", pa.int64())]
    )
    assert find_periods(schema) == {"q": "Q-DEC", "odd": "?"}


@pytest.mark.parametrize("name", ["index", "level_0", "row_nr"])
def test_numbers_of_rows_are_no_features_unless_asked_for(tmp_path, name):
    frame = make_frame().drop(columns="p")
    frame.insert(0, name, np.arange(len(frame)))
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    frame.to_csv(tmp_path / "x.csv", index=False)
    for source in (frame, tmp_path / "x.parquet", tmp_path / "x.csv"):
        made = plan(source, by="w", **OPTIONS)
        assert "vectors: 2 columns, a, b" in made.columns
        assert any(line.startswith(f"not in the vectors: {name} (numbers of rows") for line in made.columns)
        assert f"vectors: 2 columns, {name}, a" in plan(source, by="w", vectors=[name, "a"], **OPTIONS).columns
    prices = frame.assign(**{name: frame["a"] * 2})
    assert f"vectors: 3 columns, {name}, a, b" in plan(prices, by="w", **OPTIONS).columns


@pytest.mark.parametrize("names", [["level_0", "level_1"], [f"level_{number}" for number in range(5)], ["index"]])
def test_what_is_named_like_numbers_of_rows_is_taken_where_there_is_nothing_else(tmp_path, names):
    frame = make_frame()[["id", "w"]]
    rng = np.random.default_rng(0)
    frame = frame.assign(**{name: rng.integers(0, 100, len(frame)) for name in names})
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    frame.to_csv(tmp_path / "x.csv", index=False)
    for source in (frame, tmp_path / "x.parquet", tmp_path / "x.csv"):
        (line,) = plan(source, by="w", **OPTIONS).columns
        assert line == f"vectors: {len(names)} column{'s' if len(names) > 1 else ''}, {', '.join(names)}"


def test_more_levels_than_an_index_has_are_features(tmp_path):
    names = [f"level_{number}" for number in range(4)]
    frame = make_frame().drop(columns="p")
    frame = frame.assign(**{name: np.arange(len(frame)) % 7 for name in names})
    frame.to_csv(tmp_path / "x.csv", index=False)
    for source in (frame, tmp_path / "x.csv"):
        assert plan(source, by="w", **OPTIONS).columns[0] == "vectors: 6 columns, a, b, " + ", ".join(names)
        chosen = plan(source, by="w", vectors="level_*", **OPTIONS)
        assert chosen.columns[0] == "vectors: 4 columns, " + ", ".join(names)


def test_arrays_in_another_byte_order_are_read():
    frame = make_frame()
    days = np.datetime64("2024-01-01", "ns") + frame["w"].to_numpy().astype("m8[D]")
    other = {"id": frame["id"].to_numpy(">i8"), "t": days.astype(">M8[ns]"), "label": frame["a"].to_numpy(">f4")}
    source = {"vectors": frame[["a", "b"]].to_numpy(">f8"), **other}
    made = plan(source, time="t", window="1D", label="label", **OPTIONS)
    assert [(window.label, window.n_rows) for window in made.windows] == [("2024-01-02", N), ("2024-01-03", N)]


def test_infinity_names_a_window(tmp_path):
    frame = make_frame().drop(columns="p").assign(w=np.repeat([np.inf, 1.0], N))
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "x.parquet")
    assert [window.label for window in plan(tmp_path / "x.parquet", by="w", **OPTIONS).windows] == ["1", "inf"]
