"""`explain` with columns that a store has in another role, and with columns, stores and sources that do not fit."""

from __future__ import annotations

import shutil

import pytest
from tests.pipeline.orchestration.test_explain import OPTIONS, make_frame, words_of

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline import explain, open_store, run
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.layout import block_layout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of two windows with words of one column, and its source."""
    folder = tmp_path_factory.mktemp("made")
    frame = make_frame(2)
    frame["lists"] = [[1.0, 2.0]] * len(frame)
    frame.to_parquet(folder / "rows.parquet")
    run(folder / "rows.parquet", folder / "s", vectors=["a", "b", "c"], text="message", **OPTIONS)
    return folder


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made, tmp_path / "p")
    return tmp_path / "p"


def fill(place, **asked):
    return explain(place / "s", place / asked.pop("source", "rows.parquet"), scheduler="serial", **asked)


def test_texts_of_which_only_words_were_kept_are_kept_when_they_are_to_be_shown(place):
    assert fill(place, show=["message", "message"]).changed == ["0", "1"]
    store = open_store(place / "s")
    assert [*store.window_labels(0)] == ["team", "message"]
    assert store.window_labels(0)["message"][0].startswith("typing")
    assert store.config["source"]["show"] == ["message"]
    assert fill(place).same == ["0", "1"]


def test_words_of_labels_are_found(place):
    assert fill(place, text="team").changed == ["0", "1"]
    store = open_store(place / "s")
    assert {word for words in words_of(store, 0) for word in words} == {"red", "blue"}
    assert fill(place).same == ["0", "1"]
    assert fill(place, text="message").changed == ["0", "1"]
    assert words_of(open_store(place / "s"), 0)[0][-1] == "typing"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"text": "lists"}, r"'lists' holds list.*1 more window is like it; mend the source, or name other columns"),
        ({"text": "a"}, "text is 'a', which vectors are made of"),
        ({"show": ["team", "b"]}, "show is 'b', which vectors are made of"),
        ({"text": ""}, "text is ''"),
        ({"text": 3}, "text is 3"),
        ({"show": [3]}, "show is 3"),
    ],
)
def test_columns_that_cannot_be_are_refused_by_name(place, asked, words):
    n_commits = open_store(place / "s").n_commits
    with pytest.raises(DriftmapError, match=words):
        fill(place, **asked)
    assert open_store(place / "s").n_commits == n_commits


def test_a_source_that_has_none_of_the_windows_is_refused_and_changes_no_columns(place, capsys):
    frame = make_frame(2)
    frame["w"] += 10
    frame.to_parquet(place / "others.parquet")
    command = ["explain", str(place / "s"), str(place / "others.parquet"), "--text", "team", "--scheduler", "serial"]
    assert run_command(command) == 2
    assert "others.parquet has none of the windows of the store" in capsys.readouterr().err
    assert open_store(place / "s").config["source"]["text"] == "message"


def test_a_run_that_is_not_done_is_finished_first(made, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(block_layout, "lay_out_block", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(made / "rows.parquet", tmp_path / "s", **OPTIONS)
    with pytest.raises(DriftmapError, match="is not finished; finish it first"):
        explain(tmp_path / "s", text="message", scheduler="serial")
    assert run(made / "rows.parquet", tmp_path / "s", **OPTIONS).is_complete
