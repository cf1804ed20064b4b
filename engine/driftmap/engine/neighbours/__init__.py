"""The k nearest neighbours of a window's rows."""
