"""A store that has begun to grow, for tests of what comes next."""

from __future__ import annotations

import shutil

import pytest
from tests.pipeline.growing import make_store


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A store of six days: five windows of two days, the last two provisional."""
    folder = tmp_path_factory.mktemp("begun")
    make_store(folder / "days", folder / "store")
    return folder


@pytest.fixture
def place(begun, tmp_path):
    """A copy of that store and its source."""
    shutil.copytree(begun / "days", tmp_path / "days")  # keeps the files' times, as the fingerprint wants
    shutil.copytree(begun / "store", tmp_path / "store")
    return tmp_path
