"""What pictures start from: a store or plain lists, and colours for their rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.pipeline.errors import PictureError, StoreError
from driftmap.pipeline.look import colours
from driftmap.pipeline.look.colours import OTHER, PALETTE, RAMP, colour_rows, read_colours
from driftmap.pipeline.look.sequence import as_sequence, read_sequence
from driftmap.pipeline.store import Store


@pytest.fixture
def made():
    return make_maps()


@pytest.fixture
def store(tmp_path, made):
    return write_maps(tmp_path / "run.zarr", made, ["a", "b", "c", "d"])


def test_a_store_is_read_with_its_first_label_column(store, made):
    sequence = as_sequence(store)
    assert sequence.names == ["a", "b", "c", "d"]
    assert sequence.column == "kind"
    for places, ids, kinds, *given in zip(sequence.places, sequence.ids, sequence.values, *made, strict=True):
        for read, wanted in zip((places, ids, kinds), given, strict=True):
            np.testing.assert_array_equal(read, wanted)
    assert as_sequence(store, "weight").colouring().kind == "number"


def test_windows_of_a_store_can_be_chosen(store, made):
    sequence = read_sequence(store, windows=["c", 0])
    assert sequence.names == ["c", "a"]
    np.testing.assert_array_equal(sequence.places[0], made.maps[2])
    with pytest.raises(StoreError, match="no window 'z'"):
        read_sequence(store, windows=["z"])


def test_a_store_without_maps_or_without_that_column_is_refused(store, tmp_path):
    windows = [{"label": "a", "n_rows": 3, "start": None, "end": None, "digest": "d"}]
    empty = Store.create(tmp_path / "new.zarr", config={}, windows=windows, fingerprint={})
    with pytest.raises(StoreError, match="has a map yet"):
        as_sequence(empty)
    with pytest.raises(PictureError, match="no label column 'colour'; it has 'kind', 'weight'"):
        as_sequence(store, "colour")


def test_the_same_id_is_the_same_entity_in_every_window(made):
    numbers = as_sequence(made.maps, ids=made.ids).entities()
    by_name = {}
    for window_numbers, ids in zip(numbers, made.ids, strict=True):
        for number, name in zip(window_numbers.tolist(), ids.tolist(), strict=True):
            assert by_name.setdefault(name, number) == number
    assert len(set(by_name.values())) == len(by_name)


def test_ids_of_mixed_kinds_meet_as_text():
    maps = [np.zeros((2, 2))] * 2
    first, second = as_sequence(maps, ids=[[b"x", b"\xff"], ["y", "x"]]).entities()
    assert first[0] == second[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"maps": []}, "got no maps"),
        ({"maps": 3}, "got int"),
        ({"maps": [np.zeros((2, 2)), np.zeros((2, 3))]}, "have \\[2, 3\\] axes"),
        ({"maps": [np.zeros((2, 2, 2))]}, "got shape \\(2, 2, 2\\)"),
        ({"maps": [[["a", "b"]]]}, "no array of numbers"),
        ({"maps": [np.zeros((2, 2))], "label": "kind"}, "one array of labels per window"),
        ({"maps": [np.zeros((2, 2))], "label": [[1, 2, 3]]}, "label\\[0\\] has shape \\(3,\\) for a map of 2 rows"),
        ({"maps": [np.zeros((2, 2))], "ids": [[1, 2], [3, 4]]}, "ids has 2 entries for 1 windows"),
        ({"maps": [np.zeros((2, 2))], "ids": [[1, 1]]}, "twice"),
        ({"maps": [np.zeros((2, 2))], "names": ["a", "b"]}, "got 2 names for 1 windows"),
    ],
)
def test_lists_that_do_not_fit_are_refused(given, message):
    with pytest.raises(PictureError, match=message):
        as_sequence(**given)


def test_lists_beside_a_store_are_refused(store, made):
    with pytest.raises(PictureError, match="the store has its own"):
        as_sequence(store, ids=made.ids)
    with pytest.raises(PictureError, match="name of a label column"):
        as_sequence(store, made.kinds)


def test_rows_without_a_place_do_not_count_for_the_bounds():
    maps = [np.array([[0, 0], [np.nan, 5], [2, 1]]), np.full((1, 2), np.nan)]
    sequence = as_sequence(maps)
    low, high = sequence.bounds()
    assert (low.tolist(), high.tolist()) == ([0, 0], [2, 1])
    assert np.isnan(sequence.planes()[0][1]).all()
    low, high = as_sequence(maps[1:]).bounds()
    assert (high > low).all()


def test_one_axis_becomes_a_strip_with_every_entity_at_its_height():
    sequence = as_sequence([np.arange(6.0), np.arange(6.0)[::-1]], ids=[np.arange(6), np.arange(6)[::-1]])
    first, second = sequence.planes()
    np.testing.assert_array_equal(first, second[::-1])
    assert 0 < np.ptp(first[:, 1]) < np.ptp(first[:, 0]) / 5


def test_few_categories_keep_their_order():
    colouring = colour_rows([np.array(["b", "a"]), np.array(["c"])], [2, 1], "kind")
    assert (colouring.kind, colouring.names, colouring.other) == ("category", ["a", "b", "c"], "")
    np.testing.assert_array_equal(colouring.paint(0), read_colours([PALETTE[1], PALETTE[0]]))


def test_of_many_categories_the_most_frequent_have_colours():
    kinds = np.array([f"k{i % 500}" for i in range(1000)] + ["k400"] * 9 + ["k7"] * 5)
    colouring = colour_rows([kinds], [len(kinds)])
    assert colouring.names[:2] == ["k400", "k7"]
    assert len(colouring.names) == len(PALETTE)
    assert colouring.other == f"{500 - len(colouring.names)} others"
    shown = np.isin(kinds, colouring.names)
    np.testing.assert_array_equal(colouring.codes[0] >= 0, shown)
    grey = np.round(read_colours([OTHER])[0], 4)
    np.testing.assert_array_equal(np.round(colouring.paint(0)[~shown], 4), np.tile(grey, ((~shown).sum(), 1)))


def test_pictures_and_page_have_the_same_ramp():
    script = (Path(colours.__file__).parent / "templates" / "colours.js").read_text(encoding="utf-8")
    ramp = json.loads(re.search(r"light: \{ number: (\[\[.*?\]\])", script)[1])
    np.testing.assert_array_equal(np.rint(read_colours(RAMP) * 255), ramp)


@pytest.mark.parametrize("values", [np.linspace(3, 7, 50), np.arange(50)])
def test_numbers_are_a_scale(values):
    colouring = colour_rows([values], [50])
    assert (colouring.kind, colouring.low, colouring.high) == ("number", values.min(), values.max())
    lightness = colouring.paint(0) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_missing_numbers_are_grey_and_one_number_is_no_error():
    colouring = colour_rows([np.array([1.0, np.nan, np.inf, 1.0])], [4])
    np.testing.assert_allclose(colouring.paint(0)[[1, 2]], np.tile(read_colours([OTHER])[0], (2, 1)), atol=1e-6)
    assert colour_rows([np.full(3, np.nan)], [3]).paint(0).shape == (3, 3)


def test_labels_of_any_kind_are_categories():
    for values in ([True, False], [None, "a"], [b"x", b"\xff"], np.array(["2024-01", "2024-02"], "datetime64[M]")):
        colouring = colour_rows([np.asarray(values)], [2])
        assert (colouring.kind, len(colouring.names)) == ("category", 2)
