"""Rows of windows as they are read: in pieces, bad and repeated ones, sorted by window, their digests."""
