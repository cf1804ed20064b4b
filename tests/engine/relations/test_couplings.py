"""Couplings: rows with several partners and weights, read, weighed, followed and laid out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tests import naive

from driftmap.engine import AlignedUMAP, Coupling, build_window_graph
from driftmap.engine.errors import InvalidRelationError
from driftmap.engine.relations.couplings import (
    as_coupling,
    average_partners,
    compose,
    find_strongest,
    read_relation,
    weigh_coupling,
)
from driftmap.engine.relations.relations import alignment_weights, as_relation
from driftmap.engine.settings import GraphSettings

N_OLD, N_NEW = 14, 12


def make_graph(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    return build_window_graph(rows, GraphSettings(n_neighbors=4), seed).fuzzy


matrices = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).choice([0, 0, 0, 0.25, 1, 3], size=(N_OLD, N_NEW))
)


@given(matrix=matrices, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_pulls_are_those_of_the_formula(matrix, seed):
    matrix[0, :2] = 1  # so that it is a coupling
    older, newer = make_graph(N_OLD, seed), make_graph(N_NEW, seed + 1)
    coupling = read_relation(csr_array(matrix), N_OLD, N_NEW)
    pulls = weigh_coupling(older, newer, coupling)
    expected = naive.coupled_pulls(older, newer, [(i, j, matrix[i, j]) for i, j in np.argwhere(matrix > 0).tolist()])
    found = dict(
        zip(zip(coupling.old.tolist(), coupling.new.tolist(), strict=True), zip(*pulls[:2], strict=True), strict=True)
    )
    assert found.keys() == expected.keys()
    for pair, both in expected.items():
        assert found[pair] == pytest.approx(both, abs=1e-6)


@given(seed=st.integers(0, 99))
@settings(max_examples=20)
def test_a_coupling_of_single_partners_pulls_as_a_relation(seed):
    older, newer = make_graph(N_OLD, seed), make_graph(N_NEW, seed + 1)
    relation = as_relation(
        dict(zip(range(2, 10), np.random.default_rng(seed).permutation(N_NEW), strict=False)), N_OLD, N_NEW
    )
    pulls = weigh_coupling(older, newer, as_coupling(relation))
    expected = alignment_weights(older, newer, relation)[relation >= 0]
    np.testing.assert_allclose(pulls.on_old, expected, atol=1e-6)
    np.testing.assert_allclose(pulls.on_new, expected, atol=1e-6)


def test_every_form_is_read():
    many = {0: 1, 1: 1, 2: 0}
    expected = Coupling(np.array([0, 1, 2]), np.array([1, 1, 0]), np.ones(3))
    for form in (many, list(many.items()), [1, 1, 0], csr_array(([5, 5, 5], ([0, 1, 2], [1, 1, 0])), shape=(3, 2))):
        for own, other in zip(read_relation(form, 3, 2), expected, strict=True):
            np.testing.assert_array_equal(own, other)
    single = csr_array(([0.2, 0.2], ([0, 2], [1, 0])), shape=(3, 2))
    assert read_relation(single, 3, 2).tolist() == [1, -1, 0]
    weighed = csr_array(([0.1, 0.2, 0.0], ([0, 2, 1], [1, 0, 0])), shape=(3, 2))
    np.testing.assert_allclose(read_relation(weighed, 3, 2).weights, [0.5, 1])
    assert read_relation(csr_array((3, 2)), 3, 2).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (csr_array((2, 3)), "got .*looks like new row -> old row: transpose it"),
        (csr_array((5, 5)), r"sparse matrix of shape \(3, 2\), old by new rows"),
        (csr_array(([-1.0], ([0], [1])), shape=(3, 2)), "weight -1 for old row 0 and new row 1"),
        (csr_array(([np.nan], ([0], [1])), shape=(3, 2)), "weight nan"),
        (csr_array(([1j], ([0], [1])), shape=(3, 2)), "real weights, got dtype complex128"),
        ([[0, 1], [0, 1]], "pair of old row 0 and new row 1 twice"),
        ({0: 2}, "out of range"),
    ],
)
def test_what_cannot_be_is_refused(form, message):
    with pytest.raises(InvalidRelationError, match=message):
        read_relation(form, 3, 2, "relations[0]")


def test_a_chain_of_couplings_is_a_product_of_shares():
    first = read_relation(csr_array([[1.0, 1.0], [0.0, 1.0]]), 2, 2)
    second = read_relation(csr_array([[1.0, 0.5], [0.0, 1.0]]), 2, 2)
    followed = compose(first, second, (2, 2, 2))
    expected = np.array([[0.5, 0.5], [0, 1]]) @ np.array([[1, 0.5], [0, 1]])
    found = np.zeros((2, 2))
    found[followed.old, followed.new] = followed.weights
    np.testing.assert_allclose(found, expected / expected.max())


def test_new_rows_start_at_the_mean_of_their_partners():
    coupling = Coupling(np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1]), np.array([1, 0.5, 1, 1], np.float32))
    positions = np.array([[0, 0], [3, 3], [np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(average_partners(coupling, positions, 3), [[1, 1], [np.nan] * 2, [np.nan] * 2])


def test_the_heaviest_pairs_are_followed():
    coupling = read_relation(csr_array([[1.0, 0.9, 0], [0.8, 0, 0], [0, 0.3, 0.2]]), 3, 3)
    assert find_strongest(coupling, 3).tolist() == [0, -1, 1]


def make_windows(n=60):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(n, 5))
    return [start + 0.05 * rng.normal(size=(n, 5)) for _ in range(4)]


def fit(windows, **options):
    return AlignedUMAP(random_state=0, n_epochs=20, n_neighbors=8).fit(windows, **options)


def test_many_old_rows_lead_to_one_new_row_as_in_umap_learn():
    n, clones = 90, 30
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(clones, 5)) * 3
    leads_to = np.arange(n) % clones
    model = fit(
        [centres[leads_to] + 0.1 * rng.normal(size=(n, 5)), centres], relations=[dict(enumerate(leads_to.tolist()))]
    )
    old, new = model.embeddings_
    apart = np.linalg.norm(old - new[leads_to], axis=1).mean()
    assert apart < 0.5 * np.linalg.norm(old - new[rng.permutation(leads_to)], axis=1).mean()
    assert len(model.quality_) == 2
    assert model.movers(0, 3)


def test_a_transport_plan_aligns_windows_and_its_scale_does_not_matter():
    windows = make_windows()
    plan = np.exp(-((windows[0][:, None] - windows[1][None]) ** 2).sum(axis=2) / 0.1)
    plan[plan < 1e-3] = 0
    model = fit(windows[:2], relations=[csr_array(plan / plan.sum())])
    again = fit(windows[:2], relations=[csr_array(plan)])
    for one, two in zip(model.embeddings_, again.embeddings_, strict=True):
        np.testing.assert_allclose(one, two, atol=0.05)
    old, new = model.embeddings_
    assert np.linalg.norm(old - new, axis=1).mean() < 0.3 * old.std()


def test_update_takes_couplings_and_follows_them_through_windows():
    windows = make_windows()
    many = {row: row // 2 for row in range(60)}
    model = (
        fit(windows[:2], relations=[np.arange(60)])
        .update(windows[2], relations=many)
        .update(windows[3], relations=csr_array(np.eye(60)))
    )
    assert model.n_windows_ == 4
    assert all(np.isfinite(m).all() for m in model.embeddings_)
    first = fit(windows, relations=[np.arange(60), many, csr_array(np.eye(60))]).embeddings_
    second = fit(windows, relations=[np.arange(60), many, csr_array(np.eye(60))]).embeddings_
    assert all(one.tobytes() == two.tobytes() for one, two in zip(first, second, strict=True))


def test_relations_beside_ids_add_pairs_and_may_not_contradict_them():
    windows = make_windows()[:2]
    ids = [np.arange(60), np.arange(30, 90)]
    rest = dict(zip(range(30), range(30, 60), strict=True))
    everything = {**rest, **{old: old - 30 for old in range(30, 60)}}
    model, expected = fit(windows, ids=ids, relations=[rest]), fit(windows, relations=[everything])
    assert model.embeddings_[1].tobytes() == expected.embeddings_[1].tobytes()
    fit(windows, ids=ids, relations=[[[30, 0], [31, 0], [31, 1]]])
    with pytest.raises(
        InvalidRelationError, match=r"relations\[0\] and ids contradict each other: old row 30 and new row 0"
    ):
        fit(windows, ids=ids, relations=[{30: 1}])
    with pytest.raises(InvalidRelationError, match=r"gives new row 0 other partners only"):
        fit(windows, ids=ids, relations=[{3: 0}])
