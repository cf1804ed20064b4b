"""Single damages to the files of a store, and what a reader makes of each: for tests, and to count them.

A damage is silently wrong when everything can be read without a word and is not what was written. A state that the
store had before, with a warning, is right. What a reader refuses, `verify` must find too.
"""

from __future__ import annotations

import random
import shutil
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftmap.engine.errors import DriftmapError
from driftmap.pipeline import open_store, run
from driftmap.pipeline.errors import StoreWarning
from driftmap.pipeline.store.disk.packed import SUFFIX
from driftmap.pipeline.store.verify import check_log, find_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from driftmap.pipeline.store import Store

Outcome = Literal["same", "refused", "former", "wrong", "crashed", "unverified"]
N_WINDOWS = 3


def make_real_store(folder: Path, n_rows: int = 30, seed: int = 0) -> Path:
    """Make maps of three seasons with the pipeline itself."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(n_rows, 4))
    rows = np.concatenate([start + 0.1 * rng.normal(size=start.shape) for _ in range(N_WINDOWS)])
    columns = {f"x{axis}": rows[:, axis].astype(np.float32) for axis in range(4)}
    ids = [f"entity {number}" for number in range(n_rows)]
    seasons = np.repeat([2001, 2002, 2003], n_rows)
    table = {"season": seasons, "id": ids * N_WINDOWS, "group": ["left", "right", "up"] * n_rows, **columns}
    pq.write_table(pa.table(table), folder / "seasons.parquet")
    chosen = {"by": "season", "id": "id", "label": ["group"], "scheduler": "serial", "n_epochs": 10}
    run(folder / "seasons.parquet", folder / "maps.zarr", **chosen)
    return folder / "maps.zarr"


def read_everything(path: Path) -> list[object]:
    """Read all that a store holds, by the functions that a user has."""
    store = open_store(path)
    windows = [_read_window(store, i) for i in _numbers(store)]
    return [store.config, store.fingerprint, store.growth.to_json(), store.lineage().to_pydict(), *windows]


def read_former_states(path: Path) -> list[list[object]]:
    """Read every state that a store had before, from copies of it."""
    names = sorted(file.name for file in (path / "commits").iterdir())
    former = []
    for n_commits in range(1, len(names)):
        copy = path.with_name("former")
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("lock", "checkpoints", *names[n_commits:]))
        former.append(read_everything(copy))
        shutil.rmtree(copy)
    return former


def try_everything(path: Path, right: list[object], former: list[list[object]]) -> Outcome:
    """Read a damaged store, and judge what came."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = read_everything(path)
    except DriftmapError:
        return "refused" if is_found_by_verify(path) else "unverified"
    except Exception:
        return "crashed"
    if found == right:
        return "same"
    is_said = is_found_by_verify(path) and any(issubclass(one.category, StoreWarning) for one in said)
    return "former" if is_said and found in former else "wrong"


def is_found_by_verify(path: Path) -> bool:
    """Whether `verify` finds that something is wrong, or refuses the store."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            store = open_store(path)
            return bool(check_log(store) or find_damage(store))
    except DriftmapError:
        return True


def flip_every_bit(path: Path, judge: Callable[[], Outcome], step: int = 1) -> dict[str, Counter[Outcome]]:
    """Flip the bits of every commit, one at a time, each `step`-th of them."""
    found = {}
    for file in sorted((path / "commits").iterdir()):
        content, counts = file.read_bytes(), Counter()
        for bit in range(0, 8 * len(content), step):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            counts[judge()] += 1
        file.write_bytes(content)
        found[file.name] = counts
    return found


def damage_files(
    path: Path, judge: Callable[[], Outcome], seed: int = 0, share: float = 1.0
) -> dict[str, Counter[Outcome]]:
    """Damage every file of a store in each of several forms, or in a share of them, one at a time; counts by kind."""
    found: dict[str, Counter[Outcome]] = {}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    chance = random.Random(seed)
    for file in files:
        content = file.read_bytes()
        for kind, changed in _list_changes(content, chance, n_flips=16):
            if chance.random() < share:
                _write(file, changed)
                found.setdefault(kind, Counter())[judge()] += 1
        _write(file, content)
        if chance.random() < share:
            _swap(file, chance.choice(_list_alike(file, files) or files), found, judge)
    _swap_groups(path, found, judge)
    return found


def _list_changes(content: bytes, chance: random.Random, n_flips: int) -> Iterator[tuple[str, bytes | None]]:
    for _ in range(n_flips):
        changed = bytearray(content)
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        yield "flip", bytes(changed)
    for share in (0.0, 0.3, 0.9):
        yield "cut", content[: int(len(content) * share)]
    yield "cut", content[:-1]
    yield "longer", content + b"\0"
    yield "zeros", bytes(len(content))
    yield "garbage", chance.randbytes(len(content))
    yield "garbage", b"{}"
    yield "delete", None


def _write(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


def _list_alike(file: Path, files: list[Path]) -> list[Path]:
    """List files that could stand for this one: of the same array, or of the same folder."""
    if file.suffix == SUFFIX:
        return [other for other in files if other != file and other.suffix == SUFFIX]
    parts = file.parts[-3:] if file.name != "zarr.json" else file.parts[-2:]
    alike = [other for other in files if other != file and other.parts[-len(parts) :] == parts]
    return alike or [other for other in files if other != file and other.name == file.name]


def _swap(file: Path, other: Path, found: dict[str, Counter[Outcome]], judge: Callable[[], Outcome]) -> None:
    first, second = file.read_bytes(), other.read_bytes()
    if first == second:
        return
    for kind, mine, yours in (("swap", second, first), ("other's", second, second)):
        file.write_bytes(mine)
        other.write_bytes(yours)
        found.setdefault(kind, Counter())[judge()] += 1
    file.write_bytes(first)
    other.write_bytes(second)


def _swap_groups(path: Path, found: dict[str, Counter[Outcome]], judge: Callable[[], Outcome]) -> None:
    """Exchange whole groups of two windows, as a mixed-up restore does; each is whole in itself."""
    folders = sorted(folder for folder in (path / "windows").glob("*/*") if folder.is_dir())
    for first in folders:
        for second in folders:
            if second <= first or second.parent == first.parent:
                continue
            if {one.name for one in first.iterdir()} == {one.name for one in second.iterdir()}:
                _exchange(first, second)
                found.setdefault("groups", Counter())[judge()] += 1
                _exchange(first, second)


def _exchange(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def _numbers(store: Store) -> range:
    return range(store.n_windows)


def _read_window(store: Store, index: int) -> list[object]:
    state = store.state()[index]
    found: list[object] = [state]
    if state.graph_attempt is not None:
        knn, fuzzy = store.knn_graph(index), store.fuzzy_graph(index)
        labels = [values for pair in store.window_labels(index).items() for values in pair]
        arrays = [store.window_ids(index), *labels, knn.indices, knn.distances, *fuzzy[:3]]
        found += [one if isinstance(one, str) else _describe(one) for one in arrays]
    if state.layout_attempt is not None:
        found.append(_describe(store.positions(index)))
    if state.clusters is not None:
        found.append(_describe(store.clusters(index)))
    return found


def _describe(values: np.ndarray) -> tuple[object, ...]:
    return values.dtype.str, values.shape, values.tobytes()
