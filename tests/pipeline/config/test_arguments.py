"""Wrong arguments from Python are refused before any work, in one message that names them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline import ingest, open_store, prune, run
from driftmap.pipeline.config.times.durations import write_keep
from driftmap.pipeline.errors import ConfigError, PictureError, StoreError
from driftmap.pipeline.look import animate, plot_change, plot_points, plot_river, read_sequence


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng = np.random.default_rng(0)
    windows = [SmallWindow(label, np.arange(9), rng.normal(size=(9, 2))) for label in ("2001", "2002")]
    path = tmp_path_factory.mktemp("made") / "s"
    make_store(path, windows)
    return open_store(path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"complete": "no"}, "complete is 'no'; True or False was expected"),
        ({"clock": 1}, "clock is 1; True or False was expected"),
        ({"on_event": "print"}, "on_event is 'print'; a function, or None, was expected"),
        ({"scheduler": 8786}, "scheduler is 8786; an address such as"),
        ({"keep": True}, "keep: True is not a length of time"),
    ],
)
def test_of_ingest(store, given, said):
    with pytest.raises(ConfigError, match=said):
        ingest(store.path, **{"scheduler": "serial", **given})


@pytest.mark.parametrize("name", ["on_event", "progress", "on_dashboard"])
def test_of_run(tmp_path, name):
    with pytest.raises(ConfigError, match=f"{name} is 5; a function, or None, was expected"):
        run("rows.parquet", tmp_path / "s", scheduler="serial", by="year", **{name: 5})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"keep": -1}, "keep: -1 is not a length of time"),
        ({"keep": 1.5}, "keep: 1.5 is not a length of time"),
        ({"keep": "1", "embeddings": "no"}, "embeddings is 'no'; True or False was expected"),
        ({"dry_run": "no"}, "dry_run is 'no'; True or False was expected"),
        ({"wait_seconds": "10s"}, "wait_seconds is '10s'; a number of seconds, 0 or more, was expected"),
        ({"wait_seconds": float("nan")}, "wait_seconds is nan"),
    ],
)
def test_of_prune(store, given, said):
    with pytest.raises(ConfigError, match=said):
        prune(store.path, **given)


def test_what_is_kept_may_be_a_number_or_a_length_of_time():
    given = (3, np.int64(3), " 3 ", "2y", timedelta(days=2), np.timedelta64(36, "h"))
    assert [write_keep(one) for one in given] == ["3", "3", "3", "2Y", "2D", "36h"]


@pytest.mark.parametrize("windows", ["2001", 0, b"2001"])
def test_several_windows_come_in_a_list(store, windows):
    for read in (store.to_table, store.to_xarray, lambda windows: read_sequence(store, windows=windows)):
        with pytest.raises(
            StoreError, match=r"windows is .*; a list of labels or numbers .* such as \['2001', '2002'\]"
        ):
            read(windows)


def test_true_is_no_window_and_no_generation(store):
    with pytest.raises(StoreError, match="the window is True of type bool; a label or a number was expected"):
        store.positions(True)
    with pytest.raises(StoreError, match="no generation False that can be read"):
        open_store(store.path, generation=False)
    with pytest.raises(StoreError, match="no generation '0' that can be read; there are: 0"):
        open_store(store.path, generation="0")


def test_of_pictures(store, tmp_path):
    path = str(store.path)
    for draw in (plot_river, read_sequence, lambda given: plot_change(given, "2001", "2002")):
        with pytest.raises(PictureError, match=r"an opened store was expected, got str; open_store\(PATH\) opens one"):
            draw(path)
    with pytest.raises(PictureError, match=r"highlight must be .* or a list of ids, got 5"):
        plot_points(store, highlight=5)
    for write in (lambda given: animate(store, given), store.report):
        with pytest.raises(ConfigError, match="the file to write is 5; a path or URL was expected"):
            write(5)
