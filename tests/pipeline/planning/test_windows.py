"""Windows: the rows they have are those the rule says, and what cannot give maps that are tied is refused."""

from __future__ import annotations

import datetime as dt
import pickle
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from driftmap.pipeline.config.window_rule import WindowRule
from driftmap.pipeline.errors import PlanError, SourceError
from driftmap.pipeline.planning.windows import plan_windows
from driftmap.pipeline.sources import WindowArrays, as_source
from driftmap.pipeline.sources.row_ranges import runs_to_rows

START = np.datetime64("2024-01-10T06:00", "us")  # a Wednesday

moments = st.lists(st.integers(0, 40 * 24), min_size=1, max_size=80).map(
    lambda hours: START + np.array(hours) * np.timedelta64(1, "h")
)


def make_source(**columns):
    n_rows = len(next(iter(columns.values())))
    roles = {role: role for role in ("time", "id", "by") if role in columns}
    return as_source({"vectors": np.zeros((n_rows, 2)), **columns}, **roles)


def plan(source, n_neighbors=2, reach=None, **rule):
    return plan_windows(source, WindowRule(**rule), n_neighbors, reach=reach).windows


def rows_of(windows):
    return [runs_to_rows(window.runs).tolist() for window in windows]


def every(hours, n_rows, start=START):
    return start + np.arange(n_rows) * np.timedelta64(hours, "h")


@given(times=moments, window=st.integers(1, 9), stride=st.integers(1, 9))
@settings(max_examples=200)
def test_a_window_in_time_has_the_rows_between_its_borders(times, window, stride):
    expected = cut_naively(times, window, stride)
    source, rule = make_source(time=times), {"window": f"{window}D", "stride": f"{stride}D", "allow_unrelated": True}
    empty = [rows for *_, rows in expected if len(rows) < 2]
    expected = [window for window in expected if len(window[2]) >= 2]
    if empty:
        with pytest.raises(PlanError, match="rows"):
            plan(source, 1, **rule, on_empty="refuse")
    if not expected:
        with pytest.raises(PlanError, match="there is no other"):
            plan(source, 1, **rule)
        return
    windows, skipped = plan_windows(source, WindowRule(**rule), 1)
    assert len(skipped) == len(empty)
    found = [(np.datetime64(planned.start), np.datetime64(planned.end)) for planned in windows]
    assert [(*borders, rows) for borders, rows in zip(found, rows_of(windows), strict=True)] == expected
    assert [planned.n_rows for planned in windows] == [len(rows) for *_, rows in expected]
    if stride <= window and not empty:
        assert set().union(*rows_of(windows)) == set(range(len(times)))


def cut_naively(times, window, stride):
    """Borders and rows of each window, the way the docstring says it."""
    day = np.timedelta64(1, "D")
    low, found = times.min().astype("datetime64[D]"), []
    while low <= times.max():
        high = low + window * day
        rows = [number for number, moment in enumerate(times) if low <= moment < high]
        found.append((low, high, rows))
        if high > times.max():
            break
        low += stride * day
    return found


@given(n_rows=st.integers(2, 200), rows=st.integers(2, 50), stride=st.integers(1, 60))
def test_windows_of_rows_have_that_many_rows_each(n_rows, rows, stride):
    assume(rows <= n_rows)
    windows = plan(make_source(x=np.zeros(n_rows)), rows=rows, row_stride=stride, allow_unrelated=True)
    assert rows_of(windows) == [list(range(low, low + rows)) for low in range(0, n_rows - rows + 1, stride)]
    assert windows[0].label == f"rows 0-{rows - 1}"


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=60).map(lambda values: values * 2))
def test_windows_of_values_partition_the_rows(values):
    windows = plan(make_source(by=np.array(values)), 1, by="by", allow_unrelated=True)
    assert [window.label for window in windows] == [str(value) for value in sorted(set(values))]
    assert sorted(row for rows in rows_of(windows) for row in rows) == list(range(len(values)))
    for window, rows in zip(windows, rows_of(windows), strict=True):
        assert {str(values[row]) for row in rows} == {window.label}
        assert rows == sorted(rows)


