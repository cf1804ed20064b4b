"""AlignedUMAP as a user of umap-learn and scikit-learn would use it."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

from driftmap.engine import AlignedUMAP, InvalidInputError, InvalidRelationError, drift, relate_ids, trustworthiness


@pytest.fixture(scope="module")
def slices():
    """Digits sorted by target in ten overlapping slices: umap-learn's AlignedUMAP tutorial."""
    digits = load_digits()
    order = np.argsort(digits.target, kind="stable")
    data, target = digits.data[order], digits.target[order]
    n = len(data)
    spans = [slice(150 * i, min(n, 150 * i + 400)) for i in range(10)]
    relations = [{i + 150: i for i in range(250)} for _ in range(9)]
    return [data[s] for s in spans], [target[s] for s in spans], relations, [np.arange(n)[s] for s in spans]


@pytest.fixture(scope="module")
def fitted(slices):
    return AlignedUMAP(random_state=0).fit(slices[0], relations=slices[2])


def small(n_windows=3, n=60, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, 5)) + 5 * (np.arange(n) % 2)[:, None]
    return [base + rng.normal(scale=0.1, size=base.shape) for _ in range(n_windows)], [np.arange(n)] * n_windows


def quick(**parameters):
    return AlignedUMAP(**{"random_state": 0, "n_epochs": 30, "n_neighbors": 8, **parameters})


def test_the_tutorial_fit_keeps_neighbours_and_stays_in_place(slices, fitted):
    windows, targets, relations, _ = slices
    assert len(fitted.embeddings_) == 10
    assert np.mean([trustworthiness(x, y) for x, y in zip(windows, fitted.embeddings_, strict=True)]) > 0.955
    arrays = [np.array(list(r.items())) for r in relations]
    steps = [np.full(400, -1, np.int32) for _ in arrays]
    for step, pairs in zip(steps, arrays, strict=True):
        step[pairs[:, 0]] = pairs[:, 1]
    assert drift(fitted.embeddings_, steps) < 0.09  # umap-learn 0.5.12: .087 at trustworthiness .969
    # Labels learned in one map hold in the next: the digits that both windows have. Over seeds .91 to .94, umap-learn's
    # .92 to .95: one window has 13 rows of a digit of which the next has 163.
    scores = []
    for t in range(9):
        both = np.isin(targets[t + 1], targets[t])
        model = KNeighborsClassifier(10).fit(fitted.embeddings_[t], targets[t])
        scores.append(model.score(fitted.embeddings_[t + 1][both], targets[t + 1][both]))
    assert np.mean(scores) > 0.9


def test_the_tutorial_update_runs_as_it_is_written_and_warns_of_its_inverted_relations(slices):
    windows, _, relations, _ = slices
    model = AlignedUMAP(random_state=0, n_epochs=20).fit(windows[:2], relations=relations[:1])
    for t in range(2, 10):
        with pytest.warns(UserWarning, match="from new row to old row"):
            model.update(windows[t], relations={v: k for k, v in relations[t - 1].items()})
    assert [len(m) for m in model.embeddings_] == [400] * 10


def test_update_the_right_way_keeps_old_maps_and_follows_them(slices):
    windows, _, relations, _ = slices
    model = AlignedUMAP(random_state=0, n_epochs=60).fit(windows[:2], relations=relations[:1])
    before = [m.copy() for m in model.embeddings_]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.update(windows[2], relations=relations[1]) is model
    assert all(np.array_equal(a, b) for a, b in zip(before, model.embeddings_, strict=False))
    step = np.full(400, -1, np.int32)
    step[150:] = np.arange(250)
    assert drift(model.embeddings_[1:], [step]) < 0.15
    assert trustworthiness(windows[2], model.embeddings_[2]) > 0.94


def test_update_with_lookahead_moves_the_newest_windows_only():
    windows, ids = small(4)
    model = quick().fit(windows[:3], ids=ids[:3])
    before = [m.copy() for m in model.embeddings_]
    model.update(windows[3], ids=ids[3], lookahead=1)
    assert np.array_equal(model.embeddings_[0], before[0])
    assert np.array_equal(model.embeddings_[1], before[1])
    assert not np.array_equal(model.embeddings_[2], before[2])


def test_an_inverse_map_that_cannot_be_right_is_refused_and_named(slices):
    windows, _, relations, _ = slices
    model = AlignedUMAP(random_state=0, n_epochs=5).fit(windows[:2], relations=relations[:1])
    with pytest.raises(InvalidRelationError, match="new row -> old row"):
        model.update(windows[2][:300], relations={i: i + 150 for i in range(250)})
    assert model.n_windows_ == 2


