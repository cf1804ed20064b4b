"""Tasks on a Dask cluster, on this machine or elsewhere."""
