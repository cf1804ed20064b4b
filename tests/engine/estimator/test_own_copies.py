"""A model keeps its own rows, ids and maps: what a caller does to theirs afterwards changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from driftmap.engine import AlignedUMAP

N = 80


def make_rows(seed=0):
    rng = np.random.default_rng(seed)
    return (np.repeat(np.eye(4), N // 4, axis=0) * 5 + rng.normal(size=(N, 4))).astype(np.float32)


def model(**parameters):
    return AlignedUMAP(**{"random_state": 0, "n_epochs": 30, "n_neighbors": 8, **parameters})


@pytest.mark.parametrize("form", [np.array, np.asfortranarray, csr_array, lambda rows: rows.astype(np.float64)])
def test_buffers_that_are_used_again_give_the_maps_of_arrays_of_their_own(form):
    rows = [form(make_rows(t)) for t in range(3)]
    ids = [np.arange(10 * t, 10 * t + N) for t in range(3)]
    expected = model().fit(rows[:1], ids=ids[:1])
    buffer, names = rows[0].copy(), ids[0].copy()
    found = model().fit([buffer], ids=[names])
    held = buffer.data if isinstance(buffer, csr_array) else buffer
    for t in (1, 2):
        expected.update(rows[t], ids=ids[t])
        held[:] = rows[t].data if isinstance(buffer, csr_array) else rows[t]
        names[:] = ids[t]
        found.update(buffer, ids=names)
    held[:] = 0
    np.testing.assert_array_equal(found.ids_, expected.ids_)
    np.testing.assert_array_equal(found.embeddings_, expected.embeddings_)
    np.testing.assert_array_equal(found.transform(make_rows(9)), expected.transform(make_rows(9)))
    assert repr(found.quality_) == repr(expected.quality_)


def test_a_view_and_what_lies_under_a_frame_are_copied():
    pandas = pytest.importorskip("pandas")
    wide = np.concatenate([make_rows(), make_rows(1)], axis=1)
    for given in (wide[:, :4], pandas.DataFrame(wide[:, :4], copy=False)):
        fitted = model().fit([given], ids=[np.arange(N)])
        before = fitted.transform(make_rows(9))
        kept = wide.copy()
        wide[:] = 0
        np.testing.assert_array_equal(fitted.transform(make_rows(9)), before)
        wide[:] = kept


def test_a_read_only_memory_map_is_not_loaded(tmp_path):
    np.save(tmp_path / "rows.npy", make_rows())
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    fitted = model().fit([mapped], ids=[np.arange(N)])
    assert np.shares_memory(fitted._model.rows[0], mapped)


def test_what_is_written_to_shown_maps_does_not_reach_the_model():
    given = {"ids": np.arange(N)}
    expected = model().fit([make_rows()], ids=[np.arange(N)]).update(make_rows(1), **given)
    found = model().fit([make_rows()], ids=[np.arange(N)])
    found.embeddings_[0] *= 100
    found.update(make_rows(1), **given)
    np.testing.assert_array_equal(found.embeddings_[1], expected.embeddings_[1])


def test_terms_of_the_objective_are_those_of_the_layout_whatever_the_reference():
    rows, ids = [make_rows(), make_rows(1)], [np.arange(N)] * 2
    plain = model().fit(rows, ids=ids)
    turned = model().fit(rows, ids=ids, reference=[10 * found for found in plain.embeddings_])
    assert np.ptp(turned.embeddings_[0]) > 5 * np.ptp(plain.embeddings_[0])
    assert repr(turned.quality_) == repr(plain.quality_)
