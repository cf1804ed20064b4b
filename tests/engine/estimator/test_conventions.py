"""scikit-learn's conventions, kept without importing it: parameters, text, tags, requests, clones, pipelines."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from driftmap.engine import AlignedUMAP
from driftmap.engine.errors import InvalidInputError

FIT = """
import sys
import numpy as np
from driftmap.engine import AlignedUMAP
rows = np.random.default_rng(0).normal(size=(90, 4))
model = AlignedUMAP(n_neighbors=5, n_epochs=10, random_state=0)
model.fit_transform([rows[:60], rows[30:]], ids=[np.arange(60), np.arange(30, 90)])
model.update(rows[40:], ids=np.arange(40, 90))
others = {"sklearn", "pandas", "polars", "joblib", "pynndescent"}
print(*sorted({name.partition(".")[0] for name in sys.modules} & others))
"""


class Plain(BaseEstimator):
    """An estimator of scikit-learn's own with some of the same parameters."""

    def __init__(self, n_neighbors=15, metric="euclidean"):
        self.n_neighbors = n_neighbors
        self.metric = metric


@pytest.fixture
def windows():
    rows = np.random.default_rng(0).normal(size=(90, 4))
    return [rows[:60], rows[30:]], [np.arange(60), np.arange(30, 90)]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_neither_fit_nor_update_loads_scikit_learn_or_a_library_of_frames():
    done = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_text_names_what_differs_from_the_defaults():
    assert repr(AlignedUMAP()) == "AlignedUMAP()"
    assert repr(AlignedUMAP(n_neighbors=7, metric="cosine")) == "AlignedUMAP(metric='cosine', n_neighbors=7)"
    with sklearn.config_context(print_changed_only=False):
        assert "min_dist=0.1" in repr(AlignedUMAP())


def test_tags_and_parameters_are_those_that_scikit_learn_reads():
    model = AlignedUMAP(n_neighbors=7)
    assert get_tags(model) == get_tags(Plain())
    assert list(model.get_params()) == sorted(model.get_params())
    copy = clone(model.set_params(metric="cosine"))
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert (copy.n_neighbors, copy.metric) == (7, "cosine")


def test_an_unknown_parameter_sets_none():
    model = AlignedUMAP()
    with pytest.raises(InvalidInputError, match="AlignedUMAP has no parameter 'n_neighbours'; its parameters are a, "):
        model.set_params(n_epochs=10, n_neighbours=7)
    assert model.n_epochs is None


def test_before_fit_scikit_learn_and_we_say_the_same(windows):
    model = AlignedUMAP(n_neighbors=5, n_epochs=10, random_state=0)
    for ask in (lambda: check_is_fitted(model), lambda: model.transform(windows[0][0]), lambda: model.quality_):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask()
    check_is_fitted(model.fit(windows[0], ids=windows[1]))


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("name", ["ids", "relations"])
def test_a_pipeline_hands_on_what_was_requested(windows, name):
    rows, ids = windows
    given = {"ids": ids, "relations": [{old: old - 30 for old in range(30, 60)}]}[name]
    model = AlignedUMAP(n_neighbors=5, n_epochs=10, random_state=0)
    pipeline = Pipeline([("maps", clone(model).set_fit_request(**{name: True}))])
    expected = clone(model).fit(rows, **{name: given}).embeddings_
    found = pipeline.fit(rows, **{name: given})["maps"].embeddings_
    assert [one.tobytes() for one in found] == [one.tobytes() for one in expected]


@pytest.mark.usefixtures("routing")
def test_requests_stay_with_a_clone_and_unknown_ones_are_refused():
    model = AlignedUMAP().set_fit_request(ids=True).set_transform_request(window=True)
    for one in (model, clone(model)):
        routing = one.get_metadata_routing()
        assert routing.fit.requests["ids"] is True
        assert routing.transform.requests["window"] is True
    with pytest.raises(TypeError, match="colour"):
        AlignedUMAP().set_fit_request(colour=True)


def test_requests_need_scikit_learns_setting():
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        AlignedUMAP().set_fit_request(ids=True)


def test_columns_and_axes_have_the_names_that_scikit_learn_gives_them(windows):
    import pandas as pd

    rows, ids = windows
    frames = [pd.DataFrame(window, columns=list("abcd")) for window in rows]
    model = AlignedUMAP(n_neighbors=5, n_epochs=5, n_components=3).fit(frames, ids=ids)
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.get_feature_names_out().tolist() == ["alignedumap0", "alignedumap1", "alignedumap2"]
    model.fit([frames[0], frames[1].rename(columns={"d": "e"})], ids=ids)
    assert not hasattr(model, "feature_names_in_")
    model.fit([frames[0].rename(columns={"d": 4}), rows[1]], ids=ids)
    assert not hasattr(model, "feature_names_in_")


def test_windows_that_differ_in_their_columns_have_no_number_of_features(windows):
    rows, ids = windows
    model = AlignedUMAP(n_neighbors=5, n_epochs=5)
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()
    assert not hasattr(model, "n_features_in_")
    model.fit([rows[0], rows[1][:, :3]], ids=ids)
    with pytest.raises(AttributeError, match=r"differ in their number of columns \(3, 4\)"):
        _ = model.n_features_in_
