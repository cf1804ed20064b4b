"""Sizes of windows by which several rooms go."""

SMALL_ROWS = 600
"""A window of no more rows is small: dense matrices of its rows are cheap, and one thread is as fast as several."""
LARGE_ROWS = 20_000
"""Above, a window's layout starts from eigenvectors of a smaller graph: 200,000 rows took 21 s otherwise, a million
five minutes. Smaller windows have mid-near rows."""
