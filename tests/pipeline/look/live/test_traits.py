"""Words and numbers of a large store's rows: those of the store, of the rows that are drawn of two windows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipeline.look.live.served import make_talk
from tests.pipeline.look.planted_reasons import plant_reasons
from tests.pipeline.small_stores import SmallWindow, make_store

from driftmap.pipeline.look.live import traits
from driftmap.pipeline.look.live.traits import LiveTraits
from driftmap.pipeline.look.live.windows import LiveWindows
from driftmap.pipeline.look.page_codec import unpack_page
from driftmap.pipeline.store.row_reader import RowReader
from driftmap.pipeline.store.row_traits import decode_numbers


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return plant_reasons(tmp_path_factory.mktemp("traits") / "run.zarr", 0).store


def list_words(terms, row):
    return terms.words[terms.indices[terms.indptr[row] : terms.indptr[row + 1]]].tolist()


def test_words_of_some_rows_are_those_of_the_window(store):
    whole, rows = store.read_words(2), np.array([0, 3, 4, 90, len(store.window_keys(2)) - 1])
    some = RowReader(store, store.state()[2]).take_words(rows)
    assert [list_words(some, at) for at in range(len(rows))] == [list_words(whole, row) for row in rows.tolist()]
    none = RowReader(store, store.state()[2]).take_words(rows[:0])
    assert len(none.indices) == 0


@pytest.mark.parametrize("n_drawn", [100_000, 40])
def test_a_pair_has_words_and_numbers_of_the_rows_drawn(store, n_drawn):
    windows = LiveWindows(store, n_drawn)
    header, streams = unpack_page(LiveTraits(windows).encode(1, 2))
    assert header["columns"] == list(store.read_traits(2).columns)
    for index in (1, 2):
        given, sample, whole = header["windows"][str(index)], windows.read(index), store.read_traits(index)
        assert streams[given["rows"]].tolist() == sample.rows.tolist()
        lengths, codes = (streams[number] for number in given["words"])
        ends = np.cumsum(lengths)
        chosen = set(header["words"])
        for row, start, end in zip(sample.rows.tolist(), ends - lengths, ends, strict=True):
            own = [header["words"][code] for code in codes[start:end]]
            assert own == [word for word in list_words(whole.terms, row) if word in chosen]
        scale = np.array(header["scale"])
        numbers = np.column_stack([streams[number] for number in given["numbers"]]).astype(np.uint8)
        found, expected = decode_numbers(numbers, scale), whole.numbers[sample.rows]
        np.testing.assert_allclose(found, expected, atol=0.1 * scale[1].max(), rtol=0.1)


def test_of_too_many_numbers_those_of_a_share_of_the_ids_are_given(store, monkeypatch):
    monkeypatch.setattr(traits, "MOST_NUMBERS", 1_000)
    header, streams = unpack_page(LiveTraits(LiveWindows(store)).encode(1, 2))
    assert header["is_sampled"]
    known = [np.flatnonzero(streams[header["windows"][str(t)]["numbers"][0]] != traits.MISSING) for t in (1, 2)]
    assert all(0 < len(one) <= 1_000 // len(header["columns"]) for one in known)


def test_words_that_only_one_window_has_are_chosen_first(tmp_path, monkeypatch):
    monkeypatch.setattr(traits, "MOST_WORDS", 4)
    rng = np.random.default_rng(0)
    common = [f"common{chr(97 + k)}" for k in range(20)]
    texts = [[" ".join(rng.choice(common, 4)) + (" fresh" if t else "") for _ in range(60)] for t in (0, 1)]
    windows = [SmallWindow(f"w{t}", np.arange(60), rng.normal(size=(60, 2)), texts=texts[t]) for t in (0, 1)]
    live = LiveTraits(LiveWindows(make_store(tmp_path / "s", windows)))
    header, _ = unpack_page(live.encode(0, 1))
    assert len(header["words"]) == 4
    assert "fresh" in header["words"]


def test_a_cluster_keeps_the_name_that_it_was_given(tmp_path):
    store = make_talk(tmp_path / "run.zarr")
    live = LiveTraits(LiveWindows(store))
    first = unpack_page(live.encode(0, 1))[0]["names"]
    assert {word for name in first.values() for word in name.split(", ")} <= {"even", "odd", "talk"}
    then = unpack_page(live.encode(1, 2))[0]["names"]
    assert first.items() < then.items()
    assert any("late" in name for name in then.values())
