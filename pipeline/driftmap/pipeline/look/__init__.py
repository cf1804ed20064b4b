"""Look at a store: quality of each window, and a page with the maps. Reads the store only."""
