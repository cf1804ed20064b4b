"""The kernels once more as plain Python, so that coverage sees them and nothing rests on the compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNEL_TESTS = ROOT / "tests" / "engine" / "layout" / "kernels"


def test_kernels_pass_their_tests_uncompiled():
    # integers that wrap round are meant to; numpy warns of them where compiled code does not
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-W", "ignore:overflow encountered:RuntimeWarning"]
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    paths = [str(KERNEL_TESTS / name) for name in ("test_epoch_kernels.py", "test_force_kernels.py")]
    done = subprocess.run(
        [*command, *paths], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
