"""Words and numbers of rows, as graph tasks take them and the store keeps them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.engine.settings import GraphSettings
from driftmap.pipeline import ingest, open_store, plan, prune, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.graphs import build_graph
from driftmap.pipeline.graphs.orders import GraphOrder
from driftmap.pipeline.graphs.scale import UNSCALED
from driftmap.pipeline.graphs.traits import NumberTaker
from driftmap.pipeline.sources import as_source
from driftmap.pipeline.sources.rows.pieces import Piece
from driftmap.pipeline.store.row_traits import NumberCoder, decode_numbers
from driftmap.pipeline.store.verify import find_damage

OPTIONS = {"by": "w", "id": "id", "n_neighbors": 6, "n_epochs": 6, "scheduler": "serial"}
SETTINGS = {name: value for name, value in OPTIONS.items() if name != "scheduler"}


def make_frame(n_windows=2, n_rows=40):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal([5, -300], [1, 40], size=(n_windows * n_rows, 2)), columns=["height", "cost"])
    frame["w"] = np.repeat(np.arange(n_windows), n_rows)
    frame["id"] = np.tile(np.arange(n_rows), n_windows)
    frame["message"] = [f"Fix typing of row {i}" if i % 2 else "Ünicode <b>speed</b>" for i in frame["id"]]
    frame["link"] = [f"https://example.org/{i}" for i in frame["id"]]
    return frame


def words_of(store, window):
    terms = store.read_traits(window).terms
    return [terms.words[terms.indices[a:b]].tolist() for a, b in zip(terms.indptr, terms.indptr[1:], strict=False)]


def test_a_run_keeps_words_and_numbers_and_an_ingest_goes_on(tmp_path):
    frame = make_frame(3)
    source = tmp_path / "rows.parquet"
    frame[frame["w"] < 2].to_parquet(source)
    run(source, tmp_path / "s", text="message", show="link", **OPTIONS)
    frame.to_parquet(source)
    ingest(tmp_path / "s", complete=True)
    store = open_store(tmp_path / "s")
    assert store.n_windows == 3
    for window in range(3):
        own = frame[frame["w"] == window]
        ids = store.window_ids(window)
        expected = [["fix", "of", "row", "typing"] if i % 2 else ["speed", "ünicode"] for i in ids]
        assert words_of(store, window) == expected
        traits, rows = store.read_traits(window), own.set_index("id").loc[ids]
        assert traits.columns == ("height", "cost")
        apart = np.abs(traits.numbers - rows[["height", "cost"]].to_numpy()).max(axis=0)
        assert (apart < [0.1, 4]).all()
        assert store.window_labels(window)["link"].tolist() == rows["link"].tolist()
        assert "message" not in store.window_labels(window)
    assert find_damage(store) == []


def test_texts_that_change_alone_are_taken_into_provisional_windows(tmp_path):
    frame, source, path = make_frame(8), tmp_path / "rows.parquet", tmp_path / "s"
    frame[frame["w"] < 7].to_parquet(source)
    run(source, path, text="message", show="link", block_windows=2, lookahead=1, **OPTIONS)
    before = open_store(path)
    statuses = [window.status for window in before.state()]
    assert set(statuses) == {"final", "provisional"}
    frame["message"] = "other words"
    frame["link"] += "/new"
    frame.to_parquet(source)
    done = ingest(path, complete=True)
    store = open_store(path)
    assert done.altered == []  # a map does not rest on texts
    for window, status in enumerate(statuses):
        assert (words_of(store, window)[0] == ["other", "words"]) == (status == "provisional")
        assert store.window_labels(window)["link"][0].endswith("/new") == (status == "provisional")
    assert find_damage(store) == []


def test_words_and_numbers_stay_when_graphs_are_removed(tmp_path):
    run(make_frame(10), tmp_path / "s", text="message", **OPTIONS)
    before = words_of(open_store(tmp_path / "s"), 0)
    prune(tmp_path / "s", keep="1")
    store = open_store(tmp_path / "s")
    assert store.state()[0].pruned == "graph"
    assert words_of(store, 0) == before


def test_vectors_of_lists_have_no_columns(tmp_path):
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(60, 4)), np.arange(60))
    store = run(rows, tmp_path / "s", rows=30, n_neighbors=5, n_epochs=4, allow_unrelated=True, scheduler="serial")
    assert store.read_traits(0) is None


def test_plan_says_what_is_kept():
    planned = plan(make_frame(), text="message", show=["link", "w"], **SETTINGS)
    assert "text: message, of which the words of each row are kept" in planned.columns
    assert "shown: link, w" in planned.columns


def test_command_and_toml_take_both(tmp_path, capsys):
    source = str(tmp_path / "rows.parquet")
    make_frame().to_parquet(source)
    toml = f'source = "{source}"\ntext = "message"\nshow = ["link"]\nby = "w"\nid = "id"\n'
    (tmp_path / "run.toml").write_text(toml, encoding="utf-8")
    assert run_command(["plan", str(tmp_path / "run.toml")]) == 0
    assert "text: message" in capsys.readouterr().out
    assert run_command(["plan", source, "--by", "w", "--id", "id", "--text", "message", "--show", "link"]) == 0
    assert "shown: link" in capsys.readouterr().out


def test_long_texts_are_cut_and_missing_ones_have_no_words():
    table = pa.table({"v": np.random.default_rng(0).normal(size=3), "t": ["ä" * 9000, None, "two words"]})
    read = as_source(table, text="t").read_rows(np.array([[0, 3]])).labels["t"]
    assert [len(text.decode()) for text in read.tolist()] == [1024, 0, 9]


def test_numbers_are_near_in_any_order_of_reading():
    rng = np.random.default_rng(2)
    rows = rng.normal([0, 1e6], [1, 1], size=(9000, 2)).astype(np.float32)
    rows[17] = [1e9, np.nan]
    spec = as_source(pa.table({"a": np.zeros(3), "b": np.zeros(3)})).spec
    whole, parts = NumberTaker(spec, 9000), NumberTaker(spec, 9000)
    first = rows[20:]
    whole.start(first)
    whole.take(0, rows)
    parts.start(first[:4096])
    for begin in (5000, 2000):
        parts.take(begin, rows[begin : begin + 3000])
    for begin, end in parts.find_rest():
        parts.take(begin, rows[begin:end])
    assert all(np.array_equal(a, b) for a, b in zip(whole.finish().values(), parts.finish().values(), strict=True))
    read = decode_numbers(*whole.finish().values())
    apart = np.abs(read - rows)
    assert np.isnan(read[17, 1])
    assert np.nanmedian(apart, axis=0).max() < 0.05
    assert read[17, 0] > 40 * NumberCoder(first).scale[1, 0]


def test_a_window_in_blocks_has_the_same_words_and_numbers(tmp_path):
    rng = np.random.default_rng(3)
    n = 9000
    table = pa.table({"a": rng.normal(size=n), "b": rng.normal(size=n), "t": [f"word{i % 7}" for i in range(n)]})
    pq.write_table(table, tmp_path / "rows.parquet")
    source = as_source(tmp_path / "rows.parquet", text="t")
    order = GraphOrder(0, "w", (Piece(source.spec, np.array([[0, n]])),), n)
    settings = GraphSettings(n_neighbors=5).for_rows(n)
    scaler = UNSCALED.load(tmp_path)
    whole = build_graph._build_whole(order, settings, 0, scaler, lambda: None)
    parts = build_graph._build_in_blocks(order, settings, 3000, scaler, lambda: None)
    assert whole.columns == parts.columns == ("a", "b")
    assert all(np.array_equal(whole.traits[name], parts.traits[name]) for name in whole.traits)
