"""Words, numbers and details that are filled into a store that was made without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from driftmap.pipeline import explain, ingest, open_store, prune, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, PlanError, SourceError
from driftmap.pipeline.graphs import explain_task
from driftmap.pipeline.sources.readers.tables.table_source import TableSource
from driftmap.pipeline.store.verify import find_damage, find_orphans

N_ROWS = 30
OPTIONS = {"by": "w", "id": "id", "label": "team", "n_neighbors": 6, "n_epochs": 6, "scheduler": "serial"}


def make_frame(n_windows):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n_windows * N_ROWS, 3)), columns=["a", "b", "c"])
    frame["w"] = np.repeat(np.arange(n_windows), N_ROWS)
    frame["id"] = [f"row {i}" for i in np.tile(np.arange(N_ROWS), n_windows)]
    frame["team"] = rng.choice(["red", "blue"], len(frame))
    frame["message"] = [f"typing {name.split()[1]}x" for name in frame["id"]]
    return frame.sample(frac=1, random_state=1)  # in no order


def read_maps(store):
    opened = open_store(store)
    return [
        (opened.positions(t).tobytes(), opened.clusters(t).tobytes(), opened.window_ids(t).tolist())
        for t in range(opened.n_windows)
    ]


def words_of(store, window):
    terms = store.read_traits(window).terms
    return [terms.words[terms.indices[a:b]].tolist() for a, b in zip(terms.indptr, terms.indptr[1:], strict=False)]


@pytest.mark.parametrize("scheduler", ["serial", None])
def test_a_grown_store_is_filled_and_goes_on_with_the_columns(tmp_path, scheduler):
    frame, source, path = make_frame(4), tmp_path / "rows.parquet", tmp_path / "s"
    frame[frame["w"] < 2].to_parquet(source)
    run(source, path, **OPTIONS)
    frame[frame["w"] < 3].to_parquet(source)
    ingest(path, complete=True)
    before = read_maps(path)
    done = explain(path, text="message", show="message", scheduler=scheduler)
    assert done.filled == ["0", "1", "2"]
    assert done.left_out == []
    store = open_store(path)
    assert read_maps(path) == before
    for t in range(3):
        rows = frame[frame["w"] == t].set_index("id").loc[store.window_ids(t)]
        assert words_of(store, t) == [sorted(text.split()) for text in rows["message"]]
        assert np.abs(store.read_traits(t).numbers - rows[["a", "b", "c"]].to_numpy()).max() < 0.2
        labels = store.window_labels(t)
        assert labels["message"].tolist() == rows["message"].tolist()
        assert labels["team"].tolist() == rows["team"].tolist()
    assert find_damage(store) == []
    assert find_orphans(store) == {}
    assert explain(path, text="message", show="message", scheduler="serial").filled == []
    frame.to_parquet(source)
    ingest(path, complete=True)
    store = open_store(path)
    assert store.n_windows == 4
    assert words_of(store, 3)[0][-1] == "typing"
    assert ingest(path, complete=True).altered == []


def test_a_run_that_is_filled_has_what_one_with_text_has(tmp_path):
    source = tmp_path / "rows.parquet"
    make_frame(2).to_parquet(source)
    run(source, tmp_path / "filled", **OPTIONS)
    whole = run(source, tmp_path / "whole", text="message", show="team", **OPTIONS)
    explain(tmp_path / "filled", source, text="message", show="team", scheduler="serial")
    filled = open_store(tmp_path / "filled")
    for t in range(2):
        ours, theirs = filled.read_traits(t), whole.read_traits(t)
        assert np.array_equal(ours.numbers, theirs.numbers)
        assert all(np.array_equal(a, b) for a, b in zip(ours.terms, theirs.terms, strict=True))
    again = run(source, tmp_path / "filled", text="message", show="team", **OPTIONS)
    assert again.n_commits == filled.n_commits


def test_windows_without_a_graph_are_filled_too(tmp_path):
    source, path = tmp_path / "rows.parquet", tmp_path / "s"
    make_frame(10).to_parquet(source)
    run(source, path, **OPTIONS)
    prune(path, keep="1")
    explain(path, text="message", scheduler="serial")
    store = open_store(path)
    assert store.state()[0].pruned == "graph"
    assert words_of(store, 0)[0][-1] == "typing"
    assert find_damage(store) == []


def test_texts_that_changed_and_other_columns_replace_the_former_ones(tmp_path):
    frame, source, path = make_frame(3), tmp_path / "rows.parquet", tmp_path / "s"
    frame["other"] = [f"other {name}" for name in frame["message"]]
    frame.to_parquet(source)
    run(source, path, text="message", show="message", **OPTIONS)
    before = read_maps(path)
    done = explain(path, scheduler="serial")
    assert (done.filled, done.changed, done.same) == ([], [], ["0", "1", "2"])
    frame.loc[frame["w"] == 1, "message"] = "brewing"
    frame.to_parquet(source)
    done = explain(path, scheduler="serial")
    assert (done.filled, done.changed, done.same) == ([], ["1"], ["0", "2"])
    assert str(done).endswith(
        "1 window changed and were made again; 2 windows had all of it "
        "(words of message; shown: message; numbers of 3 columns)"
    )
    store = open_store(path)
    assert words_of(store, 1) == [["brewing"]] * N_ROWS
    assert store.window_labels(1)["message"].tolist() == ["brewing"] * N_ROWS
    assert words_of(store, 0)[0][-1] == "typing"
    assert explain(path, text="other", show="other", scheduler="serial").changed == ["0", "1", "2"]
    store = open_store(path)
    assert [*store.window_labels(0)] == ["team", "other"]
    assert store.window_labels(1)["other"].tolist()[0].startswith("other typing")
    assert "other" in words_of(store, 2)[0]
    assert read_maps(path) == before
    assert find_damage(store) == []


def test_a_window_read_in_blocks_has_what_one_read_whole_has(tmp_path, monkeypatch):
    source, sizes = tmp_path / "rows.parquet", []
    make_frame(2).to_parquet(source)
    for name in ("whole", "blocks"):
        run(source, tmp_path / name, **OPTIONS)
    explain(tmp_path / "whole", text="message", show="message", scheduler="serial")
    monkeypatch.setattr(explain_task, "find_block_rows", lambda *_: 7)
    read_rows = TableSource.read_rows

    def note_size(self, runs, *, with_vectors=True):
        sizes.append(int((runs[:, 1] - runs[:, 0]).sum()) if with_vectors else 0)
        return read_rows(self, runs, with_vectors=with_vectors)

    monkeypatch.setattr(TableSource, "read_rows", note_size)
    explain(tmp_path / "blocks", text="message", show="message", scheduler="serial")
    assert 0 < max(sizes) <= 7
    whole, blocks = (open_store(tmp_path / name) for name in ("whole", "blocks"))
    for t in range(2):
        ours, theirs = blocks.read_traits(t), whole.read_traits(t)
        assert np.array_equal(ours.numbers, theirs.numbers)
        assert all(np.array_equal(a, b) for a, b in zip(ours.terms, theirs.terms, strict=True))
        assert blocks.state()[t].traits == whole.state()[t].traits
        assert blocks.window_labels(t)["message"].tolist() == whole.window_labels(t)["message"].tolist()


def test_windows_of_several_schemas_are_filled(tmp_path):
    """Days of other columns; spans of two days begin where those of the first file did."""
    (tmp_path / "days").mkdir()

    def write_day(day, columns):
        frame = make_frame(1)[["a", "b", "c", "id", "message"]].rename(columns=columns)
        frame["time"] = np.datetime64("2024-01-01") + np.timedelta64(day, "D")
        frame["time"] = frame["time"].astype("datetime64[us]")
        frame["id"] += f" of {day}"
        frame.to_parquet(tmp_path / "days" / f"day-{day}.parquet")

    for day in range(4):
        write_day(day, {})
    options = {"time": "time", "window": "2D", "id": "id", "allow_unrelated": True, "n_neighbors": 6, "n_epochs": 6}
    run(tmp_path / "days", tmp_path / "s", scheduler="serial", **options)
    for day in (5, 6, 7):  # none of the first day of a span
        write_day(day, {"c": "d"})
    ingest(tmp_path / "s", scheduler="serial", accept_schema=True, complete=True)
    store = open_store(tmp_path / "s")
    assert [window.schema for window in store.state()] == [0, 0, 1, 1]
    before = read_maps(tmp_path / "s")
    done = explain(tmp_path / "s", text="message", show="message", scheduler="serial")
    assert done.filled == [window.label for window in store.state()]
    assert done.left_out == []
    store = open_store(tmp_path / "s")
    assert [window.traits["columns"][-1] for window in store.state()] == ["c", "c", "d", "d"]
    assert all(store.window_labels(t)["message"][0].startswith("typing") for t in range(4))
    assert read_maps(tmp_path / "s") == before
    assert find_damage(store) == []


def test_windows_lie_where_the_store_has_them_whatever_came_before_or_is_not_whole(tmp_path):
    frame, days = make_frame(9), tmp_path / "days"
    days.mkdir()
    frame["time"] = np.datetime64("2024-01-01", "us") + frame.pop("w").to_numpy() * np.timedelta64(1, "D")
    frame["id"] += frame["time"].astype(str)

    def write_day(day):
        frame[frame["time"] == f"2024-01-0{day}"].to_parquet(days / f"{day}.parquet")

    for day in range(2, 8):
        write_day(day)
    how = {"time": "time", "id": "id", "window": "3D", "stride": "2D", "n_neighbors": 6, "n_epochs": 6}
    run(days, tmp_path / "s", scheduler="serial", **how)
    write_day(8)
    write_day(1)  # before the first window, on which others would begin to count
    ingest(tmp_path / "s", scheduler="serial", complete=True)
    store = open_store(tmp_path / "s")
    assert store.labels == ["2024-01-02", "2024-01-04", "2024-01-06", "2024-01-08"]
    done = explain(tmp_path / "s", text="message", scheduler="serial")
    assert (done.filled, done.left_out) == (store.labels, [])
    with pytest.raises(PlanError, match=r"newest row is of 2024-01-01.*the store begins at 2024-01-02"):
        explain(tmp_path / "s", days / "1.parquet", text="message", scheduler="serial")


def test_other_rows_and_missing_columns_are_refused(tmp_path):
    frame, source, path = make_frame(2), tmp_path / "rows.parquet", tmp_path / "s"
    frame.to_parquet(source)
    run(source, path, **OPTIONS)
    with pytest.raises(SourceError, match="mesage"):
        explain(path, text="mesage", scheduler="serial")
    frame["a"] += 1
    frame.to_parquet(tmp_path / "others.parquet")
    with pytest.raises(SourceError, match=r"window '[01]': its rows are others"):
        explain(path, tmp_path / "others.parquet", text="message", scheduler="serial")
    assert open_store(path).read_traits(0).terms is None


def test_the_command(tmp_path, capsys):
    source, path = str(tmp_path / "rows.parquet"), str(tmp_path / "s")
    make_frame(2).to_parquet(source)
    run(source, path, **OPTIONS)
    assert run_command(["explain", path, source, "--text", "message", "--scheduler", "serial"]) == 0
    assert "of 2 windows were filled in" in capsys.readouterr().out + capsys.readouterr().err


def test_a_source_of_which_nothing_would_be_kept_is_refused(tmp_path):
    frame = make_frame(2)
    source = {name: frame[name].to_numpy() for name in ("w", "id", "team")}
    source["vectors"] = frame[["a", "b", "c"]].to_numpy(np.float32)
    run(source, tmp_path / "s", **OPTIONS)
    with pytest.raises(ConfigError, match=r"nothing to fill in.*--text COLUMN"):
        explain(tmp_path / "s", source, scheduler="serial")
    assert open_store(tmp_path / "s").read_traits(0) is None
