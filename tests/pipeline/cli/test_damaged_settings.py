"""Settings in the log that are none: every command that reads them says so in one message, or does without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.pipeline.cli.fuzz import try_command
from tests.pipeline.store.damages import make_real_store

COMMANDS = {
    "status": ["maps"],
    "status --json": ["maps", "--json"],
    "status --prometheus": ["maps", "--prometheus"],
    "report": ["maps", "-o", "page.html"],
    "ingest": ["maps", "--source", "seasons.parquet", "--scheduler", "serial"],
    "explain": ["maps", "--scheduler", "serial"],
    "prune": ["maps", "--keep", "2"],
    "verify": ["maps"],
    "export": ["maps", "-o", "maps.parquet"],
}
WITHOUT_SETTINGS = ("verify", "export")
"""Commands that need none of them, as long as what they name can be read."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store whose log has no checksums, as those of 0.1.0, and the documents of its log."""
    folder = tmp_path_factory.mktemp("settings")
    make_real_store(folder, n_rows=16)
    shutil.rmtree(folder / "maps.zarr/lock")
    files = sorted((folder / "maps.zarr/commits").iterdir())
    documents = [json.loads(file.read_text()) for file in files]
    for file, document in zip(files, documents, strict=True):
        del document["checksum"]
        document.pop("previous", None)
        file.write_text(json.dumps(document))
    return folder, documents[0]


def change_source(settings, **changes):
    return {**settings, "source": {**settings["source"], **changes}}


@pytest.mark.parametrize(
    ("change", "is_known_at_once"),
    [
        (lambda settings: {name: value for name, value in settings.items() if name != "source"}, False),
        (lambda _: {}, False),
        (lambda settings: {**settings, "source": {}}, False),
        (lambda settings: change_source(settings, pin=7), False),
        (lambda settings: change_source(settings, text=7, show=3), False),
        (lambda settings: {**settings, "random_state": "a"}, False),
        (lambda settings: {**settings, "source": 5}, True),
        (lambda settings: {**settings, "windows": None}, True),
        (lambda settings: {**settings, "layout": 3}, True),
        (lambda settings: {**settings, "target": 1}, True),
        (lambda settings: {**settings, "relations": 4}, True),
        (lambda settings: {**settings, "relations": [4]}, True),
        (lambda settings: {**settings, "left_out": 3}, True),
        (lambda settings: {**settings, "schemas": 1}, True),
        (lambda settings: {**settings, "schemas": ["a"]}, True),
        (lambda settings: {**settings, "scaling": "x"}, True),
        (lambda settings: {**settings, "scaling": {"digest": 2}}, True),
        (lambda settings: {**settings, "bad_rows": {}}, False),
        (lambda settings: {**settings, "bad_rows": 9}, True),
    ],
)
def test_each_command_says_that_settings_are_damaged(made, tmp_path, monkeypatch, change, is_known_at_once):
    folder, first = made
    shutil.copy(folder / "seasons.parquet", tmp_path)
    monkeypatch.chdir(tmp_path)
    changed = change(first["config"])
    for command, arguments in COMMANDS.items():
        shutil.rmtree("maps", ignore_errors=True)
        shutil.copytree(folder / "maps.zarr", "maps")
        Path("maps/commits/00000000.json").write_text(json.dumps({**first, "config": changed}))
        ended = try_command(command.split()[0], *arguments)
        is_no_run = not {"source", "windows"} <= set(changed)  # the page is that of a fitted model
        if not is_known_at_once and (command in WITHOUT_SETTINGS or (command == "report" and is_no_run)):
            assert ended.code == 0, (command, ended)
        else:
            assert ended.code == 2, (command, ended)
            assert "damaged" in ended.err, (command, ended)
