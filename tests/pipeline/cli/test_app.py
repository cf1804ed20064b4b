"""The command line on real, small data: what it prints, what it writes, how it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pipeline.small_stores import read_page_header

from driftmap.engine.settings import GraphSettings, LayoutSettings, TargetSettings
from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import cli, run_command
from driftmap.pipeline.cli.commands.plan import plan
from driftmap.pipeline.cli.options import ENGINE_OPTIONS

N_WINDOWS, N_ROWS = 4, 60
OPTIONS = ["--by", "year", "--id", "who", "--label", "team", "--vectors", "x", "--scheduler", "serial"]


@pytest.fixture
def data(tmp_path):
    """Four years of the same sixty people in three teams, each moving a little from year to year."""
    rng = np.random.default_rng(0)
    team = np.arange(N_ROWS) % 3
    rows = np.concatenate([rng.normal(size=(N_ROWS, 5)) * 0.3 + 4 * np.eye(5)[team] for _ in range(N_WINDOWS)])
    table = pa.table(
        {
            "year": np.repeat(np.arange(2000, 2000 + N_WINDOWS), N_ROWS),
            "who": [f"person {i}" for i in range(N_ROWS)] * N_WINDOWS,
            "team": np.tile(np.array(["red", "green", "blue"])[team], N_WINDOWS),
            "x": pa.array(list(rows.astype(np.float32))),
        }
    )
    pq.write_table(table, tmp_path / "people.parquet")
    return tmp_path / "people.parquet"


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def made(data, here, capsys):
    """A store that `driftmap run` made."""
    assert run_command(["run", str(data), *OPTIONS, "--store", "people.zarr"]) == 0
    capsys.readouterr()
    return here / "people.zarr"


def positions(store) -> bytes:
    opened = open_store(store)
    return b"".join(opened.embedding(label)[1].tobytes() for label in opened.labels)


def test_run_prints_windows_and_columns_where_there_is_no_terminal(data, here, capsys):
    assert run_command(["run", str(data), *OPTIONS, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[1:] == ["vectors: 1 column, x (lists of 5 numbers)"]
    assert out.startswith(f"{N_WINDOWS} windows, {N_WINDOWS * N_ROWS} rows in {here / 'people-maps.zarr'}: ")
    store = open_store(here / "people-maps.zarr")
    assert store.is_complete
    assert store.labels == ["2000", "2001", "2002", "2003"]
    ids, places = store.embedding("2001")
    assert ids[:2].tolist() == ["person 0", "person 1"]
    assert places.shape == (N_ROWS, 2)
    assert np.isfinite(places).all()


def test_run_with_report_writes_the_page(data, here, capsys):
    assert run_command(["run", str(data), *OPTIONS, "--report", "page.html"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Page: page.html"
    assert "person 7" in read_page_header(here / "page.html")["entities"]


def test_running_again_changes_nothing(data, made, capsys):
    before = positions(made)
    commits = sorted((made / "commits").iterdir())
    assert run_command(["run", str(data), *OPTIONS, "--store", str(made)]) == 0
    assert positions(made) == before
    assert sorted((made / "commits").iterdir()) == commits


def test_a_changed_setting_is_refused_and_the_difference_shown(data, made, capsys):
    before = positions(made)
    assert run_command(["run", str(data), *OPTIONS, "--store", str(made), "--n-neighbors", "7"]) == 2
    message = capsys.readouterr().err
    assert re.search(r"n_neighbors.*15.*7", message)
    assert positions(made) == before


def write_toml(path, data, **options):
    lines = {"source": str(data), "by": "year", "id": "who", "label": "team", "vectors": "x", **options}
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()), encoding="utf-8")
    return path


def test_a_toml_file_says_the_same_as_options(data, made, here):
    toml = write_toml(here / "run.toml", data, scheduler="serial", store=str(here / "toml.zarr"))
    assert run_command(["run", str(toml)]) == 0
    assert positions(here / "toml.zarr") == positions(made)


def test_options_override_the_toml_file(data, here):
    toml = write_toml(here / "run.toml", data, scheduler="serial", store=str(here / "a.zarr"), n_neighbors=9)
    assert run_command(["run", str(toml), "--n-neighbors", "6", "--store", "b.zarr", "--label", "year"]) == 0
    store = open_store(here / "b.zarr")
    assert store.knn_graph(0).indices.shape == (N_ROWS, 6)
    assert list(store.window_labels(0)) == ["year"]
    assert not (here / "a.zarr").exists()


def test_several_labels(data, here):
    assert run_command(["run", str(data), *OPTIONS, "--label", "year", "--store", "two.zarr"]) == 0
    assert list(open_store("two.zarr").window_labels(0)) == ["team", "year"]


def test_plan_shows_windows_and_touches_nothing(data, here, capsys):
    assert run_command(["plan", str(data), *OPTIONS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1 : N_WINDOWS + 1]] == [[str(2000 + t), "60"] for t in range(N_WINDOWS)]
    total = next(line for line in lines if line.startswith("4 windows, 240 rows"))
    assert "shared with the window before, 1 block" in total
    assert "Windows are in natural order of 'year' (order)" in lines
    assert "layout: carry, blocks one after the other" in lines
    assert lines[-2].startswith("Largest graph task: ")
    assert lines[-1].startswith("Coordinator: ")
    assert list(here.iterdir()) == []


def test_plan_as_json(data, here, capsys):
    assert run_command(["plan", str(data), *OPTIONS, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n_windows"], told["n_rows"], told["n_blocks"]) == (N_WINDOWS, 60 * N_WINDOWS, 1)
    assert told["n_shared_rows"] == sum(window["n_shared_rows"] for window in told["windows"])
    assert 0 < told["task_bytes"] < told["worker_bytes"]
    assert told["coordinator_bytes"] > told["store_bytes"] > 0
    assert told["seconds"] is None


def test_a_plan_that_does_not_fit_is_refused(data, here, capsys):
    options = [option for option in OPTIONS if option not in ("--scheduler", "serial")]
    assert run_command(["plan", str(data), *options, "--worker-memory", "200MB"]) == 2
    assert "may fill 90% of it; raise worker_memory" in capsys.readouterr().err


def test_status(made, capsys):
    assert run_command(["status", str(made)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["2000", "60", "final"]
    assert f"{N_WINDOWS} windows, 1 final, 3 provisional" in lines[-2]
    assert lines[-1] == "vectors: 1 column, x (lists of 5 numbers)"


def test_status_as_json(made, capsys):
    assert run_command(["status", str(made), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["is_complete"] is True
    assert told["vectors"] == {"names": ["x"], "types": ["list of float"], "dimension": 5, "left_out": []}
    assert told["counts"] == {"final": 1, "provisional": 3}
    assert [window["label"] for window in told["windows"]] == ["2000", "2001", "2002", "2003"]
    assert told["windows"][0]["n_rows"] == N_ROWS


def test_export(made, here, capsys):
    assert run_command(["export", str(made), "-o", "maps.parquet"]) == 0
    assert capsys.readouterr().out == "240 rows to maps.parquet\n"
    table = pq.read_table(here / "maps.parquet")
    assert table.column_names == ["window", "window_index", "id", "x", "y", "status", "cluster", "team"]
    ids, places = open_store(made).embedding("2002")
    rows = table.filter(pa.compute.equal(table["window"], "2002"))
    assert rows["id"].to_pylist() == ids.tolist()
    np.testing.assert_array_equal(rows["y"].to_numpy(), places[:, 1])


def test_report(made, here, capsys):
    assert run_command(["report", str(made), "-o", "page.html", "--title", "People"]) == 0
    assert "<title>People · driftmap</title>" in (here / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "nowhere.zarr"], "nowhere.zarr"),
        (["report", "nowhere.zarr", "-o", "page.html"], "nowhere.zarr"),
        (["export", "nowhere.zarr", "-o", "maps.parquet"], "nowhere.zarr"),
        (["run", "missing.parquet", "--rows", "10", "--row-stride", "5"], "missing.parquet"),
        (["plan", "missing.parquet", "--rows", "10", "--row-stride", "5"], "missing.parquet"),
        (["run", "missing.toml"], "missing.toml"),
        (["run", "{data}", "--by", "yeer", "--id", "who", "--vectors", "x"], "yeer"),
        (["run", "{data}", "--id", "who", "--vectors", "x"], "window"),
        (["run", "{data}", *OPTIONS, "--n-neighbors", "1"], "n_neighbors"),
        (["run", "{data}", *OPTIONS, "--metric", "hamster"], "hamster"),
        (["run", "{data}", *OPTIONS, "--metric-kwds", "[1]"], "JSON object"),
        (["run", "{data}", *OPTIONS, "--n-neighbours", "5"], "--n-neighbors"),
        (["run", "{data}", *OPTIONS, "--store", "{data}"], "people.parquet"),
        (["dance"], "dance"),
    ],
)
def test_what_a_user_can_mend_is_one_message_and_exit_code_2(data, here, capsys, arguments, message):
    assert (
        run_command([argument.format(data=data) if "{data}" in argument else argument for argument in arguments]) == 2
    )
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert list(here.iterdir()) == []


def test_a_toml_file_that_is_wrong_is_named(data, here, capsys):
    for text, message in (("source = ", "run.toml"), ("by = 'year'", "source"), ("sourc = 'x'", "sourc")):
        (here / "run.toml").write_text(text, encoding="utf-8")
        assert run_command(["run", "run.toml"]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["export", "report"])
def test_an_output_that_cannot_be_written_is_a_message(made, capsys, command):
    assert run_command([command, str(made), "-o", "/proc/no/such/file"]) == 2
    assert "/proc/no/such/file" in capsys.readouterr().err


def test_brackets_in_names_are_shown_as_they_are(here, capsys):
    assert run_command(["status", "[bold]x[/bold]"]) == 2
    assert "[bold]x[/bold]" in capsys.readouterr().err


def test_version(capsys):
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"driftmap {version('driftmap')}\n"


def test_help_names_every_command_and_every_setting(capsys):
    assert run_command(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in ("plan", "run", "status", "export", "report", "demo"))
    graph, target, layout = (
        [field.name for field in dataclasses.fields(settings)]
        for settings in (GraphSettings, TargetSettings, LayoutSettings)
    )
    assert [*graph, *(f"target_{name}" for name in target), *layout] == list(ENGINE_OPTIONS)
    of_plan, of_run = ([param.name for param in command.params] for command in (plan, cli.commands["run"]))
    shared = [name for name in of_plan if name in of_run]
    assert set(of_plan) - set(shared) == {"timed", "json"}
    assert set(of_run) - set(shared) == {"report", "progress", "quiet", "log_json", "dashboard", "performance_report"}


def start(*arguments: str, **streams) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "driftmap.pipeline.cli.app", *arguments], **streams)


def wait_for_reader(pipe):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError):  # nobody reads it yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.05)
    raise AssertionError("the command never read its file")


def test_ctrl_c_ends_with_130_and_no_traceback(data, here):
    # A source that never ends to open keeps the command busy wherever it is fast.
    os.mkfifo(here / "pipe.toml")
    process = start("run", "pipe.toml", stderr=subprocess.PIPE, text=True)
    held = wait_for_reader(here / "pipe.toml")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    os.close(held)
    assert process.returncode == 130
    assert err.strip() == "Interrupted. What was committed stays; the same command goes on from there."


def test_progress_is_shown_in_a_terminal(data, here):
    leader, follower = pty.openpty()
    process = start("run", str(data), *OPTIONS, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert process.wait(timeout=60) == 0
    text = shown.decode()
    assert "graphs" in text
    assert "layout" in text
    assert "4/4 windows" in text
    assert "rows/s" in text
    assert process.stdout.read().count(b"\n") == 2
    process.stdout.close()


def test_control_characters_and_markup_of_labels_are_shown_and_not_obeyed():
    from driftmap.pipeline.cli.lines import as_shown

    assert as_shown("a\x1b[2Jb\x07\u202e") == "a\\x1b[2Jb\\x07\\u202e"
    assert as_shown("[/] [red]\nÄ 日本") == "[/] [red]\nÄ 日本"
