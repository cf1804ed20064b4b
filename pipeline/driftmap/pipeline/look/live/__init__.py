"""The page of a store that is too large for one file: served, and read window by window as it is looked at."""
