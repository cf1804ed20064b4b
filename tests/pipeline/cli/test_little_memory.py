"""Memory that cannot be had ends a command instead of leaving it waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.pipeline.store.damages import make_real_store


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
def test_memory_that_cannot_be_had_ends_a_command_with_one_line(tmp_path):
    path = make_real_store(tmp_path)
    limited = 'ulimit -v 1500000; exec "$0" -m driftmap.pipeline.cli.app "$@"'
    for arguments in (
        ["export", str(path), "-o", str(tmp_path / "maps.parquet")],
        ["run", str(tmp_path / "seasons.parquet"), "--by", "season", "--id", "id", "--store", str(tmp_path / "s")],
    ):
        command = ["bash", "-c", limited, sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
        assert done.returncode in (0, 2), done
        assert "Traceback" not in done.stderr
        assert sum(line.startswith("Error:") for line in done.stderr.splitlines()) == (done.returncode == 2)
