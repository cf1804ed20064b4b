"""Memory that cannot be had ends a command instead of leaving it waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.pipeline.store.damages import make_real_store


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
@pytest.mark.parametrize(
    ("kilobytes", "what", "codes"),
    [
        (100_000, "read stores and tables", {"status": 2, "export": 2, "run": 2, "place": 2}),
        (1_500_000, "compute maps", {"status": 0, "export": 0, "run": 2, "place": 2}),
        (2_000_000, "compute maps", {"run": 2}),
    ],
)
def test_memory_that_cannot_be_had_ends_a_command_with_one_line(kilobytes, what, codes, tmp_path):
    path = str(make_real_store(tmp_path))
    rows = str(tmp_path / "seasons.parquet")
    new = tmp_path / "new"
    commands = {
        "status": [path],
        "export": [path, "-o", str(tmp_path / "maps.parquet")],
        "run": [rows, "--by", "season", "--id", "id", "--store", str(new)],
        "place": [path, rows, "-o", str(tmp_path / "placed.parquet")],
    }
    limited = f'ulimit -v {kilobytes}; exec "$0" -m driftmap.pipeline.cli.app "$@"'
    for name, code in codes.items():
        command = ["bash", "-c", limited, sys.executable, name, *commands[name]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == code, done
        if code:
            (said,) = done.stderr.splitlines()
            assert said.startswith("Error: this process may have")
            assert what in said
    assert not new.exists()
