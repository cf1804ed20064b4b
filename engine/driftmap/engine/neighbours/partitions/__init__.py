"""The approximate search of large windows: rows are put into parts, and each is compared with the nearest parts."""
