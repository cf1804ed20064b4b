"""The store of a run: plain Zarr arrays, and the log of commits that alone says what is there."""

from driftmap.pipeline.store.store import Store, open_store

__all__ = ["Store", "open_store"]
