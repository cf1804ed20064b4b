"""The `driftmap` command."""
