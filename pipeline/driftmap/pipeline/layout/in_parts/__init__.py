"""Blocks whose rows are shared out over the workers of a cluster."""
