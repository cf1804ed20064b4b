"""Tables in files of text: CSV and JSON lines, compressed or not."""
