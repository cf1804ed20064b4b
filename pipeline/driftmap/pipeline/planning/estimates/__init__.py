"""What a run takes: memory, reading and time."""
