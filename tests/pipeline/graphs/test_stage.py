"""Graphs beside other work: committed in the caller's thread only, and awaited window by window."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline import plan
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.graphs import stage
from driftmap.pipeline.graphs.build_graph import build_graphs_task
from driftmap.pipeline.graphs.orders import GraphOrder
from driftmap.pipeline.graphs.stage import GraphWork, build_graphs, count_together, make_orders
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.store import Store

N_WINDOWS, N_ROWS = 5, 30


@pytest.fixture
def planned(tmp_path):
    """A store without graphs, and the plan it was made for."""
    rows = np.random.default_rng(1).normal(size=(N_WINDOWS * N_ROWS, 4)).astype(np.float32)
    source = as_source({"vectors": rows, "id": np.tile(np.arange(N_ROWS), N_WINDOWS)}, id="id")
    source = source.spill(tmp_path / "data")
    made = plan(source, rows=N_ROWS, n_neighbors=5)
    windows = [{"label": w.label, "n_rows": w.n_rows, "start": None, "end": None, "digest": ""} for w in made.windows]
    store = Store.create(tmp_path / "s", config=made.config.to_json(), windows=windows, fingerprint={})
    return store, made


def list_done(store):
    return [window.index for window in store.state() if window.graph_attempt is not None]


def test_all_graphs_are_committed_and_reported(planned):
    store, made = planned
    reports = []
    build_graphs(
        store,
        made.config,
        make_orders(store, made.config, made.windows),
        SerialExecutor(),
        lambda *report: reports.append(report),
    )
    assert list_done(store) == list(range(N_WINDOWS))
    assert reports == [(n, n * N_ROWS) for n in range(N_WINDOWS + 1)]


def test_only_what_is_asked_for_is_built(planned):
    store, made = planned
    build_graphs(
        store, made.config, make_orders(store, made.config, made.windows[3:]), SerialExecutor(), lambda *_: None
    )
    assert list_done(store) == [3, 4]


def test_windows_are_awaited_no_further_than_asked(planned):
    store, made = planned
    with GraphWork(
        store, made.config, make_orders(store, made.config, made.windows), SerialExecutor(), lambda *_: None
    ) as work:
        work.wait_for([1, 99])
        assert list_done(store) == [0, 1]
        assert not work.is_done
        work.commit_ready()
        assert list_done(store) == [0, 1]
        work.finish()
        assert work.is_done
    assert list_done(store) == list(range(N_WINDOWS))


def read_graphs(store):
    return [(store.knn_graph(window), store.fuzzy_graph(window)) for window in range(N_WINDOWS)]


@pytest.fixture
def apart(planned):
    """Graphs of the same windows, each of a task of its own."""
    store, made = planned
    build_graphs(store, made.config, make_orders(store, made.config, made.windows), SerialExecutor(), lambda *_: None)
    return read_graphs(store)


@pytest.fixture
def two_together(monkeypatch):
    monkeypatch.setattr(stage, "LEAST_TASKS", 2)


@pytest.mark.usefixtures("two_together")
def test_small_windows_share_a_task_and_a_commit_and_their_graphs_are_the_same(planned, apart, tmp_path):
    store, made = planned
    facts = [{"label": w.label, "n_rows": w.n_rows, "start": None, "end": None, "digest": ""} for w in made.windows]
    together = Store.create(tmp_path / "t", config=made.config.to_json(), windows=facts, fingerprint={})
    commits, reports = [], []
    together.on_commit = commits.append
    orders = make_orders(together, made.config, made.windows)
    build_graphs(together, made.config, orders, SerialExecutor(), lambda *report: reports.append(report))
    assert [commit.kind for commit in commits] == ["graphs", "graphs", "graph"]
    assert reports == [(n, n * N_ROWS) for n in (0, 2, 4, 5)]
    for found, expected in zip(read_graphs(Store.open(tmp_path / "t")), apart, strict=True):
        assert all(map(np.array_equal, (*found[0], *found[1]), (*expected[0], *expected[1])))
    assert [w.rows_digest for w in together.state()] == [w.rows_digest for w in store.state()]


@pytest.mark.usefixtures("two_together")
def test_a_store_of_the_first_format_gets_a_commit_for_each_window(planned, monkeypatch):
    store, made = planned
    monkeypatch.setattr(type(store), "may_pack", False)
    commits = []
    store.on_commit = commits.append
    build_graphs(store, made.config, make_orders(store, made.config, made.windows), SerialExecutor(), lambda *_: None)
    assert [commit.kind for commit in commits] == ["graph"] * N_WINDOWS


def test_graphs_that_another_run_committed_meanwhile_are_left_out(planned, monkeypatch):
    store, made = planned
    orders = make_orders(store, made.config, made.windows)
    receipts = build_graphs_task(store.location, orders, made.config.graph_settings(), range(N_WINDOWS))
    other = Store.open(store.path, read_only=False)
    other.commit_graphs(receipts[:2])
    store.commit_graphs(receipts)
    assert list_done(store) == list(range(N_WINDOWS))
    last = store.state()[-1].commit
    assert [window.commit for window in store.state()] == [last - 1] * 2 + [last] * 3
    store.commit_graphs(receipts)
    assert store.n_commits == last + 1


@pytest.mark.usefixtures("two_together")
def test_of_windows_that_share_a_task_the_one_that_cannot_be_built_is_named(planned):
    store, made = planned
    kwds = {"metric_kwds": {"no_such_argument": 1}}
    config = made.config.model_copy(update={"graph": made.config.graph.model_copy(update=kwds)})
    with pytest.raises(InvalidInputError, match=r"window 'rows 0-29'.*no_such_argument"):
        build_graphs(store, config, make_orders(store, config, made.windows), SerialExecutor(), lambda *_: None)


@pytest.mark.parametrize(
    ("n_windows", "largest", "expected"),
    [(0, 1, 1), (127, 50, 1), (128, 50, 2), (1_000, 50, 15), (10_000, 50, 16), (10_000, 3_000, 2), (10_000, 9_000, 1)],
)
def test_only_many_small_windows_share_a_task(n_windows, largest, expected):
    orders = [GraphOrder(number, "w", (), largest if number == 1 else 1) for number in range(n_windows)]
    assert count_together(orders) == expected


def test_a_window_that_cannot_be_built_is_named_and_the_ones_before_it_stay(planned):
    store, made = planned
    kwds = {"metric_kwds": {"no_such_argument": 1}}
    config = made.config.model_copy(update={"graph": made.config.graph.model_copy(update=kwds)})
    with pytest.raises(InvalidInputError, match=r"window 'rows 60-89'.*no_such_argument"):
        build_graphs(store, config, make_orders(store, config, made.windows[2:]), SerialExecutor(), lambda *_: None)
    assert list_done(store) == []