def test_the_digits_tutorial_has_ten_windows():
    windows = plan(make_source(x=np.zeros(1797)), 15, rows=400, row_stride=150)
    assert len(windows) == 10
    assert windows[-1].label == "rows 1350-1749"


@pytest.mark.parametrize(
    ("rule", "labels", "borders"),
    [
        ({"window": "1M"}, ["2024-01", "2024-02", "2024-03"], ("2024-03-01", "2024-04-01")),
        ({"window": "2M", "stride": "1M"}, ["2024-01", "2024-02"], ("2024-02-01", "2024-04-01")),
        ({"window": "1Y"}, ["2024"], ("2024-01-01", "2025-01-01")),
        ({"window": "3W"}, ["2024-01-08", "2024-01-29", "2024-02-19"], ("2024-02-19", "2024-03-11")),
        ({"window": "30D", "stride": "15D"}, ["2024-01-10", "2024-01-25", "2024-02-09"], ("2024-02-09", "2024-03-10")),
        ({"window": "720h"}, ["2024-01-10T06", "2024-02-09T06"], ("2024-02-09T06:00:00", "2024-03-10T06:00:00")),
    ],
)
def test_windows_begin_at_borders_of_the_stride(rule, labels, borders):
    times = every(12, 110)  # to 4 March
    windows = plan(make_source(time=times), **rule, allow_unrelated=True)
    assert [window.label for window in windows] == labels
    assert (windows[-1].start, windows[-1].end) == borders


def test_a_last_window_is_kept_when_it_has_enough_rows():
    times = every(24, 25)  # windows of 10 days: 10, 10 and 5 rows
    assert [w.n_rows for w in plan(make_source(time=times), 5, window="10D", allow_unrelated=True)] == [10, 10, 5]
    assert [w.n_rows for w in plan(make_source(time=times), 6, window="10D", allow_unrelated=True)] == [10, 10]


def test_the_order_of_rows_in_the_source_does_not_matter():
    times, order = every(5, 200), np.random.default_rng(2).permutation(200)
    sorted_windows = plan(make_source(time=times), window="10D", stride="3D")
    mixed_windows = plan(make_source(time=times[order]), window="10D", stride="3D")
    for ordered, mixed in zip(sorted_windows, mixed_windows, strict=True):
        assert len(ordered.runs) == 1
        assert (ordered.label, ordered.n_rows) == (mixed.label, mixed.n_rows)
        assert sorted(order[runs_to_rows(mixed.runs)].tolist()) == runs_to_rows(ordered.runs).tolist()


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["10", "9", "100"], ["9", "10", "100"]),
        (["b", "10", "9"], ["10", "9", "b"]),
        ([2001.0, 1999.0, 2000.0], ["1999", "2000", "2001"]),
        ([0.5, 0.25, 1.0], ["0.25", "0.5", "1.0"]),
        ([dt.date(2024, 5, 1), dt.date(2023, 5, 1), dt.date(2024, 4, 30)], ["2023-05-01", "2024-04-30", "2024-05-01"]),
        ([True, False, True], ["False", "True"]),
        (["é", "a", "ß"], ["a", "ß", "é"]),
    ],
)
def test_values_are_windows_in_ascending_order(values, labels):
    windows = plan(make_source(by=values * 2), 1, by="by", allow_unrelated=True)
    assert [window.label for window in windows] == labels


def test_windows_given_as_a_list_keep_their_names_and_order():
    given_source = WindowArrays([np.ones((3, 2)), np.ones((4, 5))], ids=[[1, 2, 3], [3, 4, 5, 6]], names=["z", "a"])
    windows = plan(as_source(given_source), by="window")
    assert [(window.label, window.n_rows) for window in windows] == [("z", 3), ("a", 4)]
    parts = [np.ones((3, 2)), np.ones((0, 2)), np.ones((2, 2))]
    empty = as_source(WindowArrays(parts, ids=[[1, 2, 3], [], [2, 3]], names=["z", "a", "m"]))
    with pytest.raises(PlanError, match="window 'a' has no rows"):
        plan(empty, by="window", on_empty="refuse")
    assert [(window.label, window.n_rows) for window in plan(empty, by="window")] == [("z", 3), ("m", 2)]


