"""Graphs beside other work: committed in the caller's thread only, and awaited window by window."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline import plan
from driftmap.pipeline.executors.base import SerialExecutor
from driftmap.pipeline.graphs.stage import GraphWork, build_graphs, make_orders
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


def test_a_window_that_cannot_be_built_is_named_and_the_ones_before_it_stay(planned):
    store, made = planned
    kwds = {"metric_kwds": {"no_such_argument": 1}}
    config = made.config.model_copy(update={"graph": made.config.graph.model_copy(update=kwds)})
    with pytest.raises(InvalidInputError, match=r"window 'rows 60-89'.*no_such_argument"):
        build_graphs(store, config, make_orders(store, config, made.windows[2:]), SerialExecutor(), lambda *_: None)
    assert list_done(store) == []
