"""What workers need besides kernels: imported once, by the process that those on this machine are forked from.

Kernels are not in it: each worker loads them from a cache folder of its own, which it claims first.
"""

import distributed.nanny  # noqa: F401
import numcodecs  # noqa: F401
import pyarrow.compute
import pyarrow.fs  # noqa: F401

import driftmap.pipeline.executors.cluster.dask_worker
import driftmap.pipeline.sources
import driftmap.pipeline.store  # noqa: F401
from driftmap.engine import limit_threads, load_compiler  # noqa: F401

load_compiler()
