"""Sentences about a large store: those of the whole page where all rows are drawn."""

from __future__ import annotations

import pytest
from tests.pipeline.look.live.served import make_run
from tests.pipeline.look.planted_runs import run_planted

from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.changes import measure_changes
from driftmap.pipeline.look.clusters import make_column, read_clusters
from driftmap.pipeline.look.live import sentences
from driftmap.pipeline.look.live.movers import describe_movers
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


def test_events_of_labels_are_those_of_the_whole_page(store):
    run = read_run(store)
    run = run._replace(columns=[*run.columns, make_column(run, read_clusters(store, run))])
    whole = [change.events for change in measure_changes(store, run, measure_frame(store, run).spread)]
    said = describe_changes(store, LiveWindows(store))
    columns = [column["values"] for column in said["described"]]
    own = [[(kind, columns[c][label], n) for kind, c, label, n, _ in found] for found in said["events"]]
    expected = [[(kind, run.columns[c].values[label], n) for kind, c, label, n, _ in found] for found in whole]
    assert sum(map(len, expected)) > 0
    kinds = ("birth", "death", "return", "turn")  # parts of a label depend on the last digit of positions
    for one, other in zip(own, expected, strict=True):
        assert sorted(e for e in one if e[0] in kinds) == sorted(e for e in other if e[0] in kinds)


def test_movers_are_those_of_the_whole_page(store):
    run, windows = read_run(store), LiveWindows(store)
    spread = measure_frame(store, run).spread
    index = run.facts[2].index
    said = describe_movers(store, windows, index)["movers"]
    whole = measure_changes(store, run, spread)[2].movers
    sample = windows.read(index)
    names = dict(zip(sample.entities.tolist(), sample.names, strict=True))
    assert [names[entity] for entity, _, _ in said[:6]] == [run.names[entity] for entity, _, _ in whole[:6]]
    scale = windows.frame.spread / spread
    for (_, *one), (_, *other) in zip(said[:6], whole[:6], strict=True):
        assert one == pytest.approx([value / scale for value in other], rel=1e-3)
    few = describe_movers(store, LiveWindows(store, 60), index)["movers"]
    assert 0 < len(few) <= len(said)
    assert describe_movers(store, windows, run.facts[0].index) == {"movers": []}


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
