"""The examples run as they stand, as a user starts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.pipeline.small_stores import read_page_header

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def examples(tmp_path):
    """A copy of the examples, so that what they write is not left in the repository."""
    return shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("out", "__pycache__"))


def run_example(path: Path, cwd: Path) -> str:
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_digits_in_python_and_in_toml(examples, tmp_path):
    printed = run_example(examples / "digits.py", tmp_path)
    assert "estimator: [(400, 2), (400, 2)" in printed
    assert "10 windows" in printed
    out = examples / "out"
    assert "Handwritten digits" in (out / "digits.html").read_text(encoding="utf-8")
    assert run_command(["run", str(examples / "digits.toml")]) == 0
    by_python, by_toml = open_store(out / "digits.zarr"), open_store(out / "digits-toml.zarr")
    assert by_python.labels == by_toml.labels
    for label in by_python.labels:
        np.testing.assert_array_equal(by_python.embedding(label)[1], by_toml.embedding(label)[1])


@pytest.mark.slow
def test_baseball(examples, tmp_path):
    printed = run_example(examples / "baseball.py", tmp_path)
    assert "Sammy Sosa in 1998" in printed
    store = open_store(examples / "out" / "baseball.zarr")
    last = int(store.labels[-1])  # newer packages of the data have newer seasons
    assert last >= 2024
    assert store.labels == [str(season) for season in range(1955, last + 1)]
    assert store.is_complete
    assert "first base" in read_page_header(examples / "out" / "baseball.html")["columns"][0]["values"]


@pytest.mark.slow
def test_tutorial(examples, tmp_path):
    printed = run_example(examples / "tutorial.py", tmp_path)
    assert "fit of 10 slices" in printed
    assert "fit of 2 and update with 8" in printed
    assert "fit of 10 times 1797 rows" in printed
    out = examples / "out"
    for name in ("tutorial_grid.png", "tutorial_updated.png", "tutorial_parameters.png", "tutorial_curves.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 1000
            assert len(picture.convert("RGB").resize((200, 200)).getcolors(40_000)) > 50  # not blank
    with Image.open(out / "tutorial.gif") as movie:
        assert movie.n_frames == 91
    assert "300 of 1,797 entities" in (out / "tutorial_curves.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_cells_are_related_by_transport(examples, tmp_path):
    printed = run_example(examples / "cells.py", tmp_path)
    assert "4 couplings, a cell has" in printed
    figures = re.search(r"moves ([\d.]+) a day; the lineages lie ([\d.]+) apart", printed)
    assert float(figures[1]) < float(figures[2])
    assert open_store(examples / "out" / "cells.zarr").is_complete


@pytest.mark.slow
def test_members_are_related_by_name_and_place(examples, tmp_path):
    assert "relations: 480 pairs of rows" in run_example(examples / "members.py", tmp_path)
    store = open_store(examples / "out" / "members.zarr")
    assert store.is_complete
    assert len(store.read_relations().books) == 1
