"""Traces for OpenTelemetry, by its API alone: where it is not installed, or nobody set it up, there are none.

Who wants traces sets them up as for any program: `opentelemetry-instrument driftmap run ...` with the usual variables
(`OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_ENDPOINT`, ...), or a tracer provider of the caller's own in Python.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NANOSECONDS = 1_000_000_000


@contextmanager
def trace(name: str, **attributes: Any) -> Iterator[None]:
    """Make a span of what is done inside the context; an error that ends it is noted.

    Parameters
    ----------
    name
        What is done.
    **attributes
        Numbers, text or lists of these; each is named `driftmap.` and its name.
    """
    tracer = _find_tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(f"driftmap {name}", attributes=_name_attributes(attributes)):
        yield


def record(name: str, seconds: float, **attributes: Any) -> None:
    """Make a span of what has just ended, perhaps on a worker, and took so long; as `trace`."""
    tracer = _find_tracer()
    if tracer is None:
        return
    end = time.time_ns()
    start = end - int(seconds * _NANOSECONDS)
    tracer.start_span(f"driftmap {name}", attributes=_name_attributes(attributes), start_time=start).end(end)


def _name_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    return {f"driftmap.{name}": value for name, value in attributes.items() if value is not None}


def _find_tracer() -> Any:
    """Give the tracer; None where nobody asked for traces: importing the API alone takes 50 ms."""
    is_wanted = "opentelemetry" in sys.modules or any(name.startswith("OTEL_") for name in os.environ)
    if not is_wanted or find_spec("opentelemetry") is None:
        return None
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:  # a part of it is there, but not the API
        return None
    return get_tracer("driftmap")
