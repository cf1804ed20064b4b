"""The log of a store: commits, what they say of windows, and the lock of who writes it."""
