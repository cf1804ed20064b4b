"""New windows as they come: what of a growing source is new, complete, late or bad, and what becomes of it."""
