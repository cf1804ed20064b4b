"""`driftmap view`: the page over HTTP, for who knows its address."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.look import view
from driftmap.pipeline.look.report import Page
from driftmap.pipeline.look.view import PageServer
from driftmap.pipeline.store import Store


@pytest.fixture
def path(tmp_path):
    write_maps(tmp_path / "run.zarr", make_maps(n_windows=3, n_rows=30), ["a", "b", "c"])
    return tmp_path / "run.zarr"


@pytest.fixture
def server(path):
    with PageServer(open_store(path), title="Batters") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.headers, answer.read().decode()


def test_the_page_is_given_at_its_address_alone(server):
    headers, page = fetch(server.url)
    assert "Batters" in page
    assert headers["Cache-Control"] == "no-store"
    assert server.url.startswith("http://127.0.0.1:")
    root = server.url.removesuffix(server.path)
    for other in ("/", "/head", server.path[:-1], server.path[:-2] + "/", server.path + "x", "/page.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(root + other)
    assert re.fullmatch(r"/[\w-]{22}/", server.path)


def test_it_is_made_again_only_when_the_store_has_grown(server, path, monkeypatch):
    made = []
    monkeypatch.setattr(view, "render_page", lambda *_, **__: made.append(1) or Page("new", [], []))
    assert "Batters" in fetch(server.url)[1]
    assert made == []
    Store.open(path, read_only=False).commit_config({"on_bad_rows": "drop"})
    assert fetch(server.url)[1] == "new"
    assert len(made) == 1


def test_a_damaged_store_is_said_instead_of_a_traceback(server, path):
    for file in [*path.rglob("*")]:
        if file.is_file():
            file.unlink()
    with pytest.raises(urllib.error.HTTPError, match="503") as raised:
        fetch(server.url)
    assert "run.zarr" in raised.value.read().decode()


def test_the_command_ends_with_ctrl_c_and_leaves_no_file(path, tmp_path):
    command = [sys.executable, "-m", "driftmap", "view", str(path), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    line = process.stdout.readline()
    assert "run.zarr" in fetch(re.search(r"http://127\.0\.0\.1:\d+/\S+", line)[0])[1]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert [file.name for file in tmp_path.iterdir()] == ["run.zarr"]


def test_a_port_that_is_taken_is_said(server, path, capsys):
    assert run_command(["view", str(path), "--no-open", "--port", str(server.server_port)]) == 2
    assert f"port {server.server_port}" in capsys.readouterr().err
