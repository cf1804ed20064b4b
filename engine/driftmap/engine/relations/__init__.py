"""Which rows of two windows stand for the same entity."""
