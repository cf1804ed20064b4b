"""Which columns make up the vectors, and what is refused once they are pinned."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftmap.pipeline import plan
from driftmap.pipeline.errors import ConfigError, SourceError
from driftmap.pipeline.sources import as_source, open_source

N = 6


def write(path, **columns):
    made = {"id": np.arange(N), "w": np.repeat([1, 2], N // 2)} | columns
    pq.write_table(pa.table({name: values for name, values in made.items() if values is not None}), path)
    return path


def numbers(seed=0):
    return np.random.default_rng(seed).normal(size=N)


def pin_of(given, **roles):
    return as_source(given, **({"id": "id", "by": "w"} | roles)).spec.pin


def test_an_index_of_pandas_is_no_feature_whatever_its_name(tmp_path):
    frame = pd.DataFrame({"a": numbers(), "w": np.repeat([1, 2], N // 2), "id": np.arange(N)})
    frame.index = pd.Index(np.arange(N) + 5)
    frame.to_parquet(tmp_path / "level.parquet")
    frame.rename_axis("row").to_parquet(tmp_path / "named.parquet")
    write(tmp_path / "csv.parquet", **{"a": numbers(), "Unnamed: 0": np.arange(N)})
    for name, index in (("level", "__index_level_0__"), ("named", "row"), ("csv", "Unnamed: 0")):
        pin = pin_of(tmp_path / f"{name}.parquet")
        assert pin.names == ("a",)
        assert pin.left_out == (f"{index} (an index of pandas)",)
    assert pin_of(frame).names == ("a",)
    assert pin_of(tmp_path / "named.parquet", vectors=["a", "row"]).names == ("a", "row")  # asked for


def test_names_of_folders_are_no_features(tmp_path):
    for year in (2020, 2021):
        (tmp_path / f"year={year}").mkdir()
        write(tmp_path / f"year={year}" / "x.parquet", a=numbers())
    pin = pin_of(tmp_path)
    assert pin.names == ("a",)
    assert pin.left_out == ("year (a name of folders)",)
    assert pin_of(tmp_path, vectors=["a", "year"]).names == ("a", "year")


def test_true_false_and_decimals_are_numbers(tmp_path):
    flags, prices = [True, False] * 3, [decimal.Decimal("1.5")] * N
    path = write(tmp_path / "x.parquet", flag=flags, price=prices, text=["t"] * N)
    source = as_source(path, id="id", by="w")
    assert source.spec.pin.describe() == [
        "vectors: 2 columns, flag, price",
        "true/false columns count as 1 and 0: flag",
        "not in the vectors: text (string)",
    ]
    vectors = source.read_rows(np.array([[0, N]])).vectors
    np.testing.assert_array_equal(vectors, np.column_stack([flags, np.full(N, 1.5)]).astype("f4"))


@pytest.mark.parametrize(
    ("vectors", "exclude", "expected"),
    [
        ("e*", (), ("e0", "e1", "e2")),
        (["e0", "likes"], (), ("e0", "likes")),
        ("e0:e1", (), ("e0", "e1")),
        (["e2", "e0:e1"], (), ("e2", "e0", "e1")),
        (None, "likes", ("e0", "e1", "e2")),
        (None, ["e?"], ("likes",)),
        ("*", ("e1", "likes"), ("e0", "e2")),
    ],
)
def test_columns_are_chosen_by_name_glob_and_range(tmp_path, vectors, exclude, expected):
    columns = {f"e{i}": numbers(i) for i in range(3)}
    path = write(tmp_path / "x.parquet", **columns, email=["x"] * N, likes=np.arange(N))
    assert pin_of(path, vectors=vectors, exclude=exclude).names == expected


def test_lists_are_taken_before_loose_numbers_and_that_is_said(tmp_path):
    pin = pin_of(write(tmp_path / "x.parquet", v=[[1.0, 2.0]] * N, likes=np.arange(N)))
    assert str(pin) == "vectors: 1 column, v (lists of 2 numbers)"
    assert pin.left_out == ("likes (a number beside the lists of v)",)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ("z", "has no column 'z'; its columns are"),
        ("z*", "has no column 'z\\*'"),
        ("text", "column 'text' holds string"),
        (["v", "a"], "'v' is a column of lists"),
        ("te*", "leave no column of numbers"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name(tmp_path, vectors, message):
    path = write(tmp_path / "x.parquet", v=[[1.0]] * N, a=numbers(), text=["t"] * N)
    with pytest.raises(SourceError, match=message):
        pin_of(path, vectors=vectors)


def test_patterns_for_one_matrix_are_refused():
    with pytest.raises(ConfigError, match="the name of one matrix"):
        as_source({"vectors": np.ones((N, 2))}, vectors=["a", "b"])
    with pytest.raises(ConfigError, match="exclude"):
        as_source({"vectors": np.ones((N, 2))}, exclude="a")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"c": numbers()}, "columns that the run had not.*: c "),
        ({"b": None}, "no column 'b'"),
        ({"b": ["1"] * N}, "'b' holds string, and float was expected"),
        ({"b": np.arange(N)}, "'b' holds int64, and float was expected"),
        ({"b": [[1.0]] * N}, "'b' holds list"),
    ],
)
def test_a_file_of_other_columns_is_refused_by_file_and_column(tmp_path, changed, message):
    pinned = as_source(write(tmp_path / "a.parquet", a=numbers(), b=numbers(1)), id="id", by="w").spec
    write(tmp_path / "late.parquet", **({"a": numbers(), "b": numbers(1)} | changed))
    with pytest.raises(SourceError, match=f"late.parquet.*{message}"):
        open_source(pinned.model_copy(update={"path": str(tmp_path / "late.parquet")}))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 4)])
def test_lists_of_another_length_are_refused_by_file_and_column(tmp_path, kind):
    pinned = as_source(write(tmp_path / "a.parquet", v=[[1.0, 2.0]] * N), id="id", by="w").spec
    assert pinned.pin.dimension == 2
    write(tmp_path / "late.parquet", v=pa.array([[1.0] * 4] * N, kind))
    with pytest.raises(SourceError, match=r"late.parquet.*'v' have 4 numbers, and 2 were expected"):
        open_source(pinned.model_copy(update={"path": str(tmp_path / "late.parquet")}))


def test_lists_whose_mean_length_is_whole_are_not_taken_for_equal(tmp_path):
    assert pin_of(write(tmp_path / "x.parquet", v=[[1.0] * 3, [1.0] * 5] * 3)).dimension is None


def test_files_that_hold_whole_numbers_and_fractions_are_both_taken_afterwards(tmp_path):
    write(tmp_path / "a.parquet", a=numbers())
    write(tmp_path / "b.parquet", a=np.arange(N))
    spec = as_source(tmp_path, id="id", by="w").spec
    assert spec.pin.types == ("number",)
    assert open_source(spec).n_rows == 2 * N


def test_without_a_pin_the_columns_are_those_of_before(tmp_path):
    frame = pd.DataFrame({"a": numbers(), "flag": [True] * N, "w": 1, "id": np.arange(N)}, index=np.arange(N) + 5)
    frame.to_parquet(tmp_path / "x.parquet")
    old = as_source(tmp_path / "x.parquet", must_pin=False, id="id", by="w")
    assert old.spec.pin is None
    vectors = old.read_rows(np.array([[0, N]])).vectors
    np.testing.assert_array_equal(vectors, frame.reset_index()[["a", "index"]].to_numpy(dtype="f4"))


def test_missing_numbers_are_named_with_their_column(tmp_path):
    path = write(tmp_path / "x.parquet", a=numbers(), b=[1.0, float("nan"), 1, 1, 1, 1])
    with pytest.raises(SourceError, match="in row 1 of the source, column 'b'"):
        as_source(path, id="id", by="w").read_rows(np.array([[0, N]]))
    lists = write(tmp_path / "v.parquet", v=[[1.0, 2.0]] * 5 + [[1.0, float("inf")]])
    with pytest.raises(SourceError, match=r"in row 5 of the source, column 'v\[1\]'"):
        as_source(lists, id="id", by="w").read_rows(np.array([[0, N]]))


def test_footers_tell_missing_values_and_spreads(tmp_path):
    path = write(tmp_path / "x.parquet", a=[0.0, 1.0, None, 0.5, 0.0, 0.0], likes=np.arange(N) * 1000)
    facts = as_source(path, id="id", by="w").column_facts()
    assert facts.nulls == {"a": 1}
    assert facts.spreads == {"a": 1.0, "likes": 5000.0}


def test_columns_of_one_name_are_left_out_or_refused(tmp_path):
    def open_named(*names):
        values = [np.repeat([1, 2], 3), np.arange(N), ["a"] * N, [["b"]] * N, pa.array([[1.0, 2.0]] * N)]
        pq.write_table(pa.table(list(map(pa.array, values)), list(names)), tmp_path / "t.parquet")
        return pin_of(tmp_path / "t.parquet")

    assert open_named("w", "id", "", "", "v").left_out == (" (string)",)
    for names, twice in ((("w", "id", "id", "x", "v"), "id"), (("w", "id", "x", "w", "v"), "w")):
        with pytest.raises(SourceError, match=f"more than one column '{twice}'"):
            open_named(*names)


@pytest.mark.parametrize("role", ["label", "show", "text", "target"])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([[1, 2]] * N, r"'odd' holds list<.*; numbers, text or dates were expected$"),
        ([{"a": 1}] * N, r"'odd' holds struct<.*; numbers, text or dates were expected$"),
        (np.arange(N).astype("m8[s]"), r"'odd' holds duration\[s\]; .*dt\.total_seconds\(\)"),
    ],
)
def test_columns_that_are_no_labels_are_refused_by_a_plan(tmp_path, role, column, message):
    path = write(tmp_path / "x.parquet", a=numbers(), odd=column)
    with pytest.raises(SourceError, match=message):
        plan(path, id="id", by="w", vectors="a", n_neighbors=2, **{role: "odd"})


def test_whole_numbers_that_no_float_holds_beside_missing_ones_name_a_remedy(tmp_path):
    path = write(tmp_path / "x.parquet", a=numbers(), odd=pa.array([None, *range(2**53 + 1, 2**53 + N)]))
    with pytest.raises(SourceError, match=r"'odd' \(int64\) cannot be read: .*; convert it, such as to text"):
        as_source(path, id="id", by="w", label="odd").read_rows(np.array([[0, N]]))
