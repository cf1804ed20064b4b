"""One reader for each kind of source: Parquet, tables and arrays, Zarr."""
