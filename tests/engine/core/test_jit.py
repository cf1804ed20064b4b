"""What is known of compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
from driftmap.engine import has_compiled_kernels
print(has_compiled_kernels())
import numpy as np
from driftmap.engine import AlignedUMAP
rows = np.random.default_rng(0).normal(size=(30, 3))
AlignedUMAP(n_neighbors=5, n_epochs=1).fit([rows, rows], relations=[{i: i for i in range(30)}])
print(has_compiled_kernels())
"""


@pytest.mark.slow
def test_whether_kernels_are_compiled_is_told_before_and_after(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    told = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=500).stdout.split()
        for _ in range(2)
    ]
    assert told == [["False", "True"], ["True", "True"]]
