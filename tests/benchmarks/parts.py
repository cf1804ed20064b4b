"""Seconds that the parts of a fit take, by wrapping the engine's functions while it runs."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = {
    "neighbours.search:build_knn_graph": "kNN",
    "neighbours.incremental:_begin": "kNN",
    "neighbours.incremental:_follow": "kNN",
    "graph.fuzzy:build_fuzzy_graph": "graph",
    "relations.relations:alignment_weights": "weights",
    "layout.start.initialise:spectral_start": "start",
    "layout.start.initialise:start_from_previous": "start",
    "layout.optimiser:Optimiser.run": "layout",
}
"""What is timed, by its place in driftmap.engine; none of them calls another."""

NAMES = tuple(dict.fromkeys(PARTS.values()))


@contextmanager
def time_parts() -> Iterator[dict[str, float]]:
    """Yield a dict that fills with seconds by part; calls on several threads at once add up."""
    seconds = dict.fromkeys(NAMES, 0.0)
    lock = threading.Lock()
    with ExitStack() as stack:
        for place, part in PARTS.items():
            module, _, named = place.partition(":")
            path = named.split(".")
            owner = importlib.import_module(f"driftmap.engine.{module}")
            for name in path[:-1]:
                owner = getattr(owner, name)
            function = getattr(owner, path[-1])
            timed = _time(function, part, seconds, lock)
            for holder in {id(owner): owner, **_holders(path[-1], function)}.values():
                stack.enter_context(mock.patch.object(holder, path[-1], timed))
        yield seconds


def _holders(name, function):
    """Find the modules of the engine that imported a function by name."""
    engine = [module for key, module in sys.modules.items() if key.startswith("driftmap.engine.")]
    return {id(module): module for module in engine if vars(module).get(name) is function}


def _time(function, part, seconds, lock):
    @functools.wraps(function)
    def timed(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            with lock:
                seconds[part] += time.perf_counter() - started

    return timed
