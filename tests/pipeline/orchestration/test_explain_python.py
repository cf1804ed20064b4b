"""`explain` of stores whose rows were given from Python, to the run or to ingests."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.orchestration.test_explain import OPTIONS, make_frame, read_maps, words_of

from driftmap.pipeline import explain, ingest, open_store, run
from driftmap.pipeline.errors import SourceError
from driftmap.pipeline.store.verify import find_damage, find_orphans

SERIAL = {"scheduler": "serial"}


@pytest.fixture
def frame():
    return make_frame(3).reset_index(drop=True)


def make_store(frame, place, source=None):
    """A store of two windows by a run, and one by an ingest that was given rows."""
    if source is not None:
        frame[frame["w"] < 2].to_parquet(source)
    run(frame[frame["w"] < 2] if source is None else source, place, **OPTIONS)
    ingest(place, source=frame[frame["w"] == 2], complete=True, **SERIAL)
    return place


def test_all_rows_from_python_fill_a_store_and_change_no_later_ingest(tmp_path, frame):
    path = make_store(frame, tmp_path / "s")
    before = read_maps(path)
    for scheduler in ("serial", None):
        done = explain(path, frame, text="message", show="message", scheduler=scheduler)
        assert done.filled + done.same == ["0", "1", "2"]
    store = open_store(path)
    assert read_maps(path) == before
    assert words_of(store, 2)[0][-1] == "typing"
    assert store.window_labels(0)["message"][0].startswith("typing")
    assert (find_damage(store), find_orphans(store)) == ([], {})
    assert store.config["source"]["text"] is None
    late = frame[frame["w"] == 2].iloc[:5].assign(id=[f"late {number}" for number in range(5)])
    assert ingest(path, source=late, complete=True, **SERIAL).rebuilt == ["2"]


def test_a_column_that_was_not_kept_is_named(tmp_path, frame):
    path = make_store(frame, tmp_path / "s")
    with pytest.raises(SourceError, match=r"kept without column 'message'; they have .*Give the rows again"):
        explain(path, text="message", **SERIAL)
    assert open_store(path).config["source"]["text"] is None


@pytest.mark.parametrize("is_file", [True, False])
def test_rows_that_ingests_were_given_are_read_where_the_store_keeps_them(tmp_path, frame, is_file):
    path = make_store(frame, tmp_path / "s", tmp_path / "rows.parquet" if is_file else None)
    moved = path.rename(tmp_path / "moved")
    done = explain(moved, text="team", **SERIAL)
    assert (done.filled + done.changed + done.same, done.left_out) == (["0", "1", "2"], [])
    store = open_store(moved)
    assert {word for words in words_of(store, 2) for word in words} == {"red", "blue"}
    assert store.config["source"]["text"] == "team"


def test_a_dask_collection_is_refused(tmp_path, frame):
    array = pytest.importorskip("dask.array")
    path = make_store(frame, tmp_path / "s")
    rows = {name: frame[name].to_numpy() for name in ("w", "id", "team")}
    rows["vectors"] = array.from_array(frame[["a", "b", "c"]].to_numpy(np.float32))
    for take in (lambda: explain(path, rows, text="team", **SERIAL), lambda: ingest(path, source=rows, **SERIAL)):
        with pytest.raises(SourceError, match="Dask"):
            take()


@pytest.mark.parametrize("rule", ["first", "last", "mean"])
@pytest.mark.parametrize("has_times", [False, True])
def test_the_row_that_stands_for_an_id_is_the_same_one_over_file_and_ingest(tmp_path, frame, rule, has_times):
    frame["when"] = np.datetime64("2024-01-01", "us") + np.arange(len(frame)).astype("timedelta64[s]")
    frame.to_parquet(tmp_path / "rows.parquet")
    roles = {"duplicates": rule, "text": "message", "vectors": ["a", "b", "c"], "time": "when" if has_times else None}
    run(tmp_path / "rows.parquet", tmp_path / "s", **{**OPTIONS, **roles})
    earlier = frame["when"].min() - np.timedelta64(1, "D")
    again = frame[frame["w"] == 2].iloc[::2].assign(message="other words than before", when=earlier)
    assert ingest(tmp_path / "s", source=again, complete=True, **SERIAL).rebuilt == ["2"]
    is_new = "words" in {word for words in words_of(open_store(tmp_path / "s"), 2) for word in words}
    assert is_new == (rule == ("first" if has_times else "last"))  # of a mean the first row's words
    done = explain(tmp_path / "s", text="message", **SERIAL)
    assert (done.same, done.refused) == (["0", "1", "2"], {})
