"""A run from start to end, and its repair."""
