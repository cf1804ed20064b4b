"""Rows given from Python: held as arrays, spilled to files, or computed by Dask."""
