"""From a kNN graph to a fuzzy graph."""
