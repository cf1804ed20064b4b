"""Turnover in the store: measured when a window is laid out, on every path, and there when the graphs are gone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tests.pipeline.growing import make_store, take_in, write_days
from tests.pipeline.merging import write_merging
from tests.pipeline.small_stores import SmallWindow
from tests.pipeline.small_stores import make_store as make_by_hand

from driftmap.engine import relate_ids, turnover
from driftmap.pipeline import open_store, prune, run
from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.page_codec import decode_page
from driftmap.pipeline.look.page_data import read_page
from driftmap.pipeline.look.quality import measure_windows
from driftmap.pipeline.look.run_codes import read_run
from driftmap.pipeline.store.log.windows import WindowState
from driftmap.pipeline.store.turnover_codes import decode_turnover, encode_turnover, relate_turnover
from driftmap.pipeline.store.verify import find_damage

N_WINDOWS = 7
HOW = {"id": "id", "by": "window", "vectors": "v", "n_epochs": 8, "n_neighbors": 10, "lookahead": 2}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_merging(tmp_path_factory.mktemp("data") / "rows.parquet", N_WINDOWS)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    return run(source, tmp_path_factory.mktemp("runs") / "s", scheduler="serial", block_windows=2, **HOW)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A run of six days, then two more a day at a time."""
    place = tmp_path_factory.mktemp("grown")
    make_store(place / "days", place / "store")
    for day in (6, 7):
        write_days(place / "days", range(day, day + 1))
        take_in(place)
    return open_store(place / "store")


def compare(store, t) -> np.ndarray:
    """What the newer window's rows have, from ids and graphs."""
    relation = relate_ids(store.window_keys(t - 1), store.window_keys(t))
    known = turnover(store.knn_graph(t - 1).indices, store.knn_graph(t).indices, relation)
    result = np.full(len(store.window_keys(t)), np.nan)
    result[relation[relation >= 0]] = known[relation >= 0]
    return result


def test_codes_come_back_within_half_a_step():
    relation = np.array([3, -1, 0, 2, -1], dtype=np.int32)
    values = np.array([0, 0.5, 1, np.nan, 0.3], dtype=np.float32)
    codes = encode_turnover(values, relation, 4)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [101, 0, 0, 1]
    np.testing.assert_array_equal(decode_turnover(codes), np.array([1, np.nan, np.nan, 0], dtype=np.float32))
    np.testing.assert_array_equal(relate_turnover(codes, relation)[[0, 2]], [0, 1])
    assert np.isnan(relate_turnover(codes, relation)[[1, 3, 4]]).all()
    shares = np.linspace(0, 1, 997, dtype=np.float32)
    back = decode_turnover(encode_turnover(shares, np.arange(997, dtype=np.int32), 997))
    assert np.abs(back - shares).max() <= 0.00501


@pytest.mark.parametrize("name", ["whole", "grown"])
def test_every_window_but_the_first_has_it_after_a_run_and_after_ingests(request, name):
    store = request.getfixturevalue(name)
    for t in range(1, store.n_windows):
        kept = store.turnover(t)
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, compare(store, t), atol=0.00501)
        assert (kept > 0).any() or name == "grown"  # its windows overlap
    with pytest.raises(StoreError, match="has no turnover"):
        store.turnover(0)


def test_every_layout_gives_the_same(source, whole, tmp_path):
    other = run(source, tmp_path / "s", scheduler="serial", block_windows=3, layout="exchange", **HOW)
    for t in range(1, N_WINDOWS):
        assert other.turnover(t).tobytes() == whole.turnover(t).tobytes()


def test_it_outlives_the_graphs_and_so_do_the_page_and_its_sentences(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "s")
    answers, quality, steps = find_answers(whole, read_run(whole), 1.0), measure_windows(whole), range(1, N_WINDOWS)
    prune(tmp_path / "s", keep="2")
    store = open_store(tmp_path / "s")
    assert store.state()[1].pruned == "graph"
    assert all(store.turnover(t).tobytes() == whole.turnover(t).tobytes() for t in steps)
    after = find_answers(store, read_run(store), 1.0)
    assert any(answers.pairs.values())
    for t in steps:
        assert [one.text for one in after.pairs[t - 1, t]] == [one.text for one in answers.pairs[t - 1, t]]
    assert after.noise_floors == answers.noise_floors
    assert find_damage(store) == []
    header, _ = decode_page(read_page(store, quality).text)
    assert ["turnover" in window for window in header["windows"]] == [False] + [True] * (N_WINDOWS - 1)
    prune(tmp_path / "s", keep="2", embeddings=True)
    with pytest.raises(StoreError, match="removed to save room"):
        open_store(tmp_path / "s").turnover(1)
    attempt = whole.state()[1].clusters["attempt"]
    assert not [path for path in (tmp_path / "s" / "windows").rglob("*") if attempt in str(path) and path.is_file()]


def test_of_a_store_made_before_the_page_measures_it(tmp_path):
    rng = np.random.default_rng(0)
    windows = [SmallWindow(f"w{t}", np.arange(90), rng.normal(size=(90, 2))) for t in range(3)]
    store = make_by_hand(tmp_path / "s", windows)
    with pytest.raises(StoreError, match="driftmap kept none before"):
        store.turnover(1)
    found = find_answers(store, read_run(store), 1.0).turnovers
    assert found[0] is None
    for t in (1, 2):
        np.testing.assert_allclose(decode_turnover(found[t]), compare(store, t), atol=0.00501)


def test_what_the_log_says_of_it_is_checked():
    record = {"attempt": "a", "n_clusters": 1, "n_known": 1, "passages": []}
    state = {"index": 0, "label": "w", "n_rows": 1, "start": None, "end": None, "digest": "d"}
    for fine in ({}, {"has_turnover": True}, {"has_turnover": False}):
        assert json.loads(json.dumps(WindowState(**state, clusters={**record, **fine}).clusters))["n_known"] == 1
    with pytest.raises(TypeError, match="clusters cannot be read"):
        WindowState(**state, clusters={**record, "has_turnover": 1})
