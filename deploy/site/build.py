"""Build the documentation site from what is in the repository: python deploy/site/build.py [FOLDER].

Needs `pip install '.[docs]'`, and no network. Warnings are errors, and so are links that lead nowhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
from reference import STORE_FORMAT, make_reference
from texts import HOME, include_sections, read_page

SITE = Path(__file__).resolve().parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    **{f"examples/guide/{path.name}": f"guide/{path.name}" for path in (HOME / "examples/guide").glob("*.md")},
    "examples/notebooks/README.md": "notebooks/README.md",
    **{str(path.relative_to(HOME)): str(path.relative_to(HOME)) for path in sorted((HOME / "deploy").rglob("*.md"))},
}
NOTEBOOKS = {
    f"examples/notebooks/{path.name}": f"notebooks/{path.stem}.ipynb"
    for path in (HOME / "examples/notebooks").glob("*.py")
}
PICTURES = {
    **{f"examples/images/{path.name}": f"images/{path.name}" for path in (HOME / "examples/images").iterdir()},
    **{f"examples/guide/{path.name}": f"guide/{path.name}" for path in (HOME / "examples/guide").glob("*.svg")},
}


def build(folder: Path) -> None:
    """Build the site into `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        texts, package = Path(scratch, "docs"), Path(scratch, "package")
        write_texts(texts)
        join_halves(package / "driftmap")
        settings = (SITE / "mkdocs.yml").read_text(encoding="utf-8").replace("PACKAGE", str(package))
        Path(scratch, "mkdocs.yml").write_text(settings, encoding="utf-8")
        command = ["mkdocs", "build", "--strict", "--quiet", "--config-file", f"{scratch}/mkdocs.yml"]
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", *command, "--site-dir", str(folder.resolve())],
            check=True,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        )


def write_texts(folder: Path) -> None:
    """Write every page as Markdown, with pictures and figures, and the notebooks as files to load."""
    places = {**PAGES, **PICTURES, **NOTEBOOKS, STORE_FORMAT: "reference/store.md"}
    for path, place in PAGES.items():
        _write(folder / place, read_page(path, places))
    for path, place in PICTURES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / path, folder / place)
    for path, place in NOTEBOOKS.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        jupytext.write(jupytext.read(HOME / path), folder / place)
    for place, text in make_reference().items():
        _write(folder / place, include_sections(text, place, places))
    shutil.copy(SITE / "site.css", folder / "site.css")


def join_halves(folder: Path) -> None:
    """Link both halves of the package into one folder, as an installation has them."""
    folder.mkdir(parents=True)
    for half in ("pipeline", "engine"):
        for path in (HOME / half / "driftmap").iterdir():
            if path.name != "__pycache__":
                (folder / path.name).symlink_to(path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME / "build/site"
    build(out)
    print(out / "index.html")