def test_a_plan_is_the_same_from_parquet_and_is_small(tmp_path):
    times, ids = every(5, 200), np.arange(200) % 90
    pq.write_table(pa.table({"v": np.zeros(200), "t": times, "id": ids}), tmp_path / "t.parquet", row_group_size=30)
    windows = plan(as_source(tmp_path / "t.parquet", time="t", id="id"), window="10D", stride="5D")
    again = plan(make_source(time=times, id=ids), window="10D", stride="5D")
    assert rows_of(windows) == rows_of(again)
    assert all(len(pickle.dumps(window)) < 1000 for window in windows)


def test_windows_of_a_gap_are_left_out_or_refused_by_their_names():
    times = np.concatenate([every(12, 20), every(12, 20, START + np.timedelta64(40, "D"))])
    message = r"3 windows \('2024-01-20', '2024-01-30', '2024-02-09'\) have no rows, .* longer than the gap"
    source = make_source(time=times, id=np.arange(40) % 20)
    with pytest.raises(PlanError, match=message):
        plan_windows(source, WindowRule(window="10D", on_empty="refuse"), 2)
    windows, skipped = plan_windows(source, WindowRule(window="10D"), 2)
    assert [window.label for window in windows] == ["2024-01-10", "2024-02-19"]
    assert [window.index for window in windows] == [0, 1]
    assert skipped == ["2024-01-20", "2024-01-30", "2024-02-09"]


def test_a_window_of_few_rows_is_a_window_and_one_of_a_single_row_is_not():
    source = make_source(by=[1, 1, 1, 2, 2, 3])
    windows, skipped = plan_windows(source, WindowRule(by="by", allow_unrelated=True), 3)
    assert [(window.label, window.n_rows) for window in windows] == [("1", 3), ("2", 2)]
    assert skipped == ["3"]
    with pytest.raises(PlanError, match=r"window '3' \(1 row\) has fewer than 2 rows, and on_empty is 'refuse'"):
        plan(source, 3, by="by", allow_unrelated=True, on_empty="refuse")
    with pytest.raises(PlanError, match=r"window '3' \(1 row\) has fewer than 2 rows, and there is no other"):
        plan(make_source(by=[3]), 3, by="by", allow_unrelated=True)
    with pytest.raises(PlanError, match=r"each value of 'by' has a window of its own .* give 'by' as time"):
        plan(make_source(by=every(1, 5)), 3, by="by")
    with pytest.raises(PlanError, match=r"there is no other; make windows longer"):
        plan(make_source(time=every(24, 5)), 3, window="1h")


def test_fewer_rows_than_one_window_are_refused():
    with pytest.raises(PlanError, match="rows is 400, but the source has only 300 rows; lower rows"):
        plan(make_source(x=np.zeros(300)), rows=400)
    assert [window.n_rows for window in plan(make_source(x=np.zeros(10)), 15, rows=10)] == [10]


