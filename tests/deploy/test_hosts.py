"""The units of `deploy/hosts`: systemd finds nothing to say of them, and each variable they use has a line.

That what they start works is what `test_tls.py` shows: it starts the same command lines with the same files.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from tests.deploy.clusters import HOSTS, read_environment_file

UNITS = sorted([*HOSTS.glob("*.service"), *HOSTS.glob("*.timer")])


def verify(folder, text, name):
    """What `systemd-analyze verify` says of a unit, its programs being found in this Python's folder."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS:
        programs = unit.read_text() if unit.name != name else text
        # Any program will do: verify looks whether there is one.
        (folder / unit.name).write_text(
            re.sub(r"(?m)^(ExecStart=)/opt/driftmap/bin/\w+", rf"\g<1>{sys.executable}", programs)
        )
    done = subprocess.run(["systemd-analyze", "verify", folder / name], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say(tmp_path, unit):
    assert verify(tmp_path, unit.read_text(), unit.name) == ""


def test_systemd_would_say_what_is_wrong(tmp_path):
    unit = UNITS[0]
    assert "Unknown key" in verify(tmp_path, unit.read_text().replace("Restart=", "Restarts=", 1), unit.name)


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_every_variable_has_a_line_and_every_line_a_use(role):
    unit = (HOSTS / f"driftmap-{role}.service").read_text()
    settings = read_environment_file(HOSTS / f"{role}.env")
    used = set(re.findall(r"\$\{(\w+)\}", unit))
    assert used == {name for name in settings if not name.startswith(("DASK_", "NUMBA_"))}
