"""TOML files on the command line: every option of every command, and all that is wrong in one message."""

from __future__ import annotations

import click
import pytest

from driftmap.engine.settings import Setting
from driftmap.pipeline.cli.app import cli
from driftmap.pipeline.cli.commands.plan import plan
from driftmap.pipeline.cli.options import (
    ENGINE_OPTIONS,
    OUTPUT_OPTIONS,
    PLAN_OPTIONS,
    RUN_OPTIONS,
    SHARED_OPTIONS,
    _from_setting,
    collect_options,
)
from driftmap.pipeline.cli.toml_options import read_toml
from driftmap.pipeline.config.run_settings import ENGINE_SETTINGS, OWN_SETTINGS, RUN_SETTINGS
from driftmap.pipeline.errors import ConfigError

KNOWN = {option.name: option for option in (*SHARED_OPTIONS, *OUTPUT_OPTIONS, *PLAN_OPTIONS)}


def write(folder, text):
    (folder / "run.toml").write_text(f'source = "a.parquet"\n{text}', encoding="utf-8")
    return str(folder / "run.toml")


def example(option):
    """A value in TOML that an option takes."""
    if option.name in RUN_SETTINGS and isinstance(RUN_SETTINGS[option.name].default, int | float | str):
        return repr(RUN_SETTINGS[option.name].default).replace("'", '"')
    if option.name == "metric_kwds":
        return "{ p = 3 }"
    if isinstance(option.type, click.Choice):
        return f'"{option.type.choices[0]}"'
    return {bool: "true", int: "3", float: "1.5", str: '"x"'}[option.type]


def test_a_file_takes_every_option_of_the_command_line(tmp_path):
    of_commands = {param.name for command in (plan, cli.commands["run"]) for param in command.params}
    assert of_commands == {"source", *KNOWN}
    text = "".join(f"{option.name} = {example(option)}\n" for option in KNOWN.values())
    read = read_toml(write(tmp_path, text), KNOWN)
    assert set(read) == {"source", *KNOWN}
    assert read["report"] == str(tmp_path / "x")


def test_a_command_leaves_out_what_a_file_says_for_another(tmp_path):
    path = write(tmp_path, 'report = "x.html"\ntimed = true\nn_neighbors = 5\ndashboard = true\n')
    of_plan = dict.fromkeys(param.name for param in plan.params)
    of_run = dict.fromkeys(param.name for param in cli.commands["run"].params)
    assert set(collect_options(path, of_plan)) == {"source", "store", "timed", "n_neighbors"}
    assert set(collect_options(path, of_run)) == {"source", "store", "report", "dashboard", "n_neighbors"}


def test_all_that_is_wrong_is_in_one_message(tmp_path):
    text = 'n_neighbors = "15"\nworkers = 1.5\nreport = true\ndashboard = "yes"\nlabel = [1]\nn_epochs = [5, -1]\n'
    text += "on_empty = 3\nscheduler = 2020-01-01\nby = 4\n"
    with pytest.raises(ConfigError) as caught:
        read_toml(write(tmp_path, text), KNOWN)
    message = str(caught.value)
    for part in (
        "n_neighbors must be an integer, got '15' of type str",
        "workers must be an integer, got 1.5 of type float",
        "report must be a text, got True of type bool",
        "dashboard must be true or false, got 'yes' of type str",
        "label must be a text or a list of texts, got [1] of type list",
        "n_epochs[1] must be from 0 to 1000000, got -1",
        "on_empty must be 'skip' or 'refuse', got 3",
        "scheduler must be a text, got datetime.date(2020, 1, 1) of type date",
        "by must be a text, got 4 of type int",
    ):
        assert part in message


def test_an_unknown_option_is_named_with_all_there_are(tmp_path):
    with pytest.raises(ConfigError, match="unknown option 'raport'; did you mean report"):
        read_toml(write(tmp_path, "raport = 1"), KNOWN)
    with pytest.raises(ConfigError, match="unknown option 'xyzzy'") as caught:
        read_toml(write(tmp_path, "xyzzy = 1"), KNOWN)
    assert all(f" {name}" in str(caught.value) for name in ("source", *KNOWN))


def test_options_come_from_the_tables_and_show_their_defaults():
    assert list(ENGINE_OPTIONS) == list(ENGINE_SETTINGS)
    shown = {option.name: option.help for option in (*ENGINE_OPTIONS.values(), *RUN_OPTIONS)}
    for name, setting in {**ENGINE_SETTINGS, **OWN_SETTINGS}.items():
        assert shown[name].startswith(setting.help)
        assert setting.default is None or shown[name].endswith(f"[default: {setting.default}]")
    assert shown["random_state"].endswith("[default: 42]")


def test_a_setting_with_words_takes_them_on_the_command_line():
    option = _from_setting(Setting("pull", "number", "auto", "Weight.", 0, 5, words=("auto",)))
    assert option.help == "Weight.  [default: auto]"
    assert option.type("auto") == "auto"
    assert option.type("1.5") == 1.5
    with pytest.raises(ValueError, match="often"):
        option.type("often")
