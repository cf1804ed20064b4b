"""GNU OpenMP, loaded with short waits: its threads would spin at barriers, which on busy cores takes others' time.

Two threads beside one busy process per core took 4 to 5 times the processor time of one thread, since each waits some
milliseconds in a loop for a thread that has no core. With 1,000 rounds of that loop before a thread sleeps the waits
that an idle machine has still end in the loop. `python -m tests.benchmarks contended` shows both.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import numba

SPIN_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Where one of them is set, the user chose how threads wait."""

SPIN_COUNT = "1000"


def load_openmp() -> bool:
    """Load numba's OpenMP layer, once per process and before any kernel runs; the environment is left as it was.

    GNU OpenMP reads its variables as it is loaded, so this has no effect where another library loaded it before.

    Returns
    -------
    Whether it was loaded with short waits: not where the user chose, where numba is to use other threads, or where
    GNU OpenMP is not there.
    """
    is_chosen = any(name in os.environ for name in SPIN_VARIABLES)
    config: Any = numba.config
    if sys.platform != "linux" or is_chosen or config.THREADING_LAYER not in ("default", "threadsafe", "omp"):
        return False
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        importlib.import_module("numba.np.ufunc.omppool")
    except ImportError:  # no libgomp.so.1: numba falls back to threads of its own
        return False
    finally:
        del os.environ["GOMP_SPINCOUNT"]
    return True
