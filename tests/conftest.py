"""Fixtures that several test files use."""

from __future__ import annotations

import importlib.util
from collections import Counter
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from tests.places import SHARED_DATA

if TYPE_CHECKING:
    from collections.abc import Callable

# Nothing that depends on the machine's speed: tests also run on busy machines.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have most slow tests, so that no worker is left with a long one at the end."""
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -n_slow[item.path])


@pytest.fixture(scope="session")
def load_shared() -> Callable[[str], Any]:
    """Load a real temporal data set by name: (X, ids, labels, relations), one entry per window each."""
    path = SHARED_DATA / "load.py"
    if not path.exists():
        pytest.skip("the shared data sets are not on this machine")
    spec = importlib.util.spec_from_file_location("shared_load", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load
