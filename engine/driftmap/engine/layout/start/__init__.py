"""Where rows stand before the first epoch."""
