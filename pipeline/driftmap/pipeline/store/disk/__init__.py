"""A store's files: where they lie, how arrays become bytes, and how damage is found."""
