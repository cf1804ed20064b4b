# %% [markdown]
# # Cells over days
#
# No cell is measured twice, so there are no ids to relate days by. Here each cell is related to its mutual nearest
# neighbours among the cells of the next day, with weights; `examples/cells.py` does the same by optimal transport.
# Needs `pip install 'driftmap[plot]'`.

# %%
import itertools
import tempfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

import driftmap
from driftmap.pipeline.look import plot_connectivity, plot_grid

rng = np.random.default_rng(0)
N_DAYS, N_CELLS, N_GENES = 5, 200, 12

# %% [markdown]
# Made cells: two lineages grow out of one kind of cell, while what is measured shifts from day to day.

# %%
directions = rng.normal(size=(2, N_GENES))
lineages = rng.integers(0, 2, (N_DAYS, N_CELLS))
days = [
    (day + 0.3 * rng.normal(size=(N_CELLS, 1))) * directions[lineages[day]]
    + 0.5 * rng.normal(size=(N_CELLS, N_GENES))
    + 0.5 * day
    for day in range(N_DAYS)
]


# %%
def relate(old: np.ndarray, new: np.ndarray, n_near: int = 20) -> csr_array:
    """Weigh the pairs of cells that are among each other's nearest, once the shift between the days is taken out."""
    old, new = old - old.mean(axis=0), new - new.mean(axis=0)
    forth = NearestNeighbors(n_neighbors=n_near).fit(new).kneighbors_graph(old)
    back = NearestNeighbors(n_neighbors=n_near).fit(old).kneighbors_graph(new)
    pairs = forth.multiply(back.T).tocoo()
    distances = np.linalg.norm(old[pairs.row] - new[pairs.col], axis=1)
    weights = np.exp(-((distances / np.median(distances)) ** 2))
    return csr_array((weights, (pairs.row, pairs.col)), shape=pairs.shape)


relations = [relate(old, new) for old, new in itertools.pairwise(days)]
print([f"{relation.nnz / N_CELLS:.1f} partners a cell" for relation in relations])

# %% [markdown]
# One sparse matrix per pair of days is all that is needed.

# %%
cells = {
    "vectors": np.concatenate(days).astype(np.float32),
    "day": np.repeat(np.arange(N_DAYS), N_CELLS),
    "cell": np.arange(N_DAYS * N_CELLS),
    "lineage": np.where(lineages.ravel() == 0, "A", "B"),
}
folder = Path(tempfile.mkdtemp())
store = driftmap.run(
    cells, folder / "cells.zarr", by="day", id="cell", label="lineage", relations=relations, scheduler="serial"
)
plot_grid(store)

# %% [markdown]
# The lineages part: their centres move apart from day to day, and on the last day no edge of the graph joins them.

# %%
for day, label in enumerate(store.labels):
    a, b = (store.positions(label)[lineages[day] == lineage].mean(axis=0) for lineage in (0, 1))
    print(f"day {label}: {np.linalg.norm(a - b):.2f} apart")
plot_connectivity(store)
