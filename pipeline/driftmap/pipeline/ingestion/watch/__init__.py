"""What an ingest tells those who watch it."""
