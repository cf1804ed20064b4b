"""What is known of compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from driftmap.engine import cache_kernels_in

MODULE = """
from typing import NamedTuple
import numpy as np
from driftmap.engine.core.jit import exact

class {name}(NamedTuple):
    values: np.ndarray

@exact
def add(scratch):
    return scratch.values.sum()

print(add({name}(np.ones(3))))
"""

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


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_a_kernel_is_compiled_again_where_a_type_of_its_index_is_gone(tmp_path):
    module, environment = tmp_path / "kernel.py", {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("Room", "Workspace"):
        module.write_text(MODULE.format(name=name))
        command = [sys.executable, "-c", "import kernel"]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (ended.stdout, ended.stderr) == ("3.0\n", "")
    assert list((tmp_path / "cache").rglob("*.nbi"))


def test_the_folder_of_kernels_holds_inside_only(tmp_path):
    before = numba.config.CACHE_DIR
    with cache_kernels_in(tmp_path):
        assert str(tmp_path) == numba.config.CACHE_DIR
    assert before == numba.config.CACHE_DIR
