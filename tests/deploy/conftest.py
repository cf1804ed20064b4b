"""Fixtures of the deployment's tests."""

from __future__ import annotations

import pytest
from tests.deploy.clusters import Processes


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """A place for processes, all ended after the module's tests."""
    place = Processes(tmp_path_factory.mktemp("processes"))
    yield place
    place.end_all()
