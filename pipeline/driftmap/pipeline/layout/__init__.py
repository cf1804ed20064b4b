"""The layout stage: blocks in order, in parallel, or appended by ingestion."""
