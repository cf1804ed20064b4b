"""The tutorial on commit messages, command by command as it stands, on a repository that the test makes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.small_stores import read_page_header

from driftmap.pipeline import open_store
from driftmap.pipeline.cli.app import run_command

HOME = Path(__file__).resolve().parents[1]
GUIDE = HOME / "examples/guide/commits.md"
WORDS = {
    "parser": "parser tokens grammar syntax quotes escapes comments",
    "cache": "cache eviction disk entries stale lookup memory",
    "release": "changelog bump tag wheel notes upload metadata",
    "async": "coroutine await loop cancel timeout task gather",
}
N_COMMITS = 420


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Three years of commits; those about coroutines begin in the third."""
    folder = tmp_path_factory.mktemp("work") / "clone"
    rng = np.random.default_rng(0)
    lines = []
    for number in range(N_COMMITS):
        topics = list(WORDS) if number > 280 else list(WORDS)[:3]
        words = rng.choice(WORDS[topics[number % len(topics)]].split(), 4, replace=False)
        message = f"Mend {' '.join(words)} (#{number})\n\nSigned-off-by: Ada <ada@example.org>\n".encode()
        author = "dependabot[bot]" if number % 50 == 49 else "Ada"
        when = f"{author} <ada@example.org> {1_577_836_800 + number * 225_000} +0000"
        lines.append(f"commit refs/heads/main\ncommitter {when}\ndata {len(message)}\n".encode() + message)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=b"\n".join(lines), check=True)
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    address = "git@example.org:ada/words.git"
    subprocess.run(["git", "-C", str(folder), "remote", "add", "origin", address], check=True)
    return folder


@pytest.mark.slow
def test_every_command_runs_as_it_stands(clone, tmp_path, monkeypatch, capsys):
    text = GUIDE.read_text(encoding="utf-8")
    (made,) = re.findall(r"^python driftmap/(\S+) path/to/clone$", text, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    for command in ("RUN", "EXPLAIN"):  # in this process: the commands stay as they are
        monkeypatch.setenv(f"DRIFTMAP_{command}_SCHEDULER", "serial")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HOME / made), str(clone)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"commits.parquet: {N_COMMITS - 8} commits from 2020-01-01 to 2022-1")
    commands = re.findall(r"^driftmap (.*)$", text, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["plan", "run", "explain"]
    for command in commands:
        assert run_command(shlex.split(command)) == 0, capsys.readouterr()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "commits.md", "exec"), {})
    header = read_page_header(tmp_path / "commits.html")
    named = " ".join(header["columns"][0]["values"])
    assert len(set(" ".join(WORDS.values()).split()) & set(re.findall(r"\w+", named))) >= 4, named
    assert [one["name"] for one in header["details"]] == ["subject", "author", "link"]
    said = str(header["answers"]["all"])
    assert any(word in said for word in WORDS["async"].split()), said
    links = open_store("commits-maps.zarr").window_labels(0)["link"]
    assert all(re.fullmatch(r"https://example\.org/ada/words/commit/[0-9a-f]{40}", link) for link in links)


def test_a_folder_that_is_no_clone_is_named(tmp_path):
    asked = [sys.executable, str(HOME / "examples/commits.py"), str(tmp_path / "none")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"git cannot read {tmp_path / 'none'}: ")