def test_all_forms_of_relations_give_the_same_maps(slices):
    windows, _, relations, ids = slices
    pairs = [np.array(list(r.items())) for r in relations[:2]]
    arrays = []
    for p in pairs:
        array = np.full(400, -1)
        array[p[:, 0]] = p[:, 1]
        arrays.append(array)
    fits = [quick().fit(windows[:3], relations=form).embeddings_ for form in (relations[:2], pairs, arrays)]
    fits.append(quick().fit(windows[:3], ids=ids[:3]).embeddings_)
    for other in fits[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(fits[0], other, strict=True))


def test_ids_of_any_sort():
    windows, ids = small(2)
    numbers = quick().fit(windows, ids=ids).embeddings_
    words = quick().fit(windows, ids=[[f"e{i:03d}" for i in name] for name in ids]).embeddings_
    assert all(np.array_equal(a, b) for a, b in zip(numbers, words, strict=True))


def test_nothing_of_the_callers_is_changed(slices):
    windows, _, relations, _ = slices
    rows = [w.copy() for w in windows[:2]]
    given = [dict(relations[0])]
    quick().fit(rows, relations=given)
    assert given == [relations[0]]
    assert all(np.array_equal(a, b) for a, b in zip(rows, windows, strict=False))
    assert len(rows) == 2


