"""Windows that nothing relates have maps that are not aligned: `fit` and `update` warn of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from driftmap.engine import AlignedUMAP
from driftmap.engine.estimator.checks import warn_of_unrelated

N = 30
WINDOWS = [np.random.default_rng(window).normal(size=(N, 4)) for window in range(4)]


def quick(**parameters):
    return AlignedUMAP(random_state=0, n_epochs=5, n_neighbors=5, **parameters)


def make_ids(*offsets):
    return [np.arange(N) + 100 * offset for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "named"),
    [((0, 1, 2, 3), "4 groups .*(0; 1; 2; 3)"), ((0, 0, 1, 1), "2 groups .*(0 to 1; 2 to 3)"),
     ((0, 1, 0, 1), "2 groups .*(0, 2; 1, 3)"), ((0, 0, 0, 1), "2 groups .*(0 to 2; 3)")],
)  # fmt: skip
def test_fit_names_the_windows(offsets, named):
    with pytest.warns(UserWarning, match=named.replace("(", r"\(").replace(")", r"\)")) as caught:
        quick().fit(WINDOWS, ids=make_ids(*offsets))
    (one,) = caught
    assert one.filename == __file__
    assert str(one.message).endswith("or relations with pairs of rows (old row -> new row).")


def test_relations_without_pairs_relate_nothing():
    empty, one = sparse.csr_matrix((N, N)), sparse.csr_matrix(([1.0], ([0], [0])), shape=(N, N))
    for relation in ({}, np.full(N, -1), np.empty((0, 2), int), empty):
        with pytest.warns(UserWarning, match=r"\(0; 1\)"):
            quick().fit(WINDOWS[:2], relations=[relation])
    with warnings.catch_warnings(action="error"):
        quick().fit(WINDOWS[:2], relations=[one])


def test_windows_beyond_the_reach_are_not_related():
    ids = make_ids(0, 1, 0)
    with pytest.warns(UserWarning, match=r"\(0; 1; 2\).*alignment_window_size"):
        quick(alignment_window_size=1).fit(WINDOWS[:3], ids=ids)


def test_a_window_between_relates_two():
    ids = [np.arange(N), np.arange(N) + N // 2, np.arange(N) + N + 1]
    with warnings.catch_warnings(action="error"):
        quick().fit(WINDOWS[:3], ids=ids)
        quick().fit(WINDOWS[:1])


def test_update_names_the_new_window_alone():
    with pytest.warns(UserWarning, match=r"\(0; 1\)"):
        model = quick().fit(WINDOWS[:2], ids=make_ids(0, 1))
    with pytest.warns(UserWarning, match=r"2 groups .*\(0 to 1; 2\)") as caught:
        model.update(WINDOWS[2], ids=make_ids(2)[0])
    assert caught[0].filename == __file__
    with warnings.catch_warnings(action="error"):
        model.update(WINDOWS[3], ids=make_ids(0)[0])


def test_of_many_groups_some_are_named():
    with pytest.warns(UserWarning, match=r"9 groups .*\(0; 1; 2; 3; 4; \.\.\.\)"):
        warn_of_unrelated({}, range(9))
