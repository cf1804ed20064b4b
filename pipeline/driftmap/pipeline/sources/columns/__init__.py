"""Columns of a source: which are the vectors, and how keys, times and labels become arrays."""
