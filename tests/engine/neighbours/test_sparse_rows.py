"""Sparse rows made, joined, averaged and scaled, against numpy and scikit-learn on dense ones."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import normalize

from driftmap.engine import (
    InvalidInputError,
    average_sparse_rows,
    is_sparse,
    join_sparse_rows,
    make_sparse_rows,
    refuse_sparse_metric,
    scale_to_unit,
    tidy_sparse_rows,
)


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 9)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.6] = 0.0
    rows[4] = 0.0
    return rows


def test_rows_are_made_of_their_numbers(dense):
    rows = sparse.csr_array(dense)
    made = make_sparse_rows(rows.data, rows.indices, rows.indptr, 9)
    assert is_sparse(made)
    np.testing.assert_array_equal(made.toarray(), dense)


def test_tidy_rows_have_each_feature_once_in_order_and_no_zeros():
    given = sparse.csr_matrix((np.array([1.0, 2.0, 0.0, 3.0, 1e300]), [3, 0, 1, 3, 2], [0, 4, 5]), shape=(2, 4))
    tidy = tidy_sparse_rows(given)
    assert tidy.dtype == np.float32
    assert tidy.indices.tolist() == [0, 3, 2]
    assert tidy.data.tolist() == [2.0, 4.0, np.inf]
    assert given.nnz == 5


def test_joined_rows_are_in_their_order(dense):
    parts = [sparse.csr_array(dense[:4]), sparse.csr_array(dense[4:5]), sparse.csr_array(dense[5:])]
    np.testing.assert_array_equal(join_sparse_rows(parts).toarray(), dense)


def test_averages_are_those_of_dense_rows_to_the_bit(dense):
    order, starts = np.array([0, 7, 19, 1, 4, 28]), np.array([0, 3, 4, 6])
    found = average_sparse_rows(sparse.csr_array(dense), order, starts)
    groups = np.split(dense[order].astype(np.float64), starts[1:-1])
    expected = [np.add.reduce(group, axis=0) / len(group) for group in groups]
    np.testing.assert_array_equal(found.toarray(), np.array(expected, dtype=np.float32))


def test_unit_length_is_that_of_scikit_learn(dense):
    rows = sparse.csr_array(dense)
    scale_to_unit(rows)
    np.testing.assert_allclose(rows.toarray(), normalize(dense), rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "l2", "cosine", "correlation", "manhattan", "jaccard"])
def test_metrics_of_sparse_rows_pass(metric):
    refuse_sparse_metric(metric)


@pytest.mark.parametrize("metric", ["haversine", "yule", "absent"])
def test_other_metrics_are_refused(metric):
    with pytest.raises(InvalidInputError, match=f"metric '{metric}' is not known for sparse rows; give one of"):
        refuse_sparse_metric(metric)
