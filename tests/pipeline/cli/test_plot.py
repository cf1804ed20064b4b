"""`driftmap plot`, as typed."""

from __future__ import annotations

import pytest
from tests.pipeline.pictured import make_maps, write_maps

from driftmap.pipeline.cli.app import run_command


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("plot") / "run.zarr"
    write_maps(path, make_maps(), ["a", "b", "c", "d"])
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["grid", "-o", "maps.png", "--title", "Maps"],
        ["grid", "-o", "maps.svg", "--shared", "--label", "weight"],
        ["grid", "-o", "maps.pdf", "--highlight", "entity 40", "--window", "a", "--window", "b"],
        ["points", "-o", "points.png", "--title", "Rows"],
        ["points", "-o", "points.svg", "--window", "b", "--label", "weight", "--highlight", "entity 40"],
        ["points", "-o", "points.pdf", "--window", "c", "--shared"],
        ["connectivity", "-o", "edges.png"],
        ["connectivity", "-o", "edges.svg", "--window", "a", "--no-points", "--title", "Edges"],
        ["river", "-o", "river.png", "--title", "Rows"],
        ["river", "-o", "river.svg", "--label", "kind"],
        ["change", "a", "c", "-o", "change.png"],
        ["change", "c", "a", "-o", "change.pdf", "--label", "kind", "--title", "$x$"],
        ["curves", "-o", "maps.html", "--curves", "20"],
        ["animate", "-o", "maps.gif", "--steps", "2", "--size", "150"],
    ],
)
def test_pictures_are_written(store, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    assert run_command(["plot", command, store, *options]) == 0
    name = options[options.index("-o") + 1]
    assert name in capsys.readouterr().out
    assert (tmp_path / name).stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grid", "STORE", "-o", "maps.bmp"], "end its name in .png, .svg, .pdf"),
        (["grid", "STORE", "-o", "maps.png", "--label", "colour"], "no label column 'colour'"),
        (["grid", "STORE", "-o", "maps.png", "--shared", "--highlight", "x"], "exclude each other"),
        (["grid", "STORE", "-o", "maps.png", "--highlight", "nobody"], "no window has the ids 'nobody'"),
        (["points", "STORE", "-o", "maps.bmp"], "end its name in .png, .svg, .pdf"),
        (["points", "STORE", "-o", "maps.png", "--window", "z"], "no window 'z' with a map; there are 'a', 'b', 'c'"),
        (["points", "STORE", "-o", "maps.png", "--shared", "--highlight", "x"], "exclude each other"),
        (["connectivity", "STORE", "-o", "maps.png", "--label", "colour"], "no label column 'colour'"),
        (["curves", "STORE", "-o", "maps.html", "--window", "a"], "two consecutive windows"),
        (["river", "STORE", "-o", "river.gif"], "end its name in .png, .svg, .pdf"),
        (["river", "STORE", "-o", "river.png", "--label", "weight"], "no column of labels 'weight'; it has 'kind'"),
        (["river", "STORE", "-o", "river.png", "--label", "cluster"], "has no clusters"),
        (["change", "STORE", "a", "z", "-o", "change.png"], "no window 'z' with a map; it has 'a', 'b', 'c' ... 'd'"),
        (["change", "STORE", "a", "a", "-o", "change.png"], "A and B are both the window 'a'"),
        (["animate", "STORE", "-o", "maps.gif", "--window", "z"], "no window 'z'"),
        (["animate", "nowhere.zarr", "-o", "maps.gif"], "nowhere.zarr"),
        (["grid", "STORE", "-o", "missing-folder-is-a-file/maps.png"], "missing-folder-is-a-file"),
    ],
)
def test_mistakes_are_named(store, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "missing-folder-is-a-file").write_text("x", encoding="utf-8")
    assert run_command(["plot", *(store if one == "STORE" else one for one in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
