"""Arrays of a user's Zarr data, cubes, and AnnData."""
