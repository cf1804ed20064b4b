"""Cells measured on several days: no cell is measured twice, so optimal transport says which are alike.

    pip install .
    python examples/cells.py

Makes the cells: from day to day two lineages grow out of one kind of cell, while what is measured shifts. Each cell of
a day is related to the cells of the next day that entropic optimal transport sends it to, with their weights; one
sparse matrix per pair of days is all that driftmap needs. Writes cells.zarr and cells.html to the folder `out` beside
this file.
"""

import itertools
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from driftmap.pipeline import run
from driftmap.pipeline.look.report import write_report

OUT = Path(__file__).resolve().with_name("out")
N_DAYS, N_CELLS, N_GENES = 5, 200, 12
ENTROPY = 0.02
"""Of the transport, in units of its mean cost: small values couple few cells."""
LEAST_WEIGHT = 0.25
"""Pairs whose weight is below this share of a cell's heaviest are left out."""


def make_days(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Make the cells of each day, (n, genes), and the lineage that each belongs to."""
    directions = rng.normal(size=(2, N_GENES))
    days, lineages = [], []
    for day in range(N_DAYS):
        lineage = rng.integers(0, 2, N_CELLS)
        progress = day + 0.3 * rng.normal(size=(N_CELLS, 1))
        shift = 0.5 * day  # what differs between the days' measurements, and says nothing of the cells
        days.append(progress * directions[lineage] + 0.5 * rng.normal(size=(N_CELLS, N_GENES)) + shift)
        lineages.append(np.where(lineage == 0, "lineage A", "lineage B"))
    return days, lineages


def transport(old: np.ndarray, new: np.ndarray) -> csr_array:
    """Couple the cells of two days by entropic optimal transport (Sinkhorn's iterations), rows of equal mass."""
    cost = cdist(old - old.mean(axis=0), new - new.mean(axis=0), "sqeuclidean")
    kernel = np.exp(-cost / (ENTROPY * cost.mean()) + cost.min(axis=1, keepdims=True) / (ENTROPY * cost.mean()))
    scale_new = np.ones(len(new))
    for _ in range(500):
        scale_old = 1 / len(old) / (kernel @ scale_new)
        scale_new = 1 / len(new) / (kernel.T @ scale_old)
    plan = scale_old[:, None] * kernel * scale_new
    plan[plan < LEAST_WEIGHT * plan.max(axis=1, keepdims=True)] = 0
    return csr_array(plan)


def main() -> None:
    """Couple the days, make the maps, write the page."""
    days, lineages = make_days(np.random.default_rng(0))
    couplings = [transport(old, new) for old, new in itertools.pairwise(days)]
    partners = np.concatenate([np.diff(coupling.indptr) for coupling in couplings])
    print(f"{len(couplings)} couplings, a cell has {partners.mean():.1f} partners on the next day")
    cells = {
        "vectors": np.concatenate(days).astype(np.float32),
        "day": np.repeat(np.arange(N_DAYS), N_CELLS),
        "id": np.arange(N_DAYS * N_CELLS),  # each cell once
        "lineage": np.concatenate(lineages),
    }
    options = {"by": "day", "id": "id", "label": "lineage", "scheduler": "serial"}
    store = run(cells, OUT / "cells.zarr", relations=couplings, **options)
    centres = [
        [store.positions(day)[lineages[day] == name].mean(axis=0) for name in ("lineage A", "lineage B")]
        for day in range(N_DAYS)
    ]
    same = np.linalg.norm(np.diff(centres, axis=0), axis=2).mean()
    apart = np.mean([np.linalg.norm(a - b) for a, b in centres[1:]])
    print(f"a lineage's centre moves {same:.2f} a day; the lineages lie {apart:.2f} apart")
    print(write_report(store, OUT / "cells.html", title="Cells of five days"))


if __name__ == "__main__":
    main()