def test_scikit_learns_habits():
    model = quick(n_neighbors=np.int64(9), min_dist=np.float32(0.2))
    windows, ids = small(2)
    assert model.fit(windows, ids=ids) is model
    assert clone(model).get_params() == model.get_params()
    assert clone(model).set_params(min_dist=0.4).min_dist == 0.4
    assert len(repr(AlignedUMAP())) < 60
    loaded = pickle.loads(pickle.dumps(model))
    assert all(np.array_equal(a, b) for a, b in zip(loaded.embeddings_, model.embeddings_, strict=True))
    assert loaded.update(windows[1], ids=ids[1]).n_windows_ == 3
    assert all(
        np.array_equal(a, b) for a, b in zip(model.fit_transform(windows, ids=ids), model.embeddings_, strict=True)
    )
    with pytest.raises(NotFittedError):
        AlignedUMAP().update(windows[0])


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("n_neighbors", 8, 14),
        ("n_epochs", 30, 12),
        ("metric", "euclidean", "cosine"),
        ("min_dist", 0.1, 0.6),
        ("spread", 1.0, 2.0),
        ("learning_rate", 1.0, 0.3),
        ("repulsion_strength", 1.0, 0.2),
        ("negative_sample_rate", 5, 2),
        ("set_op_mix_ratio", 1.0, 0.0),
        ("local_connectivity", 1.0, 3.0),
        ("alignment_regularisation", 0.02, 1.0),
    ],
)
@pytest.mark.filterwarnings("ignore:window .* without neighbours:UserWarning")
def test_each_parameter_takes_effect_for_all_windows_or_for_one(name, value, other):
    windows, ids = small(3)
    plain = quick(**{name: value}).fit(windows, ids=ids).embeddings_
    same = quick(**{name: [value] * 3}).fit(windows, ids=ids).embeddings_
    assert all(np.array_equal(a, b) for a, b in zip(plain, same, strict=True))
    changed = quick(**{name: other}).fit(windows, ids=ids).embeddings_
    assert not np.allclose(plain[0], changed[0], atol=1e-3)
    # set for the last window alone and nothing related to it, it leaves the other windows as they were
    apart = [ids[0], ids[1], ids[2] + 1000]
    with pytest.warns(UserWarning, match=r"\(0 to 1; 2\)"):
        before = quick(**{name: value}).fit(windows, ids=apart).embeddings_
    with pytest.warns(UserWarning, match=r"\(0 to 1; 2\)"):
        after = quick(**{name: [value, value, other]}).fit(windows, ids=apart).embeddings_
    assert all(np.array_equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    if name != "alignment_regularisation":
        assert not np.allclose(before[2], after[2], atol=1e-3)


def test_min_dist_and_spread_set_how_rows_are_packed():
    windows, ids = small(1, n=120)

    def nearest(**parameters):
        y = quick(n_epochs=150, **parameters).fit(windows, ids=ids).embeddings_[0]
        gaps = np.linalg.norm(y[:, None] - y[None], axis=2)
        return np.median(np.sort(gaps, axis=1)[:, 1]), y[::2].std()

    assert nearest(min_dist=0.8)[0] > 2 * nearest(min_dist=0.0)[0]
    assert nearest(spread=3.0)[1] > 1.2 * nearest(spread=1.0)[1]


def test_alignment_regularisation_trades_drift_for_freedom():
    windows, ids = small(3)
    steps = [relate_ids(ids[0], ids[0])] * 2
    drifts = [drift(quick(alignment_regularisation=v).fit(windows, ids=ids).embeddings_, steps) for v in (0.0, 0.02, 1)]
    assert drifts[0] > drifts[1] > drifts[2]


def test_reach_ties_windows_farther_apart():
    windows, ids = small(4)
    near, far = (quick(alignment_window_size=w).fit(windows, ids=ids).embeddings_ for w in (1, 3))
    assert not np.array_equal(near[0], far[0])


@pytest.mark.parametrize("n_components", [1, 3, 10])
def test_other_numbers_of_components(n_components):
    windows, ids = small(2)
    maps = quick(n_components=n_components).fit(windows, ids=ids).embeddings_
    assert [m.shape for m in maps] == [(60, n_components)] * 2
    assert np.isfinite(maps[1]).all()


def test_windows_of_unequal_size_and_dimension_duplicates_and_constant_columns():
    rng = np.random.default_rng(0)
    wide = np.hstack([rng.normal(size=(40, 7)), np.ones((40, 2))])
    doubled = np.repeat(rng.normal(size=(15, 3)), 2, axis=0)
    maps = quick().fit([wide, doubled], relations=[{0: 3, 5: 4}]).embeddings_
    assert [m.shape for m in maps] == [(40, 2), (30, 2)]
    assert all(np.isfinite(m).all() for m in maps)


def test_a_window_of_sixteen_rows_and_one_smaller_than_n_neighbors():
    rng = np.random.default_rng(0)
    sixteen = [rng.normal(size=(16, 4)) for _ in range(2)]
    maps = AlignedUMAP(random_state=0, n_epochs=20).fit(sixteen, ids=[np.arange(16)] * 2).embeddings_
    assert np.isfinite(maps[1]).all()
    with pytest.warns(UserWarning, match="window 1 has 6 rows, fewer than n_neighbors=8"):
        maps = quick().fit([sixteen[0], sixteen[1][:6]], ids=[np.arange(16), np.arange(6)]).embeddings_
    assert np.isfinite(maps[1]).all()


def test_empty_and_partial_relations():
    windows, _ = small(3)
    with pytest.warns(UserWarning, match=r"3 groups .* cannot be compared between them \(0; 1; 2\)"):
        maps = quick().fit(windows, relations=[{}, np.empty((0, 2), int)]).embeddings_
    assert all(np.isfinite(m).all() for m in maps)
    maps = quick().fit(windows, relations=[{3: 4}, {59: 0, 1: 1}]).embeddings_
    assert all(np.isfinite(m).all() for m in maps)


def test_an_interrupted_fit_leaves_the_model_unfitted():
    windows, ids = small(2)
    model = quick()

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(windows, ids=ids, callback=stop)
    assert not hasattr(model, "embeddings_")


WINDOWS, IDS = small(2)


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({}, {"X": []}, "X holds no windows"),
        ({}, {"X": WINDOWS[0]}, "X must be a list of windows"),
        ({}, {"X": [WINDOWS[0], WINDOWS[1][0]]}, r"X\[1\] must be a 2-D array"),
        ({}, {"X": [WINDOWS[0], np.where(WINDOWS[1] > 6, np.nan, WINDOWS[1])]}, r"X\[1\] holds NaN or infinity in row"),
        ({}, {"X": WINDOWS, "ids": None}, "neither relations nor ids"),
        ({}, {"X": WINDOWS, "ids": [IDS[0]]}, "ids must hold 2 entries"),
        ({}, {"X": WINDOWS, "ids": [IDS[0], IDS[1][:9]]}, r"ids\[1\] has 9 ids for a window of 60 rows"),
        ({}, {"X": WINDOWS, "ids": [IDS[0], IDS[1] // 2]}, r"ids\[1\] must be unique"),
        ({}, {"X": WINDOWS, "ids": None, "relations": {0: 1}}, "relations must be a list"),
        ({}, {"X": WINDOWS, "ids": None, "relations": [{0: 99}]}, r"relations\[0\].*out of range"),
        ({}, {"X": WINDOWS, "ids": None, "relations": [[[0, 1], [0, 1]]]}, r"relations\[0\] has the pair"),
        ({"n_neighbors": 1}, {}, "n_neighbors must be from 2 to 100000, got 1"),
        ({"n_neighbors": [5]}, {}, "n_neighbors has 1 values for 2 windows"),
        ({"n_components": 11}, {}, "n_components must be from 1 to 10, got 11"),
        ({"min_dist": 2.0}, {}, "min_dist must be at most spread"),
        ({"min_dist": "near"}, {}, "min_dist must be a number, got 'near'"),
        ({"learning_rate": [1.0, -1.0]}, {}, r"learning_rate\[1\] must be"),
        ({"metric": 3}, {}, "metric must be"),
        ({"metric": "no-such"}, {}, "metric"),
        ({"a": 1.0}, {}, "a and b go together"),
        ({"alignment_window_size": 0}, {}, "alignment_window_size must be from 1 to 1000"),
        ({"random_state": "x"}, {}, "random_state"),
    ],
)
def test_bad_input_is_named_before_any_work(parameters, arguments, message):
    given = {"X": WINDOWS, "ids": IDS, **arguments}
    model = quick(**parameters)
    with pytest.raises(InvalidInputError, match=message):
        model.fit(given.pop("X"), **given)
    assert not hasattr(model, "embeddings_")
