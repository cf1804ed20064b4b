"""Where rows come from: Parquet files, Zarr arrays, arrays given from Python."""

from driftmap.pipeline.sources.opening import as_source, forget_keys, needs_workers, open_source
from driftmap.pipeline.sources.protocol import Source, WindowRows
from driftmap.pipeline.sources.readers.python.from_python import WindowArrays

__all__ = ["Source", "WindowArrays", "WindowRows", "as_source", "forget_keys", "needs_workers", "open_source"]
