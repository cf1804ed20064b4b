"""The notebooks run cell by cell, as Jupyter runs them, from the files that the documented command makes of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
N_PICTURES = {"cells": 2, "cluster": 0, "growing": 1, "seasons": 2, "text": 2, "tutorial": 3}
SAID = {
    "cells": "day 4: ",
    "cluster": "4 of 4 maps are the same",
    "growing": "2024-03-16: new -> provisional",
    "seasons": "the page with everything: ",
    "text": "posts.html",
    "tutorial": "alignedumap0",
}


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """All of them as `.ipynb`, made by the command that the README of the notebooks gives."""
    folder = tmp_path_factory.mktemp("notebooks")
    scripts = [str(shutil.copy(path, folder)) for path in NOTEBOOKS.glob("*.py")]
    subprocess.run([sys.executable, "-m", "jupytext", "--to", "ipynb", *scripts], check=True, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_notebook(notebooks, name, monkeypatch):
    monkeypatch.chdir(notebooks)
    notebook = nbformat.read(notebooks / f"{name}.ipynb", as_version=4)
    done = NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("image/png" in data for data in shown) == N_PICTURES[name]
    texts = [output.get("text", "") for output in outputs] + [str(data.get("text/plain")) for data in shown]
    assert SAID[name] in "\n".join(texts)
    assert not [output for output in outputs if output.get("name") == "stderr"]
