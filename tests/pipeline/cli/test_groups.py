"""Options stand under headings in `--help`, drawn in a terminal; each is also read from a variable."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from driftmap.pipeline.cli.app import cli, run_command

COMMON = ["time", "id", "label", "by", "window", "stride", "store", "n-neighbors", "alignment-regularisation", "report"]


def list_headings(text):
    found = {}
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z][a-z, ]+: *", line):
            found[line.strip()[:-1]] = options = []
        elif (match := re.match(r"  (?:-\w,? +)?(--[a-z-]+)", line)) and found:
            options.append(match[1])
    return found


@pytest.fixture
def drawn(capsys, monkeypatch):
    """Help as a terminal of so many columns shows it, without colours."""

    def draw(columns, *arguments):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        assert run_command([*arguments, "--help"]) == 0
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return draw


@pytest.mark.parametrize(("command", "last"), [("run", "--performance-report"), ("plan", "--json")])
def test_options_of_a_run_are_grouped(command, last, capsys):
    assert run_command([command, "--help"]) == 0
    headings = list_headings(capsys.readouterr().out)
    order = ["Common", "What goes in", "Windows", "Neighbours", "Layout", "Where it runs", "Output", "Other options"]
    assert list(headings) == order
    assert headings["Common"] == [f"--{name}" for name in COMMON if name != "report" or command == "run"]
    assert "--vectors" in headings["What goes in"]
    assert "--metric" in headings["Neighbours"]
    assert {"--min-dist", "--random-state"} <= set(headings["Layout"])
    assert headings["Output"][-1] == last
    assert headings["Other options"] == ["--help"]


def test_options_of_an_ingest_are_grouped(capsys):
    assert run_command(["ingest", "--help"]) == 0
    headings = list_headings(capsys.readouterr().out)
    assert headings["Common"] == ["--source", "--grace", "--complete", "--keep", "--wait"]
    assert list(headings)[1:] == [
        "What goes in",
        "Late, changed and bad rows",
        "A schema change on purpose",
        "Where it runs",
        "Watching",
        "Other options",
    ]
    assert headings["Other options"] == ["--help"]


@pytest.mark.parametrize(("command", "columns"), [("run", 80), ("plan", 120), ("ingest", 80)])
def test_a_terminal_shows_the_same_drawn(command, columns, drawn, capsys):
    shown = drawn(columns, command)
    assert max(map(len, shown.splitlines())) == min(columns, 110)
    assert "<COLUMN>" in shown or command == "ingest"
    sys.stdout.isatty = lambda: False
    run_command([command, "--help"])
    assert list_headings(shown) == list_headings(capsys.readouterr().out)


def test_groups_of_commands_are_drawn_too(drawn):
    assert "  curves " in drawn(80, "plot")
    shown = drawn(80)
    assert "  ingest   Add the windows that came since." in shown
    assert "DRIFTMAP_RUN_N_NEIGHBORS" in shown


def test_a_number_or_a_word_is_said_so(capsys):
    run_command(["run", "--help"])
    assert "--alignment-regularisation FLOAT|auto" in capsys.readouterr().out


def test_lengths_of_time_are_explained_where_they_are_asked(capsys):
    for command in ("run", "plan", "ingest", "prune"):
        run_command([command, "--help"])
        assert "W (weeks), M (months)" in " ".join(capsys.readouterr().out.split())


def test_commands_without_headings_keep_theirs(capsys):
    run_command(["prune", "--help"])
    assert list(list_headings(capsys.readouterr().out)) == ["Options"]


def walk(command, context):
    if not isinstance(command, click.Group):
        yield command, context
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        yield from walk(found, click.Context(found, info_name=name, parent=context))


def test_every_option_is_read_from_a_variable_of_its_name():
    top = click.Context(cli, info_name="driftmap", auto_envvar_prefix="DRIFTMAP")
    for command, context in walk(cli, top):
        for option in command.params:
            if isinstance(option, click.Option):
                flag = max(option.opts, key=len).lstrip("-").replace("-", "_").upper()
                named = option.envvar or f"{context.auto_envvar_prefix}_{option.name.upper()}"
                assert named == f"{context.auto_envvar_prefix}_{flag}", command.name


def test_the_command_line_wins_over_variables_and_they_over_a_file(tmp_path, monkeypatch):
    from driftmap.pipeline.cli.options import collect_options

    file = tmp_path / "run.toml"
    file.write_text('source = "a.parquet"\nn_neighbors = 5\nmin_dist = 0.3\nlabel = ["z"]\nwindow = "9D"\n')
    monkeypatch.setenv("DRIFTMAP_RUN_N_NEIGHBORS", "7")
    monkeypatch.setenv("DRIFTMAP_RUN_MIN_DIST", "0.2")
    monkeypatch.setenv("DRIFTMAP_RUN_LABEL", "a b")
    monkeypatch.setenv("DRIFTMAP_RUN_REQUIRE_TLS", "true")
    command = cli.get_command(click.Context(cli), "run")
    top = click.Context(cli, info_name="driftmap", auto_envvar_prefix="DRIFTMAP")
    with command.make_context("run", [str(file), "--min-dist", "0.1"], parent=top) as context:
        chosen = collect_options(source=context.params.pop("source"), given=context.params)
    assert chosen["n_neighbors"] == 7
    assert chosen["min_dist"] == 0.1
    assert chosen["label"] == ["a", "b"]
    assert chosen["window"] == "9D"
    assert chosen["tls"] is True


def test_a_wrong_variable_is_refused_by_its_option(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRIFTMAP_PLAN_N_NEIGHBORS", "many")
    assert run_command(["plan", str(tmp_path / "none.parquet")]) == 2
    assert "--n-neighbors" in capsys.readouterr().err


def test_neither_rich_nor_rich_click_is_loaded_before_help_is_drawn():
    code = """
import sys
from driftmap.pipeline.cli.app import cli
import click
for name in ("run", "plan", "ingest"):
    cli.get_command(click.Context(cli), name)
print([name for name in sys.modules if name.partition(".")[0] in ("rich", "rich_click")])
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_the_shell_completes_commands_and_options():
    code = "from driftmap.pipeline.cli.app import main; main()"
    asked = {"_DRIFTMAP_COMPLETE": "bash_complete", "COMP_WORDS": "driftmap run --wind", "COMP_CWORD": "2"}
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=asked, check=False)
    assert "plain,--window" in made.stdout.splitlines()
