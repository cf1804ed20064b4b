"""Sentences about a large store: those of the whole page where all rows are drawn."""

from __future__ import annotations

import pytest
from tests.pipeline.look.live.served import make_run
from tests.pipeline.look.planted_runs import run_planted

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.live import sentences
from driftmap.pipeline.look.live.sentences import describe_changes
from driftmap.pipeline.look.live.windows import LiveWindows
from driftmap.pipeline.look.page_data import measure_frame
from driftmap.pipeline.look.run_codes import read_run


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return run_planted(tmp_path_factory.mktemp("planted"), "moved", 3, has_labels=True).store


def test_of_all_rows_they_are_those_of_the_whole_page(store):
    run = read_run(store)
    whole = find_answers(store, run, measure_frame(store, run).spread)
    said = describe_changes(store, LiveWindows(store))
    steps = [one.text for (a, b), found in whole.pairs.items() if b == a + 1 for one in found]
    assert len(steps) > 0
    assert [one["text"] for one in said["all"] if one["b"] == one["a"] + 1] == steps
    assert tuple(said["newest"]) == whole.newest
    for known, own in zip(whole.noise_floors, said["noise_floors"], strict=True):
        assert own is None if known is None else own == pytest.approx(known, rel=0.25)


def test_they_say_which_rows_they_are_about(store):
    windows = LiveWindows(store)
    for one in describe_changes(store, windows)["all"]:
        sample = windows.read(one["t"]) if one["t"] is not None else None
        rows = one["entities"] if sample is None else [*(sample.codes[one["c"]] == one["code"]).nonzero()[0]]
        assert len(rows) > 0


def test_only_the_newest_windows_are_compared(store, monkeypatch):
    monkeypatch.setattr(sentences, "MAX_COMPARED", 3)
    said = describe_changes(store, LiveWindows(store))
    assert said["compared"] == [fact.index for fact in store.state()][-3:]
    assert all(one["a"] in said["compared"] and one["b"] in said["compared"] for one in said["all"])


def test_of_one_window_nothing_is_said(tmp_path):
    store = make_run(tmp_path / "run.zarr", n_windows=1)
    assert describe_changes(store, LiveWindows(store))["all"] == []
