"""Parts of a source that grows: what is there, what is new, late or altered."""
