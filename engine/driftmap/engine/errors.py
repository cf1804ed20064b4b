"""What a caller can do wrong, as a few named exceptions."""


class DriftmapError(Exception):
    """Base of every error that a user can cause; the message says what came, what was expected and what to do."""


class InvalidInputError(DriftmapError, ValueError):
    """An argument, or the data in it, cannot be used."""


class InvalidRelationError(InvalidInputError):
    """A relation between two windows is out of range, not one-to-one, or of the wrong form."""
