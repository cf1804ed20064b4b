"""Keys of windows by number, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline.planning.cuts import encode_keys


@given(values=st.lists(st.sampled_from(["a", "b\0c", "ccc", ""]), min_size=1))
def test_numbers_of_values_bring_back_the_values(values):
    keys = np.array([value.encode() for value in values], dtype="S3")
    uniques, codes = encode_keys(keys)
    np.testing.assert_array_equal(uniques[codes], keys)
    assert len(uniques) == len(set(values))
    assert codes[0] == 0
