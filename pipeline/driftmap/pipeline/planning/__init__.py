"""Pure planning: windows, blocks, memory and run time."""
