"""What a caller of the pipeline can do wrong, as a few named exceptions."""

from driftmap.engine.errors import DriftmapError


class ConfigError(DriftmapError, ValueError):
    """A setting of the run cannot be used."""


class SourceError(DriftmapError, ValueError):
    """The data cannot be read, or are not what was said of them."""


class PlanError(DriftmapError, ValueError):
    """The data cannot be cut into windows, or windows into blocks, as asked."""


class StoreError(DriftmapError):
    """A store cannot be made, opened, read or extended."""


class SecurityError(DriftmapError):
    """A certificate is missing, open to others, or not taken by the other side."""


class StoreBusyError(StoreError):
    """Another process holds the store."""


class PictureError(DriftmapError, ValueError):
    """A picture cannot be drawn as asked."""


class PlanWarning(UserWarning):
    """What a run decides for the user: windows that are left out, or have fewer neighbours than was asked for."""


class StoreWarning(UserWarning):
    """What was found wrong with a store, and left out without harm."""


class MissingExtraError(DriftmapError, ImportError):
    """A library that is only needed for this is not installed."""
