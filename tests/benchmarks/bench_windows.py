"""Maps of single large windows beside those of umap-learn's UMAP: what they keep, and the CPU seconds they take."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.benchmarks.arrangement import N_PAIRS, rank_correlation
from tests.benchmarks.clock import clock
from tests.benchmarks.data_sets import load_rows
from tests.benchmarks.measures import MAX_ROWS, N_NEIGHBORS
from tests.benchmarks.tables import figure, format_table

from driftmap.engine import AlignedUMAP, trustworthiness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

WINDOWS = ("14000x64", "big_numpy_commits_384:all", "big_mnist:all", "large:200000x64")
"""As `load_rows` takes them."""
N_QUERIES = 1_000
"""Rows whose neighbours are looked for."""
PEER_EPOCHS = 200
SHOWN = ("trust", "neighbours", "distances")


def compare_windows(
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    n_peer_seeds: int = 1,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure maps of one window each, ours and the peer's.

    Parameters
    ----------
    names, seeds
        Windows, and our seeds.
    n_peer_seeds
        How many of the peer's; 0 leaves it out.
    say
        Takes a table a window.

    Returns
    -------
    dict
        By name: runs of "driftmap" and of "umap-learn".
    """
    AlignedUMAP(random_state=0, n_epochs=2).fit([load_rows("7000x64")])  # kernels are loaded
    results = {}
    for name in names:
        rows = load_rows(name)
        makers = {"driftmap": (_map_rows, seeds), "umap-learn": (_map_by_peer, range(n_peer_seeds))}
        results[name] = {
            who: [measure_map(rows, partial(make, rows, seed)) for seed in tried]
            for who, (make, tried) in makers.items()
        }
        say(format_window(f"{name}: {len(rows):,} rows", results[name]) + "\n")
    return results


def measure_map(rows: npt.NDArray[np.float32], make: Callable[[], npt.NDArray[np.float32]]) -> dict[str, float]:
    """Make a map and measure it on samples of its rows, the same whoever made it.

    trust: trustworthiness within MAX_ROWS rows; neighbours: share of the nearest rows of N_QUERIES, among all rows,
    that are nearest on the map; distances: Spearman's correlation of N_PAIRS distances in the data and on the map.
    """
    from sklearn.neighbors import NearestNeighbors

    timing, places = clock(make)
    rng = np.random.default_rng(0)
    sample = np.sort(rng.choice(len(rows), min(MAX_ROWS, len(rows)), replace=False))
    queries = rng.choice(len(rows), min(N_QUERIES, len(rows)), replace=False)
    near, shown = (
        NearestNeighbors(n_neighbors=N_NEIGHBORS + 1, algorithm=algorithm).fit(held).kneighbors(held[queries])[1][:, 1:]
        for algorithm, held in (("brute", rows), ("kd_tree", places))
    )
    pairs = rng.integers(0, len(rows), (N_PAIRS, 2))
    apart = [np.linalg.norm(held[pairs[:, 0]] - held[pairs[:, 1]], axis=1) for held in (rows, places)]
    return {
        "trust": trustworthiness(rows[sample], places[sample], N_NEIGHBORS),
        "neighbours": float(np.mean([np.isin(one, other).mean() for one, other in zip(near, shown, strict=True)])),
        "distances": rank_correlation(*apart),
        "cpu_seconds": timing.cpu_seconds,
        "wall_seconds": timing.wall_seconds,
    }


def _map_rows(rows: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    return AlignedUMAP(random_state=seed).fit([rows]).embeddings_[0]


def _map_by_peer(rows: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what is not installed, and on n_jobs
        from umap import UMAP

        return np.asarray(UMAP(n_epochs=PEER_EPOCHS, random_state=seed).fit_transform(rows))


def format_window(title: str, found: dict[str, list[dict[str, float]]]) -> str:
    """A row for each of us: means and standard deviations over seeds, and CPU seconds."""
    rows = []
    for who, runs in found.items():
        if not runs:
            continue
        cells = [f"{figure(np.mean(v))} ± {figure(np.std(v))}" for v in ([run[name] for run in runs] for name in SHOWN)]
        taken = [f"{np.mean([run[name] for run in runs]):.1f}" for name in ("cpu_seconds", "wall_seconds")]
        rows.append([who, str(len(runs)), *cells, *taken])
    return format_table([title, "seeds", *SHOWN, "CPU s", "wall s"], rows)
