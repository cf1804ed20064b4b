"""Rows that cannot be used, and ids that come more than once: dropped or settled, in every kind of source."""

import html
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from driftmap.pipeline import open_store, place, plan, run
from driftmap.pipeline.errors import ConfigError, PlanError, PlanWarning, SourceError
from driftmap.pipeline.look.report import write_report
from driftmap.pipeline.planning.row_lines import describe_rows

N_DAYS, N_ROWS, N_NUMBERS = 3, 40, 3
OPTIONS = {"n_neighbors": 5, "n_epochs": 3, "scheduler": "serial"}
RULES = ("first", "last", "mean")

ID_TYPES = {
    "int": lambda number: number,
    "uint64": lambda number: 2**63 + number,
    "text": lambda number: f"é{number}",
    "bytes": lambda number: bytes([number, 0, 7, 0]),
    "uuid": lambda number: uuid.UUID(int=number * 2**90 + 256),
    "date": lambda number: pd.Timestamp("2020-01-01").date() + pd.Timedelta(days=number),
}


def make_rows(*, seed=0) -> pd.DataFrame:
    """Rows of three days in no order of time, a third of them of ids that come again on the same day."""
    rng = np.random.default_rng(seed)
    number = np.tile(np.arange(N_ROWS), N_DAYS)
    rows = pd.DataFrame({"day": np.repeat(np.arange(N_DAYS), N_ROWS), "number": number})
    again = rows.sample(frac=0.4, random_state=seed)
    rows = pd.concat([rows, again, again.head(9)], ignore_index=True)
    rows["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rows["day"] * 86_400 + rng.integers(0, 86_399, len(rows)), unit="s"
    )
    rows[[f"v{axis}" for axis in range(N_NUMBERS)]] = (
        rng.normal(size=(len(rows), N_NUMBERS)) + np.c_[rows["number"] % 4]
    )
    return rows.sample(frac=1, random_state=seed).reset_index(drop=True)


