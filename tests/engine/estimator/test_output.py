"""`set_output`: maps as arrays, or as frames of pandas or polars, one per window."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from driftmap.engine import AlignedUMAP, InvalidInputError

AXES = ["alignedumap0", "alignedumap1"]
ROWS = np.random.default_rng(0).normal(size=(90, 4))
IDS = [np.arange(60), np.arange(30, 90)]
FRAMES = [pd.DataFrame(ROWS[ids], index=[f"row {i}" for i in ids], columns=list("abcd")) for ids in IDS]


def model(**parameters):
    return AlignedUMAP(**{"n_neighbors": 5, "n_epochs": 5, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def maps():
    return model().fit_transform([ROWS[ids] for ids in IDS], ids=IDS)


def test_without_a_call_maps_are_arrays(maps):
    fitted = model()
    assert [type(one) for one in fitted.fit_transform(FRAMES, ids=IDS)] == [np.ndarray] * 2
    assert type(fitted.transform(FRAMES[1])) is np.ndarray


def test_pandas_frames_have_names_and_the_index_of_their_window(maps):
    fitted = model().set_output(transform="pandas")
    found = fitted.fit_transform(FRAMES, ids=IDS)
    for frame, window, positions in zip(found, FRAMES, maps, strict=True):
        pd.testing.assert_frame_equal(frame, pd.DataFrame(positions, index=window.index, columns=AXES))
    placed = fitted.transform(FRAMES[0][:7], window=0)
    assert placed.index.equals(FRAMES[0].index[:7])
    assert placed.to_numpy().tobytes() == model().fit(FRAMES, ids=IDS).transform(ROWS[:7], window=0).tobytes()
    assert fitted.transform(ROWS[:7]).index.tolist() == list(range(7))
    found[0].iloc[:] = 0
    assert [one.tobytes() for one in fitted.embeddings_] == [one.tobytes() for one in maps]


def test_polars_frames_take_polars_windows(maps):
    windows = [pl.from_pandas(frame) for frame in FRAMES]
    fitted = model(n_components=3).set_output(transform="polars")
    found = fitted.fit_transform(windows, ids=IDS)
    assert [one.columns for one in found] == [[*AXES, "alignedumap2"]] * 2
    assert [one.to_numpy().tobytes() for one in found] == [one.tobytes() for one in fitted.embeddings_]
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert fitted.transform(windows[1][:5]).schema == dict.fromkeys(found[0].columns, pl.Float32)


def test_the_choice_stays_with_clones_and_none_changes_nothing():
    asked = model().set_output(transform="pandas")
    assert asked.set_output() is asked
    for one in (asked, clone(asked)):
        assert isinstance(one.fit(FRAMES, ids=IDS).transform(FRAMES[1]), pd.DataFrame)
    assert isinstance(asked.set_output(transform="default").transform(FRAMES[1]), np.ndarray)


def test_scikit_learns_setting_holds_where_nothing_was_asked():
    fitted = model().fit(FRAMES, ids=IDS)
    with sklearn.config_context(transform_output="polars"):
        assert isinstance(fitted.transform(FRAMES[1]), pl.DataFrame)
        assert isinstance(fitted.set_output(transform="pandas").transform(FRAMES[1]), pd.DataFrame)


def test_a_pipeline_asks_for_frames_and_hands_ids_on():
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline([("maps", model().set_fit_request(ids=True))]).set_output(transform="pandas")
        found = pipeline.fit_transform(FRAMES, ids=IDS)
    assert [one.index.tolist() for one in found] == [frame.index.tolist() for frame in FRAMES]


@pytest.mark.parametrize("wrong", ["xarray", "Pandas", 1, True])
def test_another_output_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"transform must be one of default, pandas, polars, .*; got "):
        model().set_output(transform=wrong)


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InvalidInputError, match=r'transform="polars" needs polars, .*; pip install polars'):
        model().set_output(transform="polars")


def test_new_rows_have_the_columns_of_the_windows():
    fitted = model().fit(FRAMES, ids=IDS)
    with pytest.raises(
        InvalidInputError, match=r"in another order \(column 0 is 'b', was 'a'\); give X\[model.feature"
    ):
        fitted.transform(FRAMES[1][list("bacd")])
    with pytest.raises(InvalidInputError, match=r"other columns than the windows \(without 'd', with 'e'\)"):
        fitted.transform(FRAMES[1].rename(columns={"d": "e"}))
    with pytest.raises(InvalidInputError, match=r"with 'e', 'f', 'g' and 2 more"):
        fitted.transform(FRAMES[1].assign(**dict.fromkeys("efghi", 0.0)))
    fitted.transform(FRAMES[1].to_numpy())


def test_a_window_with_other_columns_ends_their_names():
    fitted = model().fit(FRAMES, ids=IDS)
    fitted.update(FRAMES[1], ids=IDS[1])
    assert fitted.feature_names_in_.tolist() == list("abcd")
    fitted.update(FRAMES[1].rename(columns={"d": "e"}), ids=IDS[1])
    assert not hasattr(fitted, "feature_names_in_")
