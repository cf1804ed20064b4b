"""umap-learn's tutorial of AlignedUMAP, from slices to curves: fit, update, varying parameters, and its pictures.

    pip install '.[plot]'
    python examples/tutorial.py

Writes pictures to the folder `out` beside this file. What umap-learn's tutorial does in a screen of code each (the
grid of maps, the animation, the curves in space) is one call here. `digits.py` has the same maps as a run with a store,
of which `driftmap plot grid|curves|animate` draws the same pictures.
"""

import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from driftmap.engine import AlignedUMAP
from driftmap.pipeline.look import animate, plot_curves, plot_grid

OUT = Path(__file__).resolve().with_name("out")
ROWS, STRIDE, N_SLICES = 400, 150, 10

N_NEIGHBORS = [3, 4, 5, 7, 11, 16, 22, 29, 37, 45]
MIN_DIST = [0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45]


def fit_slices(slices: list[np.ndarray], ids: list[np.ndarray]) -> AlignedUMAP:
    """Ten slices at once. An image has the same id in every slice that it is in, and that relates its rows.

    Relations as in umap-learn do as well: `relations=[{row + STRIDE: row for row in range(ROWS - STRIDE)}] * 9`.
    """
    return AlignedUMAP(random_state=42).fit(slices, ids=ids)


def update_slice_by_slice(slices: list[np.ndarray], ids: list[np.ndarray]) -> AlignedUMAP:
    """Two slices, and then one after the other, as they might arrive; what is placed stays in its place.

    With relations `update` takes the same dictionary as `fit`, old row -> new row; umap-learn's wants its inverse.
    """
    mapper = AlignedUMAP(random_state=42).fit(slices[:2], ids=ids[:2])
    for rows, row_ids in zip(slices[2:], ids[2:], strict=True):
        mapper.update(rows, ids=row_ids)
    return mapper


def vary_parameters(pixels: np.ndarray) -> AlignedUMAP:
    """The same rows ten times, with other parameters each time; a list gives a parameter one value per window."""
    mapper = AlignedUMAP(
        n_neighbors=N_NEIGHBORS,
        min_dist=MIN_DIST,
        alignment_window_size=2,
        alignment_regularisation=1e-3,
        random_state=42,
    )
    return mapper.fit([pixels] * len(MIN_DIST), ids=[np.arange(len(pixels))] * len(MIN_DIST))


def main() -> None:
    # Sorted by how much ink they have, which is not meant to be meaningful: only to have slices that overlap.
    pixels, digits = load_digits(return_X_y=True)
    order = np.argsort(pixels.sum(axis=1), kind="stable")
    ids = [order[STRIDE * k : STRIDE * k + ROWS] for k in range(N_SLICES)]
    slices = [pixels[one] for one in ids]
    labels = [digits[one] for one in ids]
    names = [f"rows {STRIDE * k} to {STRIDE * k + len(one) - 1}" for k, one in enumerate(ids)]

    began = time.perf_counter()
    mapper = fit_slices(slices, ids)
    print(f"fit of {N_SLICES} slices: {time.perf_counter() - began:.1f} s")
    plot_grid(mapper.embeddings_, OUT / "tutorial_grid.png", label=labels, names=names)
    animate(mapper.embeddings_, OUT / "tutorial.gif", label=labels, ids=ids, names=names)

    began = time.perf_counter()
    updated = update_slice_by_slice(slices, ids)
    print(f"fit of 2 and update with {N_SLICES - 2}: {time.perf_counter() - began:.1f} s")
    plot_grid(updated.embeddings_, OUT / "tutorial_updated.png", label=labels, names=names)

    began = time.perf_counter()
    varied = vary_parameters(pixels)
    print(f"fit of {len(MIN_DIST)} times {len(pixels)} rows: {time.perf_counter() - began:.1f} s")
    shown = {  # a window's name is its number of neighbours and its min_dist
        "label": [digits] * len(MIN_DIST),
        "names": [f"{n} neighbours, {d}" for n, d in zip(N_NEIGHBORS, MIN_DIST, strict=True)],
    }
    plot_grid(varied.embeddings_, OUT / "tutorial_parameters.png", **shown)
    same_ids = [np.arange(len(pixels))] * len(MIN_DIST)
    for ending in ("html", "png"):  # a page to turn around, and a still picture
        plot_curves(varied.embeddings_, OUT / f"tutorial_curves.{ending}", ids=same_ids, **shown)
    print("pictures:", *sorted(path.name for path in OUT.glob("tutorial*")))


if __name__ == "__main__":
    main()
