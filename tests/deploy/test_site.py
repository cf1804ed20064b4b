"""The documentation site's texts: all there, in step with the code; `.ci/run` builds the site itself."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from driftmap.engine import AlignedUMAP
from driftmap.pipeline.cli.app import run_command
from driftmap.pipeline.config.run_settings import RUN_SETTINGS

HOME = Path(__file__).resolve().parents[2]
GUIDE = HOME / "examples/guide"


@pytest.fixture(scope="module")
def site():
    sys.path.insert(0, str(HOME / "deploy/site"))
    try:
        import build
        import reference
        import texts

        yield {"build": build, "reference": reference, "texts": texts}
    finally:
        sys.path.remove(str(HOME / "deploy/site"))


def list_pages(nav):
    for entry in nav:
        ((_, value),) = entry.items()
        yield from list_pages(value) if isinstance(value, list) else [value]


def test_every_text_is_a_page_and_every_page_is_there(site, tmp_path):
    site["build"].write_texts(tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")}
    settings = (HOME / "deploy/site/mkdocs.yml").read_text(encoding="utf-8")
    assert set(list_pages(yaml.safe_load(settings)["nav"])) == written
    assert {path.stem for path in (tmp_path / "notebooks").glob("*.ipynb")} == {
        path.stem for path in (HOME / "examples/notebooks").glob("*.py")
    }
    assert "<!-- include" not in "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.md"))


def test_links_follow_a_text_to_its_page(site):
    fit, pages = site["texts"].fit_links, {"README.md": "index.md", "examples/guide/how.md": "guide/how.md"}
    assert fit("[a](../../README.md#words)", "examples/guide/how.md", "guide/how.md", pages) == "[a](../index.md#words)"
    assert fit("[a](LICENSE)", "README.md", "index.md", pages).endswith("/blob/main/LICENSE)")
    for kept in ("`[a](none.md)`", "[a](https://umap.org/a)", "[a](#b)", "```\n[a](none.md)\n```"):
        assert fit(kept, "README.md", "index.md", pages) == kept


def test_what_leads_nowhere_is_refused(site):
    texts = site["texts"]
    with pytest.raises(texts.BrokenLinkError, match=r"README\.md links to none\.md"):
        texts.fit_links("[a](none.md)", "README.md", "index.md", {})
    with pytest.raises(texts.BrokenLinkError, match="no heading 'Nowhere'"):
        texts.take_section("# Here\n", "Nowhere", "README.md")


def test_a_section_ends_at_the_next_of_its_level(site):
    text = "# A\n\n## B\nb\n\n```\n# no heading\n```\n### C\nc\n## D\nd"
    assert site["texts"].take_section(text, "B", "a.md") == "b\n\n```\n# no heading\n```\n### C\nc"


def test_the_page_of_settings_has_them_all(site):
    said = tomllib.loads((GUIDE / "settings.toml").read_text(encoding="utf-8"))
    assert set(said) - {"about"} == set(RUN_SETTINGS)
    effects = tomllib.loads((GUIDE / "effects.toml").read_text(encoding="utf-8"))
    for name, rows in effects.items():
        if name != "about":
            assert [RUN_SETTINGS[name].check(row["value"]) for row in rows]
    page = site["reference"].make_reference()["reference/settings.md"]
    assert "a whole number, 2 to 100,000" in page
    assert "| default | `auto` |" in page
    assert page.count("\n### ") == len(RUN_SETTINGS)


def test_the_page_of_commands_has_every_option(site):
    page = site["reference"].make_reference()["reference/commands.md"]
    assert {"## driftmap run", "## driftmap plot river"} <= set(page.splitlines())
    assert "--alignment-regularisation FLOAT|auto" in page


def read_parameters():
    """Parameters of umap-learn's AlignedUMAP, from its source: importing it takes seconds."""
    folder = Path(importlib.util.find_spec("umap").origin).parent
    tree = ast.parse((folder / "aligned_umap.py").read_text(encoding="utf-8"))
    (kind,) = (one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == "AlignedUMAP")
    methods = {one.name: one for one in kind.body if isinstance(one, ast.FunctionDef)}
    given = methods["__init__"].args
    names = [one.arg for one in given.args[1:]]
    values = [ast.literal_eval(one) for one in given.defaults]
    return dict(zip(names, [*[inspect.Parameter.empty] * (len(names) - len(values)), *values], strict=True)), methods


def test_the_page_for_users_of_umap_learn_names_every_parameter_and_method():
    text = (GUIDE / "umap.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", text, re.MULTILINE))
    theirs, methods = read_parameters()
    ours = {name: one.default for name, one in inspect.signature(AlignedUMAP).parameters.items()}
    for name, default in theirs.items():
        is_same = ours[name] == default
        assert (rows[name] == "same") <= is_same, name
    assert {name for name in rows if name in ours} == set(ours)
    assert {name for name in ours if name not in theirs} == {name for name in ours if rows[name] == "only here"}
    assert {name for name in methods if not name.startswith("_")} <= set(rows)


def test_the_first_ten_minutes_run_as_they_stand(tmp_path, monkeypatch, capsys):
    text = (GUIDE / "start.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "load_digits" in code)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "make_posts.py", "exec"), {})
    (plan,) = re.findall(r"^driftmap (plan .*)$", text, re.MULTILINE)
    assert run_command(shlex.split(plan)) == 0
    assert "9 windows" in capsys.readouterr().out
