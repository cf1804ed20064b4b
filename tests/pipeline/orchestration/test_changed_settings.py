"""Settings that change between two calls of a run: of the layout, as long as there is none, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from driftmap.engine.errors import InvalidInputError
from driftmap.pipeline import open_store, plan, run
from driftmap.pipeline.errors import ConfigError, PlanWarning
from driftmap.pipeline.layout import block_layout

N_WINDOWS, N_ROWS = 3, 40
SOURCE = {
    "vectors": np.random.default_rng(0).normal(size=(N_WINDOWS * N_ROWS, 5)).astype("f4"),
    "id": np.tile(np.arange(N_ROWS), N_WINDOWS),
    "window": np.repeat(np.arange(N_WINDOWS), N_ROWS),
}
OPTIONS = {"scheduler": "serial", "by": "window", "id": "id", "n_neighbors": 5, "n_epochs": 5}


@pytest.fixture
def without_layout(tmp_path, monkeypatch):
    """A store that has all its graphs and no map: its run ended when the layout began."""

    def fail(*_, **__):
        raise KeyboardInterrupt

    path = tmp_path / "maps.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(block_layout, "lay_out_block", fail)
        with pytest.raises(KeyboardInterrupt):
            run(SOURCE, path, **OPTIONS, min_dist=0.9)
    return path


def graphs_of(store):
    return [window.graph_attempt for window in store.state()]


def positions_of(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def test_a_setting_of_the_layout_changes_while_there_is_none_and_graphs_are_kept(without_layout, tmp_path):
    graphs = graphs_of(open_store(without_layout))
    assert any(graphs)
    with pytest.warns(PlanWarning, match=r"min_dist: store has 0.9, now 0.2.*lookahead: store has 3, now 1.*are kept"):
        mended = run(SOURCE, without_layout, **OPTIONS, min_dist=0.2, lookahead=1)
    assert set(graphs) - {None} <= set(graphs_of(mended))
    assert mended.config["layout"]["min_dist"] == 0.2
    assert mended.config["lookahead"] == 1
    assert positions_of(mended) == positions_of(
        run(SOURCE, tmp_path / "other.zarr", **OPTIONS, min_dist=0.2, lookahead=1)
    )
    n_commits = mended.n_commits
    assert run(SOURCE, without_layout, **OPTIONS, min_dist=0.2, lookahead=1).n_commits == n_commits


@pytest.mark.parametrize("changed", [{"n_neighbors": 6}, {"random_state": 1}, {"min_dist": 0.2, "metric": "cosine"}])
def test_settings_that_graphs_depend_on_are_refused(without_layout, changed):
    n_commits = open_store(without_layout).n_commits
    with pytest.raises(ConfigError, match="was made with other settings"):
        run(SOURCE, without_layout, **{**OPTIONS, "min_dist": 0.9, **changed})
    assert open_store(without_layout).n_commits == n_commits


def test_nothing_changes_once_there_is_a_layout(tmp_path):
    run(SOURCE, tmp_path / "maps.zarr", **OPTIONS)
    with pytest.raises(ConfigError, match=r"min_dist: store has 0\.1, now 0\.2"):
        run(SOURCE, tmp_path / "maps.zarr", **OPTIONS, min_dist=0.2)


@pytest.mark.parametrize("changed", [{"n_epochs": [5, 5]}, {"spread": [1, 1, 1, 1]}, {"min_dist": [0.1, 0.2, 1.5]}])
def test_plan_and_run_refuse_before_any_work(tmp_path, changed):
    for call in (lambda **options: plan(SOURCE, **options), lambda **options: run(SOURCE, tmp_path / "x", **options)):
        with pytest.raises((ConfigError, InvalidInputError), match=f"{next(iter(changed))} "):
            call(**{**OPTIONS, **changed})
    assert not (tmp_path / "x").exists()
