"""The inner loops of the layout, and the arrays that they work on; numpy and numba only."""
