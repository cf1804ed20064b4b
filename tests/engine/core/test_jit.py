"""What is known of compiled kernels."""

from __future__ import annotations

import os
import shutil
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
    if compiled := os.environ.get(
        "DRIFTMAP_KERNELS"
    ):  # all kernels except the layout's, of which the function under test reports
        shutil.copytree(compiled, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.run_epochs-*"))
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


FIT = """
import sys
import numpy as np
from driftmap.engine import AlignedUMAP
rows = np.random.default_rng(0).normal(size=(30, 3))
fit = AlignedUMAP(n_neighbors=5, n_epochs=3, random_state=0).fit
maps = fit([rows, rows], relations=[{i: i for i in range(30)}]).embeddings_
is_ready_to_compile = "numba.core.typing.mathdecl" in sys.modules and "numba.experimental.jitclass" in sys.modules
print(is_ready_to_compile, "numba.np.linalg" in sys.modules, np.array(maps).tobytes().hex()[:200])
import numba
print(numba.njit(lambda values: np.sort(values).sum())(np.arange(4.0)))
"""

LOAD = """
import importlib, pkgutil
import driftmap.engine
from driftmap.engine.core.jit import _load_alone
n_loaded = 0
for module in pkgutil.walk_packages(driftmap.engine.__path__, "driftmap.engine."):
    for kernel in vars(importlib.import_module(module.name)).values():
        file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
        for signature, *_ in file._load_index() if file is not None else ():
            assert _load_alone(kernel._cache, signature, kernel.targetctx) is not None, kernel
            n_loaded += 1
print(n_loaded)
"""


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_kernels_on_disk_are_loaded_without_what_numba_needs_to_compile():
    found = [_run(FIT) for _ in range(2)]
    maps = [lines[0].split()[-1] for lines in found]
    assert found[1][0].split()[:2] == ["False", "False"]
    assert maps[0] == maps[1]
    assert found[1][1] == "6.0"  # compiling comes later in the same process
    assert int(_run(LOAD)[0]) > 8  # so does every other kernel that any test left there


def _run(code):
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=500).stdout.splitlines()


def test_the_folder_of_kernels_holds_inside_only(tmp_path):
    before = numba.config.CACHE_DIR
    with cache_kernels_in(tmp_path):
        assert str(tmp_path) == numba.config.CACHE_DIR
    assert before == numba.config.CACHE_DIR
