"""Maps as tables, and tables as files."""
