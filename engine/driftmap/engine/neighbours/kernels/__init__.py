"""Kernels that pick nearest rows, and better lists of them; numpy and numba only."""