def test_an_id_that_is_twice_in_a_window_is_named_with_it():
    source = make_source(by=[1, 1, 1, 2, 2, 2], id=["a", "b", "c", "d", "a", "d"])
    with pytest.raises(PlanError, match=r"window '2' has an id more than once: 'd'; an id stands for one row"):
        plan(source, by="by")
    many = make_source(by=[1] * 20, id=np.arange(20) // 2)
    with pytest.raises(PlanError, match=r"window '1' has 10 ids more than once: 0, 1, 2, 3, 4 and 5 more"):
        plan(many, by="by")


@given(ids=st.lists(st.integers(0, 30), min_size=4, max_size=30), n_first=st.integers(0, 26))
def test_repeated_ids_are_found_wherever_they_are(ids, n_first):
    n_first = 2 + n_first % (len(ids) - 3)
    parts = ids[:n_first], ids[n_first:]
    is_repeated = any(len(set(part)) < len(part) for part in parts)
    is_tied = bool(set(parts[0]) & set(parts[1]))
    source = make_source(by=[1] * n_first + [2] * (len(ids) - n_first), id=ids)
    if is_repeated or not is_tied:
        with pytest.raises(PlanError, match="more than once" if is_repeated else "share an id"):
            plan(source, 1, by="by")
    else:
        assert len(plan(source, 1, by="by")) == 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"window": "10D", "stride": "12D"}, r"make stride \(12D\) shorter than window \(10D\)"),
        ({"window": "10D"}, r"make stride \(10D\) shorter than window \(10D\)"),
        ({"rows": 20, "row_stride": 25}, r"make row_stride \(25\) less than rows \(20\)"),
        ({"by": "by"}, r"no id column, so nothing relates their maps; name one \(id\), or allow_unrelated"),
    ],
)
def test_windows_that_nothing_ties_are_refused(rule, message):
    columns = {"time": every(12, 80), "by": np.arange(80) // 20}
    with pytest.raises(PlanError, match=message):
        plan(make_source(**columns), **rule)
    assert len(plan(make_source(**columns), **rule, allow_unrelated=True)) > 1
    tied = make_source(**columns, id=np.arange(80) % 20)
    assert len(plan(tied, **rule)) > 1


def test_windows_that_share_no_id_within_reach_are_refused():
    by, ids = np.repeat([1, 2, 3, 4], 3), [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 10, 11]
    assert len(plan(make_source(by=by, id=ids), reach=3, by="by")) == 4
    with pytest.raises(PlanError, match="no two windows within 2 of each other share an id"):
        plan(make_source(by=by, id=ids), reach=2, by="by")
    with pytest.raises(PlanError, match=r"no two windows share an id, so nothing relates.*\(relations\).*allow_unr"):
        plan(make_source(by=by, id=np.arange(12)), by="by")


def test_one_window_needs_no_tie():
    assert len(plan(make_source(time=every(1, 10)), window="1Y")) == 1
    assert len(plan(make_source(by=[1, 1], id=[1, 2]), by="by")) == 1


def test_a_stride_of_the_wrong_unit_is_refused():
    with pytest.raises(PlanError, match=r"stride is 1s: .* would give 34,214,401 windows, more than 1,000,000"):
        plan(make_source(time=every(24, 397)), window="30D", stride="1s")


def test_windows_in_time_need_a_time_column():
    with pytest.raises(PlanError, match="window is '30D', but the source names no time column"):
        plan(make_source(id=np.arange(5)), window="30D")


def test_missing_and_wrong_keys_are_refused_by_the_plan(tmp_path):
    table = pa.table({"v": [1.0, 2.0], "t": ["2024-01-01", "May"], "id": pa.array([1, None])})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="time column 't' holds the text 'May', which is no ISO date"):
        plan(as_source(tmp_path / "t.parquet", time="t"), window="1D")
    with pytest.raises(SourceError, match="column 'id' has no value in row 1"):
        plan(as_source(tmp_path / "t.parquet", id="id"), rows=2)
    pq.write_table(table.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(PlanError, match=r"none\.parquet has no rows"):
        plan(as_source(tmp_path / "none.parquet", id="id"), rows=2)


def test_a_million_rows_are_planned_in_seconds():
    n_rows = 1_000_000
    order = np.random.default_rng(0).permutation(n_rows)
    source = make_source(time=(START + np.arange(n_rows) * np.timedelta64(30, "s"))[order], id=order % 300_000)
    started = time.process_time()
    windows = plan(source, 15, window="30D", stride="7D")
    assert time.process_time() - started < 10  # takes 0.6
    assert sum(window.n_rows for window in windows) > 3 * n_rows
