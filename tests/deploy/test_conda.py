"""The conda recipe asks for what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"dask": "dask-core"}


def split(requirement):
    name, version = re.fullmatch(r"([\w-]+)\s*(.*)", requirement).groups()
    return CONDA_NAMES.get(name, name), version


def test_the_recipe_asks_for_what_the_project_asks_for():
    recipe = yaml.safe_load((HOME / "deploy/conda/recipe.yaml").read_text(encoding="utf-8"))
    whole = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))
    project = whole["project"]
    asked = [*project["dependencies"], f"python{project['requires-python']}"]
    assert sorted(map(split, recipe["requirements"]["run"])) == sorted(map(split, asked))
    built_by = [split(each) for each in recipe["requirements"]["host"][2:]]
    assert built_by == [split(each) for each in whole["build-system"]["requires"]]
    assert recipe["context"]["version"] == project["version"]
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert entry == f"driftmap = {project['scripts']['driftmap']}"
