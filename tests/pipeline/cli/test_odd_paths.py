"""Paths of every kind on the command line: empty ones, pipes, sockets, zero characters, folders that are in use."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.pipeline.cli.fuzz import try_command
from tests.pipeline.store.damages import make_real_store

from driftmap.pipeline.errors import ConfigError
from driftmap.pipeline.store.create import prepare_location
from driftmap.pipeline.store.disk.output_files import refuse_overwriting

HOLD = """
import sys
from driftmap.pipeline.store.disk.location import Location
from driftmap.pipeline.store.log.lock import hold_lock
with hold_lock(Location(sys.argv[1]), command="driftmap run rows.parquet"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_real_store(folder, n_rows=16)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    folder = shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(folder)
    return folder


def list_files(folder):
    return sorted(path for path in folder.rglob("*") if "lock" not in path.parts)


def refuse(here, *arguments):
    """Run a command that is to be refused, and to make nothing; returns what it says."""
    before = list_files(here)
    ended = try_command(*arguments)
    assert ended.code == 2, ended
    assert list_files(here) == before
    return ended.err


@pytest.mark.parametrize(
    ("arguments", "noun"),
    [
        (["status", ""], "store"),
        (["prune", ""], "store"),
        (["run", "seasons.parquet", "--by", "season", "--id", "id", "--store", "", "--scheduler", "serial"], "store"),
        (["plan", "", "--by", "season", "--id", "id"], "source"),
        (["place", "maps.zarr", "", "-o", "placed.csv"], "source"),
    ],
)
def test_an_empty_text_is_not_this_folder(here, arguments, noun):
    assert f"the {noun} is an empty text" in refuse(here, *arguments)


@pytest.mark.parametrize("folder", ["", "s3://bucket/certificates"])
def test_keys_go_to_a_folder_that_was_named(here, folder):
    assert "a folder of this machine was expected" in refuse(here, "certs", folder)


def test_an_empty_host_is_not_every_address(here):
    assert "host is an empty text" in refuse(here, "view", "maps.zarr", "--no-open", "--host", "")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("command", ["plan", "run", "place"])
def test_what_can_be_read_only_once_is_no_source(here, kind, command):
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "pipe":
            os.mkfifo("rows")
        elif kind == "socket":
            listening.bind("rows")
        else:
            (here / "rows").symlink_to("/dev/zero")
        given = ["maps.zarr", "rows", "-o", "placed.csv"] if command == "place" else ["rows", "--by", "w", "--id", "id"]
        assert "is a pipe, socket or device" in refuse(here, command, *given)


@pytest.mark.parametrize(
    "arguments", [["export", "maps.zarr"], ["report", "maps.zarr"], ["plot", "curves", "maps.zarr"]]
)
def test_a_pipe_that_nobody_reads_is_refused_and_one_with_a_reader_is_written_to(here, arguments):
    name = "maps.csv" if arguments[0] == "export" else "maps.html"
    os.mkfifo(name)
    assert f"{name} is a pipe that no process reads" in refuse(here, *arguments, "-o", name)
    with Path("read").open("wb") as read, subprocess.Popen(["cat", name], stdout=read) as reader:
        while try_command(*arguments, "-o", name).code:
            time.sleep(0.05)  # the reader is not there yet
        assert reader.wait(60) == 0
    assert Path("read").stat().st_size > 1000


@pytest.mark.parametrize("name", ["source", "store", "report"])
def test_a_zero_character_is_refused(here, name):
    options = {"source": "seasons.parquet", "by": "season", "id": "id", name: "a\\u0000b"}
    (here / "run.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in options.items()))
    assert "a zero character" in refuse(here, "run", "run.toml", "--scheduler", "serial")


def test_a_name_that_is_too_long_is_said_to_be_so(here):
    assert "File name too long" in refuse(here, "status", "x" * 300)


@pytest.mark.parametrize(
    "arguments",
    [
        ["LONG"],
        ["status", "LONG"],
        ["plan", "seasons.parquet", "--by", "LONG", "--id", "id"],
        ["plan", "seasons.parquet", "--LONG"],
        ["plan", "seasons.parquet", "--n-neighbors", "LONG"],
        ["plan", "long.toml"],
        ["explain", "maps.zarr", "--text", "LONG", "--scheduler", "serial"],
        ["report", "maps.zarr", "-o", "LONG/maps.html"],
    ],
)
def test_what_is_long_is_repeated_in_short(here, arguments):
    long = "x" * 5000
    (here / "long.toml").write_text(
        f'source = "seasons.parquet"\nby = "season"\nid = "id"\n{long} = 1\nvectors = "{long}"'
    )
    said = refuse(here, *(argument.replace("LONG", long) for argument in arguments))
    assert len(said) < 1500
    assert re.search(r"x{100}…\(4,7\d\d characters\)…[^ ]*x{50}", said)


def test_the_demo_leaves_a_store_alone(here):
    assert "is a store; the demo" in refuse(here, "demo", "--out", "maps.zarr", "--no-open")


def test_who_makes_a_store_is_said_before_its_first_commit(here):
    prepare_location(here / "new.zarr")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "new.zarr"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        said = refuse(here, "status", "new.zarr")
        assert f"it is being made by `driftmap run rows.parquet`: process {holder.pid} of " in said
        holder.kill()
    assert "its run ended before its first commit; run the same command again" in refuse(here, "status", "new.zarr")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "seasons.parquet", "--by", "season", "--id", "id", "--scheduler", "serial", "--store", "\udcff"],
        ["report", "maps.zarr", "-o", "maps.html", "--title", "\udcff"],
        ["plot", "curves", "maps.zarr", "-o", "curves.html", "--title", "\udcff"],
        ["view", "maps.zarr", "--no-open", "--host", "\udcff"],
        ["demo", "--no-open", "--out", "\udcff"],
    ],
)
def test_bytes_that_are_no_text_are_refused(here, arguments):
    assert "holds bytes that are not UTF-8" in refuse(here, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["place", "maps.zarr", "seasons.parquet", "-o", "seasons.parquet"],
        ["export", "maps.zarr", "-o", "link.parquet"],
        ["report", "maps.zarr", "-o", "seasons.parquet"],
        ["run", "seasons.parquet", "--by", "season", "--id", "id", "--store", "other", "--report", "seasons.parquet"],
        ["report", "maps.zarr", "-o", "maps.zarr/commits/00000000.json"],
    ],
)
def test_nothing_is_written_over_what_is_read(here, made, monkeypatch, arguments):
    monkeypatch.chdir(made)  # whose store knows where its source is
    (made / "link.parquet").unlink(missing_ok=True)
    (made / "link.parquet").symlink_to("seasons.parquet")
    before = (made / "seasons.parquet").read_bytes()
    assert "would be written over what is read" in refuse(made, *arguments)
    assert (made / "seasons.parquet").read_bytes() == before


@pytest.mark.parametrize(("name", "what"), [("maps.pdf", "ends in '.pdf'"), ("maps", "has no ending")])
def test_a_page_is_written_by_no_other_ending(here, name, what):
    expected = f"{name}, {what}; one that ends in .html was expected"
    assert expected in refuse(here, "report", "maps.zarr", "-o", name)
    how = ("--by", "season", "--id", "id", "--store", "other.zarr", "--scheduler", "serial")
    assert expected in refuse(here, "run", "seasons.parquet", *how, "--report", name)


def test_a_page_may_be_written_again_beside_the_files_of_a_source(tmp_path):
    (tmp_path / "maps.html").write_text("")
    refuse_overwriting(tmp_path / "maps.html", [tmp_path])
    (tmp_path / "rows.parquet").write_text("")
    refuse_overwriting(tmp_path / "new.parquet", [tmp_path])
    with pytest.raises(ConfigError, match="over what is read"):
        refuse_overwriting(tmp_path / "rows.parquet", [tmp_path])