def spoil(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Put missing and infinite numbers into some rows."""
    rows, is_bad = rows.copy(), np.zeros(len(rows), dtype=bool)
    for place_, value in ((3, np.nan), (17, np.inf), (18, -np.inf), (90, np.nan), (len(rows) - 1, 1e300)):
        rows.loc[place_, f"v{place_ % N_NUMBERS}"] = value
        is_bad[place_] = True
    return rows, is_bad


def clean(rows: pd.DataFrame, rule: str, key: str = "number") -> pd.DataFrame:
    """Settle rows of one id in a day by hand: the first or last by time, or the mean in the place of the first row."""
    vectors = [f"v{axis}" for axis in range(N_NUMBERS)]
    rows = rows.assign(**rows[vectors].astype(np.float32))
    if rule == "mean":
        means = rows.assign(**rows[vectors].astype(np.float64)).groupby(["day", key])[vectors].transform("mean")
        rows[vectors] = means.astype(np.float32)
        return rows.drop_duplicates(["day", key])
    ordered = rows.sort_values("time", kind="stable")
    return ordered.drop_duplicates(["day", key], keep=rule).sort_index()


def as_table(rows: pd.DataFrame, kind: str, ids=None) -> pa.Table:
    vectors = rows[[f"v{axis}" for axis in range(N_NUMBERS)]].to_numpy()
    columns = {"time": pa.array(rows["time"]), "day": pa.array(rows["day"])}
    columns["id"] = pa.array(rows["number"] if ids is None else ids)
    if kind == "columns":
        return pa.table(columns | {f"v{axis}": vectors[:, axis] for axis in range(N_NUMBERS)})
    inner = np.float32 if kind == "float32 lists" else np.float64
    with np.errstate(over="ignore"):
        flat = pa.array(vectors.astype(inner).ravel())
    made = pa.FixedSizeListArray.from_arrays(flat, N_NUMBERS)
    return pa.table(columns | {"v": made if kind == "float32 lists" else made.cast(pa.list_(pa.float64()))})


def as_ids(values: list, kind: str) -> pa.Array:
    kind_of = {"uuid": pa.binary(16), "uint64": pa.uint64()}.get(kind)
    return pa.array([value.bytes if isinstance(value, uuid.UUID) else value for value in values], kind_of)


def read_windows(store):
    return {w.label: (store.window_ids(w.index).tolist(), store.positions(w.index).tobytes()) for w in store.state()}


@pytest.mark.parametrize("kind", ["columns", "float32 lists", "float64 lists"])
@pytest.mark.parametrize("rule", RULES)
def test_the_maps_are_those_of_rows_that_were_settled_by_hand(tmp_path, rule, kind):
    rows, is_bad = spoil(make_rows())
    pq.write_table(as_table(rows, kind), tmp_path / "rows.parquet", row_group_size=20)
    pq.write_table(as_table(clean(rows[~is_bad], rule), kind), tmp_path / "clean.parquet")
    windows = {"time": "time", "id": "id", "window": "1D", "exclude": "day" if kind == "columns" else None}
    expected = run(tmp_path / "clean.parquet", tmp_path / "clean", **windows, **OPTIONS)
    rules = {"duplicates": rule, "on_bad_rows": "drop"}
    store = run(tmp_path / "rows.parquet", tmp_path / "store", **windows, **rules, **OPTIONS)
    assert read_windows(store) == read_windows(expected)
    days = rows.assign(is_bad=is_bad).groupby("day")
    assert [window.n_dropped for window in store.state()] == days["is_bad"].sum().tolist()
    assert [window.n_source_rows for window in store.state()] == days.size().tolist()
    assert sum(window.n_repeated for window in store.state()) > 20
    again = run(tmp_path / "rows.parquet", tmp_path / "store", **windows, **rules, **OPTIONS)
    assert again.n_commits == store.n_commits


@pytest.mark.parametrize("kind", ID_TYPES)
@pytest.mark.parametrize("rule", RULES)
def test_ids_of_any_type_may_come_again(tmp_path, rule, kind):
    rows = make_rows()
    ids = [ID_TYPES[kind](number) for number in rows["number"].tolist()]
    table = as_table(rows, "columns", as_ids(ids, kind))
    settled = clean(rows, rule)
    windows = {"by": "day", "time": "time", "id": "id", **OPTIONS}
    expected = as_table(settled, "columns", as_ids([ids[place_] for place_ in settled.index], kind))
    found = run(table, tmp_path / "store", duplicates=rule, **windows)
    assert read_windows(found) == read_windows(run(expected, tmp_path / "expected", **windows))


@pytest.mark.parametrize("kind", ["int", "text", "bytes", "uuid", "date"])
@pytest.mark.parametrize("source", ["table", "file"])
def test_rows_without_an_id_are_dropped(tmp_path, source, kind):
    rows = make_rows().drop_duplicates(["day", "number"]).reset_index(drop=True)
    ids = [ID_TYPES[kind](number) for number in rows["number"].tolist()]
    is_bad = np.arange(len(rows)) % 11 == 0
    given = [None if bad else one for one, bad in zip(ids, is_bad, strict=True)]
    table = as_table(rows, "columns", as_ids(given, kind))
    if source == "file":
        pq.write_table(table, tmp_path / "rows.parquet", row_group_size=7)
        table = tmp_path / "rows.parquet"
    windows = {"by": "day", "id": "id", "exclude": "time", **OPTIONS}
    with pytest.raises(SourceError, match=r"no value in rows? 0.*on_bad_rows drop"):
        run(table, tmp_path / "refused", **windows)
    store = run(table, tmp_path / "store", on_bad_rows="drop", **windows)
    rest = [one for one, bad in zip(ids, is_bad, strict=True) if not bad]
    expected = as_table(rows[~is_bad], "columns", as_ids(rest, kind))
    clean_store = run(expected, tmp_path / "expected", **windows)
    assert read_windows(store) == read_windows(clean_store)
    assert sum(window.n_dropped for window in store.state()) == is_bad.sum()


def test_lists_that_are_missing_and_ids_that_are_nan(tmp_path):
    rows = make_rows().drop_duplicates(["day", "number"]).reset_index(drop=True)
    vectors = rows[[f"v{axis}" for axis in range(N_NUMBERS)]].to_numpy()
    lists = [None if place_ in (2, 50) else [*row] for place_, row in enumerate(vectors.tolist())]
    lists[7][1] = None
    ids = rows["number"].astype(float).where(rows.index != 30)
    frame = pd.DataFrame({"day": rows["day"], "id": ids, "v": lists})
    store = run(frame, tmp_path / "memory", by="day", id="id", on_bad_rows="drop", **OPTIONS)
    assert sum(window.n_dropped for window in store.state()) == 4
    (said,) = describe_rows("drop", "refuse", True, store.state())  # as `status` says it
    assert said.startswith("dropped rows: 4 ")
    page = html.unescape(write_report(store, tmp_path / "page.html").read_text(encoding="utf-8"))
    assert f"<span>{said}</span>" in page
    assert "repeated rows" not in page
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "rows.parquet")
    filed = run(tmp_path / "rows.parquet", tmp_path / "filed", by="day", id="id", on_bad_rows="drop", **OPTIONS)
    assert read_windows(filed) == read_windows(store)
    masked = np.ma.masked_invalid(np.where(np.arange(len(vectors))[:, None] == 4, np.nan, vectors))
    given = {"vectors": masked, "day": rows["day"].to_numpy(), "id": rows["number"].to_numpy()}
    with pytest.raises(SourceError, match="on_bad_rows drop"):
        run(given, tmp_path / "refused", by="day", **OPTIONS)
    kept = run(given, tmp_path / "masked", by="day", on_bad_rows="drop", **OPTIONS)
    assert [window.n_dropped for window in kept.state()] == [int(rows["day"][4] == day) for day in range(N_DAYS)]


def test_zarr(tmp_path):
    rows, is_bad = spoil(make_rows())
    group = zarr.create_group(tmp_path / "rows.zarr", zarr_format=3)
    with np.errstate(over="ignore"):
        vectors = rows[[f"v{axis}" for axis in range(N_NUMBERS)]].to_numpy(np.float32)
    group.create_array("vectors", data=vectors, chunks=(16, 2))
    group.create_array("id", data=rows["number"].to_numpy(), chunks=(11,))
    group.create_array("day", data=rows["day"].to_numpy())
    rules = {"duplicates": "mean", "on_bad_rows": "drop"}
    store = run(tmp_path / "rows.zarr", tmp_path / "store", by="day", **rules, **OPTIONS)
    expected = as_table(clean(rows[~is_bad], "mean"), "columns")
    assert read_windows(store) == read_windows(
        run(expected, tmp_path / "expected", by="day", id="id", exclude="time", **OPTIONS)
    )


def test_a_window_of_which_too_little_is_left_is_left_out(tmp_path):
    rows = make_rows().drop_duplicates(["day", "number"]).reset_index(drop=True)
    first = np.flatnonzero(rows["day"] == 1)
    rows.loc[first[1:], "v0"] = np.nan
    table = as_table(rows, "columns")
    windows = {"by": "day", "id": "id", "exclude": "time", "on_bad_rows": "drop"}
    planned = plan(table, **windows, n_neighbors=5)
    assert planned.skipped == ("1",)
    assert [window.label for window in planned.windows] == ["0", "2"]
    with pytest.raises(PlanError, match="'1' \\(1 row\\)"):
        plan(table, **windows, on_empty="refuse", n_neighbors=5)


def test_windows_of_rows_keep_their_numbers(tmp_path):
    rows, is_bad = spoil(make_rows())
    planned = plan(as_table(rows, "columns"), rows=50, row_stride=25, on_bad_rows="drop", exclude=["time", "day"])
    assert planned.windows[0].label == "rows 0-49"
    assert [window.n_rows + window.n_dropped for window in planned.windows] == [50] * len(planned.windows)
    assert planned.windows[0].n_dropped == is_bad[:50].sum()


def test_what_a_store_was_made_with_holds(tmp_path):
    rows, _ = spoil(make_rows())
    pq.write_table(as_table(rows, "columns"), tmp_path / "rows.parquet")
    windows = {"by": "day", "time": "time", "id": "id", **OPTIONS}
    rules = {"duplicates": "last", "on_bad_rows": "drop"}
    store = run(tmp_path / "rows.parquet", tmp_path / "store", **windows, **rules)
    assert open_store(tmp_path / "store").config["source"]["duplicates"] == "last"
    with pytest.raises(ConfigError, match="duplicates: store has 'last', now 'mean'"):
        run(tmp_path / "rows.parquet", tmp_path / "store", **windows, on_bad_rows="drop", duplicates="mean")
    with pytest.raises(ConfigError, match="no id column is named"):
        plan(tmp_path / "rows.parquet", by="day", exclude=["id", "time"], duplicates="mean")
    with pytest.raises(ConfigError, match="duplicates"):
        plan(tmp_path / "rows.parquet", by="day", id="id", duplicates="newest")
    newest = store.state()[-1]
    new = as_table(rows.head(8), "columns")
    placed = place(store, new)
    assert placed.num_rows == rows.head(8).drop(index=3)["number"].nunique()
    assert np.isfinite(placed["x"].to_numpy()).all()
    assert placed["window"].to_pylist() == [newest.label] * placed.num_rows


def test_a_run_that_was_refused_goes_on_as_its_message_says(tmp_path):
    rows = make_rows().drop_duplicates(["day", "number"]).reset_index(drop=True)
    bad = np.flatnonzero(rows["day"] == 2)[[3, 9]]
    rows.loc[bad, "v1"] = np.nan
    vectors = [rows[f"v{axis}"].to_numpy() for axis in range(N_NUMBERS)]  # NaN, which no footer counts
    table = pa.table({"day": rows["day"], "id": rows["number"]} | {f"v{axis}": one for axis, one in enumerate(vectors)})
    pq.write_table(table, tmp_path / "rows.parquet")
    windows = {"by": "day", "id": "id", **OPTIONS, "block_windows": 1, "lookahead": 0}
    with pytest.raises(SourceError, match=r"window '2'.*on_bad_rows drop"):
        run(tmp_path / "rows.parquet", tmp_path / "store", **windows)
    before = open_store(tmp_path / "store").state()
    assert [window.graph_attempt is not None for window in before] == [True, True, False]
    with pytest.raises(ConfigError, match="n_neighbors"):
        run(tmp_path / "rows.parquet", tmp_path / "store", **windows | {"n_neighbors": 6}, on_bad_rows="drop")
    with pytest.warns(PlanWarning, match="on_bad_rows: store has 'refuse', now 'drop'.*graphs are kept"):
        store = run(tmp_path / "rows.parquet", tmp_path / "store", **windows, on_bad_rows="drop")
    expected = run(tmp_path / "rows.parquet", tmp_path / "expected", **windows, on_bad_rows="drop")
    assert read_windows(store) == read_windows(expected)
    assert [window.graph_attempt for window in store.state()][:2] == [window.graph_attempt for window in before][:2]
    assert [window.n_dropped for window in store.state()] == [0, 0, 2]
    assert (
        run(tmp_path / "rows.parquet", tmp_path / "store", **windows, on_bad_rows="drop").n_commits == store.n_commits
    )
    with pytest.raises(ConfigError, match="store has 'drop', now 'refuse'"):
        run(tmp_path / "rows.parquet", tmp_path / "store", **windows)


@pytest.mark.parametrize("kind", ["csv", "polars", "lazy", "dask"])
def test_every_source_follows_the_same_rules(tmp_path, kind):
    rows, _ = spoil(make_rows())
    frame = rows[["day", "number", *(f"v{axis}" for axis in range(N_NUMBERS))]].rename(columns={"number": "id"})
    frame = frame.assign(id=[None if row == 40 else f"e{one}" for row, one in enumerate(frame["id"])])
    options = {"by": "day", "id": "id", "duplicates": "mean", "on_bad_rows": "drop", "scale": "standard", **OPTIONS}
    expected = run(frame, tmp_path / "expected", **options)
    if kind == "csv":
        source = tmp_path / "rows.csv"
        frame.to_csv(source, index=False)
    elif kind == "dask":
        source = pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=3)
        with pytest.raises(ConfigError, match="a plan cannot count these rows"):
            plan(source, **options)
    else:
        source = pytest.importorskip("polars").from_pandas(frame)
        source = source.lazy() if kind == "lazy" else source
    store = run(source, tmp_path / "store", **options)
    assert read_windows(store) == read_windows(expected)
    assert [window.n_dropped for window in store.state()] == [window.n_dropped for window in expected.state()]
    assert sum(window.n_dropped for window in store.state()) == 6
