"""GNU OpenMP is loaded with short waits, unless the user chose others, and the environment stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP is numba's layer on Linux only")

CODE = """
import os
before = dict(os.environ)
import driftmap.engine.layout.kernels.epoch_kernels
assert dict(os.environ) == before
import numba
numba.get_num_threads()
"""


def show_openmp(**given):
    """Load kernels in a new process; returns what GNU OpenMP says of its variables as it is loaded."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_")) and k != "NUMBA_THREADING_LAYER"}
    environment = {**kept, "OMP_DISPLAY_ENV": "verbose", **given}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    if "GOMP_SPINCOUNT" not in done.stderr and not given:
        pytest.skip("GNU OpenMP is not on this machine")
    return done.stderr


def test_threads_wait_shortly_where_nothing_is_said():
    assert "GOMP_SPINCOUNT = '1000'" in show_openmp()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"GOMP_SPINCOUNT": "77"}, "GOMP_SPINCOUNT = '77'"),
        ({"OMP_WAIT_POLICY": "active"}, "OMP_WAIT_POLICY = 'ACTIVE'"),
    ],
)
def test_what_the_user_set_counts(given, expected):
    show_openmp()
    said = show_openmp(**given)
    assert expected in said
    assert "GOMP_SPINCOUNT = '1000'" not in said


def test_nothing_is_loaded_where_numba_is_to_use_other_threads():
    assert "GOMP_SPINCOUNT" not in show_openmp(NUMBA_THREADING_LAYER="workqueue")
