"""Damage to files, for tests of what finds and mends it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from driftmap.pipeline.store.attempts import name_group

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from driftmap.pipeline.store import Store


def flip_a_bit(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


@contextmanager
def limit_files(n_bytes: int) -> Iterator[None]:
    """Let no file become larger, in this process and those that it starts: as on a disk that is nearly full."""
    import resource  # late: not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def cut_log(store: Path, n_commits: int) -> None:
    """Make of a store what it was after some commits; with the lock goes what it says of the log's length."""
    for file in sorted((store / "commits").iterdir())[n_commits:]:
        file.unlink()
    shutil.rmtree(store / "lock", ignore_errors=True)


def find_group(store: Store, window: int, array: str) -> Path:
    """Find the folder of a window's graph, map or clusters, whichever has the array."""
    state = store.state()[window]
    clusters = (state.clusters or {}).get("attempt")
    known = {"positions": state.layout_attempt, "clusters": clusters, "turnover": clusters}
    attempt = known.get(array, state.graph_attempt)
    return store.path / name_group(window, attempt)


def list_chunks(folder: Path) -> list[Path]:
    """List the files of an array."""
    return sorted(file for file in (folder / "c").rglob("*") if file.is_file())
