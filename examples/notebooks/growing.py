# %% [markdown]
# # A growing store
#
# New rows arrive, and `ingest` adds the windows that they complete. A final map never moves again; the newest ones are
# provisional, and are laid out again with what comes after them. Needs `pip install 'driftmap[plot]'`.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

import driftmap
from driftmap.pipeline.look import plot_grid

pixels, digits = load_digits(return_X_y=True)
source = Path(tempfile.mkdtemp()) / "posts"
source.mkdir()
store_path = source.with_name("maps.zarr")


def arrive(first: int, last: int) -> None:
    """Write ten rows a day, from one day to another, as a file of its own."""
    rows = np.arange(10 * first, 10 * last)
    dates = np.datetime64("2024-01-01") + (rows // 10).astype("timedelta64[D]")
    columns = {"date": dates, "post": rows, "digit": digits[rows].astype(str)}
    table = pa.table({**columns, "pixels": pa.array(list(pixels[rows].astype(np.float32)))})
    pq.write_table(table, source / f"{first:03}.parquet")


# %%
arrive(0, 90)
options = {"time": "date", "id": "post", "label": "digit", "vectors": "pixels", "window": "30D", "stride": "15D"}
store = driftmap.run(source, store_path, scheduler="serial", **options)
before = {window.label: (window.status, store.positions(window.label)) for window in store.state()}
print({label: status for label, (status, _) in before.items()})

# %% [markdown]
# Thirty days more.

# %%
arrive(90, 120)
report = driftmap.ingest(store_path, scheduler="serial")
report

# %%
store = driftmap.open_store(store_path)
for window in store.state():
    status, positions = before.get(window.label, ("new", None))
    moved = "" if positions is None else "moved" if (positions != store.positions(window.label)).any() else "as it was"
    print(f"{window.label}: {status} -> {window.status}  {moved}")

# %%
plot_grid(store)
