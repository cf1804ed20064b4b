"""Public docstrings have numpydoc's form: parameters, returns with their types, sections in order."""

from __future__ import annotations

import inspect

import pytest
from numpydoc.validate import validate

import driftmap.engine
import driftmap.pipeline
import driftmap.pipeline.look

CHECKED = {"GL07", "GL08", "PR01", "PR02", "RT01", "RT03", "RT04", "YD01"}
"""Order of sections, no docstring, parameters missing or unknown, returns and yields."""

PUBLIC = {
    f"{value.__module__}.{value.__qualname__}": value
    for package in (driftmap.engine, driftmap.pipeline, driftmap.pipeline.look)
    for value in (getattr(package, name) for name in package.__all__)
    if inspect.isroutine(value) or inspect.isclass(value)
}


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.startswith("driftmap.")])
def test_public_docstrings_have_numpydocs_form(name):
    checked = CHECKED
    if inspect.isclass(PUBLIC[name]):  # fields of dataclasses and named tuples are described beside them
        checked = CHECKED - {"PR01"}
    elif any(one.kind is one.VAR_KEYWORD for one in inspect.signature(PUBLIC[name]).parameters.values()):
        checked = CHECKED - {"PR02"}
    found = [f"{code} {message}" for code, message in validate(name)["errors"] if code in checked]
    assert not found
