"""JSON in several lines is that of `json.dumps`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmap.pipeline.store.disk.json_text import format_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(st.dictionaries(st.text(), VALUES), st.integers(0, 3), st.booleans())
def test_it_is_that_of_the_standard_library(document, indent, sort_keys):
    expected = json.dumps(document, indent=indent, sort_keys=sort_keys).encode()
    assert format_json(document, indent, sort_keys=sort_keys) == expected


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (float("inf"), ValueError), ({1}, TypeError)])
def test_what_json_has_no_form_for_is_refused(value, error):
    with pytest.raises(error):
        format_json({"a": [value]}, 2)
