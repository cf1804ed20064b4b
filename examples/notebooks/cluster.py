# %% [markdown]
# # A cluster
#
# The same run on this machine and on a Dask cluster gives the same bytes. The cluster here is two worker processes on
# this machine; an address such as `tls://host:8786` stands for any other.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits

import driftmap

pixels, digits = load_digits(return_X_y=True)
folder = Path(tempfile.mkdtemp())
table = pa.table(
    {
        "sample": np.arange(len(pixels)),
        "digit": digits,
        "pixels": pa.array(list(pixels.astype(np.float32))),
    }
)
pq.write_table(table, folder / "digits.parquet")
options = {"id": "sample", "label": "digit", "vectors": "pixels", "rows": 600, "row_stride": 300}

# %% [markdown]
# What would be done, and what it takes: no vector is read for that.

# %%
print(driftmap.plan(folder / "digits.parquet", **options))

# %%
here = driftmap.run(folder / "digits.parquet", folder / "here.zarr", scheduler="serial", **options)

# %% [markdown]
# Workers build the graphs; each reads the rows of its windows by itself, and must see the files by the same path.

# %%
workers = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
with LocalCluster(**workers) as cluster, Client(cluster) as client:
    there = driftmap.run(folder / "digits.parquet", folder / "there.zarr", scheduler=client, **options)

# %%
same = [np.array_equal(here.positions(label), there.positions(label)) for label in here.labels]
print(f"{sum(same)} of {len(same)} maps are the same")
there
