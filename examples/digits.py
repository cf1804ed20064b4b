"""umap-learn's tutorial of AlignedUMAP, twice: with arrays in one process, and as a run of the pipeline.

    pip install .
    python examples/digits.py

Writes digits.parquet, digits.zarr and digits.html to the folder `out` beside this file. `driftmap run
examples/digits.toml` makes the same maps from the same file, without Python.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from driftmap.engine import AlignedUMAP
from driftmap.pipeline import run
from driftmap.pipeline.look.report import write_report

OUT = Path(__file__).resolve().with_name("out")
ROWS, STRIDE = 400, 150


def fit_arrays(pixels: np.ndarray) -> AlignedUMAP:
    """Ten overlapping slices; a relation gives each row of one slice its row in the next."""
    starts = range(0, len(pixels) - ROWS + 1, STRIDE)
    slices = [pixels[start : start + ROWS] for start in starts]
    relations = [{row + STRIDE: row for row in range(ROWS - STRIDE)} for _ in slices[1:]]
    return AlignedUMAP(random_state=42).fit(slices, relations=relations)


def main() -> None:
    pixels, digits = load_digits(return_X_y=True)
    order = np.argsort(digits, kind="stable")
    pixels, digits = pixels[order].astype(np.float32), digits[order]

    mapper = fit_arrays(pixels)
    print("estimator:", [embedding.shape for embedding in mapper.embeddings_])

    table = pa.table({"sample": order, "digit": digits, "pixels": pa.array(list(pixels))})
    OUT.mkdir(exist_ok=True)
    data = OUT / "digits.parquet"
    if not data.exists():  # a store remembers its source, and takes a file that was written again for a changed one
        pq.write_table(table, data)
    store = run(data, OUT / "digits.zarr", id="sample", label="digit", vectors="pixels", rows=ROWS, row_stride=STRIDE)
    print("pipeline:", store)
    print(store.to_table().slice(0, 3).to_pylist())
    print(write_report(store, OUT / "digits.html", title="Handwritten digits"))


# Workers are processes that import this file, so what starts them stands behind this line.
if __name__ == "__main__":
    main()
