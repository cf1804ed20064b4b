"""Pictures of one window's map alone: its rows, and the edges of its graph."""
