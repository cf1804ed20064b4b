"""Runs whose store lies on S3: the same bytes as in a folder, through every command, killed or not."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import obstore
import pyarrow.parquet as pq
import pytest
from tests.pipeline.conftest import SECRET
from tests.pipeline.years import write_years

from driftmap.pipeline import open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.errors import ConfigError, SourceError, StoreError
from driftmap.pipeline.store.disk.location import Location

N_WINDOWS, N_ROWS = 6, 40
OPTIONS = {"by": "year", "id": "entity", "vectors": "v", "n_neighbors": 5, "n_epochs": 8, "block_windows": 2,
           "lookahead": 2, "alignment_window_size": 2}  # fmt: skip
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "years.parquet"
    return write_years(path, N_WINDOWS, np.arange(N_ROWS))


@pytest.fixture(scope="module")
def in_a_folder(source, tmp_path_factory):
    return run(source, tmp_path_factory.mktemp("runs") / "maps", scheduler="serial", **OPTIONS)


@pytest.fixture(scope="module")
def on_s3(source, s3):
    return run(source, s3() + "/team/maps", scheduler="serial", **OPTIONS)


def list_contents(location: Location) -> dict[str, bytes]:
    return {name: location.read(name) for name in location.list()}


def all_positions(store):
    return [store.positions(window).tobytes() for window in range(store.n_windows)]


def test_the_store_is_the_same_as_in_a_folder(in_a_folder, on_s3):
    assert str(on_s3.path).startswith("s3://maps-")
    assert all_positions(on_s3) == all_positions(in_a_folder)
    assert on_s3.window_ids(3).tolist() == list(range(N_ROWS))
    assert [w.status for w in on_s3.state()] == [w.status for w in in_a_folder.state()]
    assert on_s3.to_table().equals(in_a_folder.to_table())
    assert not [name for name, content in list_contents(on_s3.location).items() if SECRET.encode() in content]


def test_a_finished_run_does_nothing_more(on_s3, source):
    before = list_contents(on_s3.location)
    run(source, on_s3.path, scheduler="serial", **OPTIONS)
    assert list_contents(on_s3.location) == before
    with pytest.raises(ConfigError, match="n_neighbors: store has 5, now 6"):
        run(source, on_s3.path, scheduler="serial", **{**OPTIONS, "n_neighbors": 6})


def test_every_command_takes_the_url(in_a_folder, on_s3, source, tmp_path, capsys):
    url = str(on_s3.path)
    (tmp_path / "run.toml").write_text(
        f'source = "{source}"\nstore = "{url}"\nscheduler = "serial"\n'
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in OPTIONS.items())
    )
    assert run_command(["plan", str(source), "--store", url, *FLAGS]) == 0
    assert run_command(["run", str(source), "--store", url, "--scheduler=serial", *FLAGS]) == 0
    assert run_command(["run", str(tmp_path / "run.toml")]) == 0
    assert run_command(["status", url]) == 0
    assert f"{url}: 6 windows" in capsys.readouterr().out
    assert run_command(["status", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["store"] == url
    assert run_command(["export", url, "-o", str(tmp_path / "maps.parquet")]) == 0
    assert pq.read_table(tmp_path / "maps.parquet").equals(in_a_folder.to_table())
    assert run_command(["report", url, "-o", str(tmp_path / "maps.html")]) == 0
    assert "<title>maps" in (tmp_path / "maps.html").read_text()


def test_what_is_no_store_is_neither_opened_nor_touched(s3, source):
    location = Location(s3() + "/maps")
    with pytest.raises(StoreError, match=r"s3://.*/maps is not a driftmap store"):
        open_store(str(location))
    location.create("letter.txt", b"dear")
    with pytest.raises(StoreError, match="exists and is not a driftmap store"):
        run(source, str(location), scheduler="serial", **OPTIONS)
    assert list_contents(location) == {"letter.txt": b"dear"}


def test_arrays_from_python_are_refused_before_any_work(s3):
    url = s3() + "/maps"
    with pytest.raises(SourceError, match=r"data from Python .* is no folder; write them as Parquet or Zarr"):
        run({"vectors": np.ones((60, 4)), "id": np.arange(60)}, url, scheduler="serial", rows=30)
    assert Location(url).list() == {}


def test_a_flipped_bit_is_found_and_named(source, s3):
    store = run(source, s3() + "/maps", scheduler="serial", **OPTIONS)
    chunk = next(name for name in store.location.list() if name.endswith("positions/c/0/0") and "/00000001/" in name)
    content = bytearray(store.location.read(chunk))
    content[len(content) // 2] ^= 1
    store.location.replace(chunk, bytes(content))
    with pytest.raises(StoreError, match=r"window '2001': array .*positions.* is damaged"):
        store.positions(1)


@pytest.mark.slow
def test_a_run_on_workers_that_is_killed_goes_on(in_a_folder, source, s3):
    url = s3() + "/maps"
    command = [
        sys.executable,
        "-m",
        "driftmap",
        "run",
        str(source),
        "--store",
        url,
        "--workers=2",
        *FLAGS,
    ]
    for n_commits in (2, 5, 9):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        while process.poll() is None and not Location(url).has(f"commits/{n_commits:08d}.json"):
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):  # it may have ended by now
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert all_positions(open_store(url)) == all_positions(in_a_folder)


def test_damage_is_made_good_and_orphans_go(in_a_folder, source, s3, capsys):
    store = run(source, s3() + "/maps", scheduler="serial", **OPTIONS)
    location, url = store.location, str(store.path)
    for array, window in (("positions/c/0/0", 1), (store.state()[2].graph_attempt, 2)):
        name = next(name for name in location.list(f"windows/{window:08d}") if name.endswith(array))
        location.replace(name, location.read(name)[:-1])
    location.create("windows/00000003/killed/ids/c/0", b"cut")
    assert run_command(["verify", url]) == 1
    shown = capsys.readouterr().out
    assert "window '2001': map, array 'positions': its file c/0/0 has" in shown
    assert re.search(r"window '2002': graph, array 'data': its file \w+\.zip is damaged", shown)
    assert run_command(["run", str(source), "--store", url, "--scheduler=serial", *FLAGS]) == 0
    assert all_positions(open_store(url)) == all_positions(in_a_folder)
    assert run_command(["verify", url, "--clean"]) == 0
    assert run_command(["verify", url]) == 0
    assert "nothing damaged\n" in capsys.readouterr().out
    assert not location.has("windows/00000003/killed/ids/c/0")
    assert run_command(["migrate", url]) == 0


REQUESTS = ("put", "get", "get_range", "head", "list", "list_with_delimiter", "delete")


def count_requests(source, url, monkeypatch):
    counts = Counter()

    def count(name, call):
        def counted(*args, **kwargs):
            counts[name] += 1
            return call(*args, **kwargs)

        return counted

    with monkeypatch.context() as patch:
        for name in REQUESTS:
            patch.setattr(obstore, name, count(name, getattr(obstore, name)))
        run(source, url, scheduler="serial", **{**OPTIONS, "block_windows": None, "lookahead": 3})
    return counts


def test_a_window_takes_at_most_twelve_requests(s3, tmp_path, monkeypatch):
    few, many = (
        count_requests(
            write_years(tmp_path / f"{n}.parquet", n, [f"e{row}" for row in range(60)], np.arange(60) % 3),
            f"{s3()}/maps{n}",
            monkeypatch,
        )
        for n in (16, 32)
    )
    assert (many.total() - few.total()) / 16 <= 12
