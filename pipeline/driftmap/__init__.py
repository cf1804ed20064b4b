"""Aligned UMAP maps of data that changes over time.

The short names of the project; each is imported when it is first used, so that `import driftmap` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

# The engine lies in a folder of its own when the project is installed in development mode.
__path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from driftmap.engine import AlignedUMAP
    from driftmap.pipeline import ingest, open_store, plan, run

    __version__: str

__all__ = ["AlignedUMAP", "__version__", "ingest", "open_store", "plan", "run"]

_HOMES = {
    "AlignedUMAP": "driftmap.engine",
    "ingest": "driftmap.pipeline",
    "open_store": "driftmap.pipeline",
    "plan": "driftmap.pipeline",
    "run": "driftmap.pipeline",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("driftmap")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
