"""The graph stage: one task per window."""
