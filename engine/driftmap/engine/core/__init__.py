"""Shared by the whole engine: numba flags, threads, seeds, argument checks."""
