"""How many threads the kernels use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numba

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def limit_threads(n_threads: int) -> Iterator[None]:
    """Let kernels that the calling thread runs use no more threads than these, one at least; the bytes stay the same.

    Within another limit the lower of the two holds.
    """
    allowed = numba.get_num_threads()
    numba.set_num_threads(min(max(n_threads, 1), allowed))
    try:
        yield
    finally:
        numba.set_num_threads(allowed)
