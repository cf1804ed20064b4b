"""A store is copied while an ingest writes to it: each copy is whole, and goes on where the store went."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.pipeline.growing import make_store, read_maps, take_in, write_days

from driftmap.pipeline import ingest, open_store
from driftmap.pipeline.store.log import lock

SCRIPT = Path(__file__).resolve().parents[2] / "deploy/backup/copy-store.sh"
N_DAYS = 10


def copy(store, to):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command, environment = [SCRIPT, str(store), str(to)], {**os.environ, "PATH": path}
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=300)


@pytest.mark.filterwarnings("ignore:.*(watching it for|waiting up to):driftmap.pipeline.errors.StoreWarning")
def test_copies_of_a_store_that_grows_are_whole_and_go_on(tmp_path, monkeypatch):
    make_store(tmp_path / "days", tmp_path / "store")
    begun, copies = threading.Event(), []

    def grow():
        for day in range(6, N_DAYS):
            write_days(tmp_path / "days", range(day, day + 1))
            take_in(tmp_path)
            begun.set()

    writer = threading.Thread(target=grow)
    writer.start()
    begun.wait(120)
    while not copies or writer.is_alive():
        copies.append(tmp_path / f"copy-{len(copies)}")
        done = copy(tmp_path / "store", copies[-1])
        assert (done.returncode, "damaged" in done.stderr) == (0, False), done.stdout + done.stderr
    writer.join()
    expected = read_maps(open_store(tmp_path / "store"))
    assert len(open_store(copies[0]).labels) < len(expected)  # it was made before the store was done
    for name in ("BEAT_SECONDS", "LEASE_SECONDS", "WATCH_SECONDS"):  # how long the copied lock is taken for a live one
        monkeypatch.setattr(lock, name, 1.0)
    ingest(copies[0], scheduler="serial", wait="2min")
    assert read_maps(open_store(copies[0])) == expected
    assert copy(tmp_path / "store", copies[-1]).returncode == 0  # again, over what is there
    assert read_maps(open_store(copies[-1])) == expected


def test_a_copy_that_lacks_a_file_is_not_called_whole(tmp_path):
    store = make_store(tmp_path / "days", tmp_path / "store")
    group = next((tmp_path / "store" / "windows").glob("*/*/"))
    shutil.rmtree(group)
    done = copy(store.path, tmp_path / "copy")
    assert done.returncode == 1
    assert "not whole" in done.stderr
