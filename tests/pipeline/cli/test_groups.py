"""Options stand under headings in `--help`."""

from __future__ import annotations

import re

import pytest

from driftmap.pipeline.cli.app import run_command


def list_headings(text):
    found = {}
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z][a-z ]+:", line):
            found[line[:-1]] = options = []
        elif (match := re.match(r"  (?:-\w, )?(--[a-z-]+)", line)) and found:
            options.append(match[1])
    return found


@pytest.mark.parametrize(("command", "last"), [("run", "--performance-report"), ("plan", "--json")])
def test_options_of_a_run_are_grouped(command, last, capsys):
    assert run_command([command, "--help"]) == 0
    headings = list_headings(capsys.readouterr().out)
    order = ["What goes in", "Windows", "Store", "Neighbours", "Layout", "Where it runs", "Output", "Other options"]
    assert list(headings) == order
    assert "--vectors" in headings["What goes in"]
    assert "--metric" in headings["Neighbours"]
    assert {"--min-dist", "--alignment-regularisation", "--random-state"} <= set(headings["Layout"])
    assert headings["Output"][-1] == last
    assert headings["Other options"] == ["--help"]


def test_a_number_or_a_word_is_said_so(capsys):
    run_command(["run", "--help"])
    assert "--alignment-regularisation FLOAT|auto" in capsys.readouterr().out


def test_commands_without_headings_keep_theirs(capsys):
    run_command(["prune", "--help"])
    assert list(list_headings(capsys.readouterr().out)) == ["Options"]
