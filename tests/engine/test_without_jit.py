"""The kernels once more as plain Python, so that coverage sees them and nothing rests on the compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL_TESTS = ["layout/kernels/test_epoch_kernels.py"]


@pytest.mark.parametrize("name", KERNEL_TESTS)
def test_kernels_pass_their_tests_uncompiled(name):
    # integers that wrap round are meant to; numpy warns of them where compiled code does not
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-W", "ignore:overflow encountered:RuntimeWarning"]
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    path = str(ROOT / "tests" / "engine" / name)
    done = subprocess.run([*command, path], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
