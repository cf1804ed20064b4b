"""A store that an earlier driftmap made: this one reads its maps as they were, and goes on with it.

`stores/first.tar.xz` was made by the first commit that had a command line (f34e1c9), from the days of
`tests/pipeline/growing.py`; its files' times are part of what is compared, so they are kept.
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
from tests.pipeline.growing import write_days

from driftmap.pipeline import ingest, open_store
from driftmap.pipeline.cli.app import run_command

FIRST = Path(__file__).parent / "stores" / "first.tar.xz"

MAPS = {
    "2024-01-01": "c103d4c9f8b2dbd4",
    "2024-01-02": "34b264bee728b927",
    "2024-01-03": "8a1977b189576bef",
    "2024-01-04": "238451df761dc0b7",
    "2024-01-05": "b7bc38ca1d55b0e1",
}
"""What that driftmap printed of each map: the first digits of its bytes' SHA-256."""


def digests(store):
    return {
        window.label: hashlib.sha256(store.positions(window.index).tobytes()).hexdigest()[:16]
        for window in store.state()
    }


@pytest.fixture
def place(tmp_path):
    with tarfile.open(FIRST) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_its_maps_are_read_as_they_were(place, capsys):
    store = open_store(place / "maps")
    assert digests(store) == MAPS
    assert [window.status for window in store.state()] == ["final"] * 3 + ["provisional"] * 2
    assert run_command(["status", str(place / "maps")]) == 0
    assert "5 windows" in capsys.readouterr().out


def test_it_goes_on_and_what_was_final_stays(place):
    write_days(place / "days", range(6, 8))
    assert ingest(place / "maps", source=place / "days", scheduler="serial").new == ["2024-01-06"]
    after = digests(open_store(place / "maps"))
    assert {label: after[label] for label in list(MAPS)[:3]} == dict(list(MAPS.items())[:3])
    assert len(after) == 6


def test_migrate_chains_its_log_and_then_there_is_nothing_to_do(place, capsys):
    assert run_command(["migrate", str(place / "maps")]) == 0
    assert "brought to format 2; its log is chained by checksums from now on" in capsys.readouterr().out
    assert run_command(["migrate", str(place / "maps")]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_this_driftmap_finds_nothing_damaged_in_it(place, capsys):
    assert run_command(["verify", str(place / "maps")]) == 0
