"""What must match between processes: what is compared, and how a difference is told."""

from __future__ import annotations

import sys

import pytest

from driftmap.pipeline.executors.versions import (
    MISSING,
    PACKAGES,
    describe_scheduler,
    describe_versions,
    describe_worker,
    refuse_differences,
)
from driftmap.pipeline.executors.worker_process import WorkerError

HERE = {"driftmap": "1.0 (aa)", "python": "3.11", "dask": "1", "distributed": "1", "numba": "1", "numpy": "2"}


def test_this_process_knows_what_it_runs_on():
    import dask
    import numpy as np

    described = describe_versions()
    assert set(described) == {"driftmap", "python", *PACKAGES}
    assert described["numpy"] == np.__version__
    assert described["dask"] == dask.__version__
    assert described["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert MISSING not in described.values()


def test_the_same_everywhere_is_fine():
    refuse_differences(HERE, {"tls://a:1": HERE, "tls://b:1": dict(HERE), "the scheduler": {"python": "3.11"}})


def test_every_difference_is_named_with_all_its_places():
    places = {f"tls://w{n}:1": HERE | {"numpy": "1"} for n in range(8)}
    places |= {"tls://x:1": HERE | {"driftmap": "1.0 (bb)"}, "the scheduler tls://s:1": {"dask": "0"}}
    with pytest.raises(WorkerError) as caught:
        refuse_differences(HERE, places)
    assert str(caught.value).splitlines() == [
        "the cluster runs other versions than this process; make them the same:",
        "driftmap: 1.0 (aa) here, 1.0 (bb) at tls://x:1",
        "dask: 1 here, 0 at the scheduler tls://s:1",
        "numpy: 2 here, 1 at tls://w0:1, tls://w1:1, tls://w2:1, tls://w3:1, tls://w4:1 and 3 more",
    ]


def test_releases_of_one_python_are_the_same_and_a_scheduler_needs_no_numpy():
    reported = {"python": "3.11.4.final.0", "dask": "1", "distributed": "1"}
    assert describe_scheduler(reported) == {"python": "3.11", "dask": "1", "distributed": "1"}
    refuse_differences(HERE, {"the scheduler": describe_scheduler(reported)})


def test_a_worker_without_driftmap_is_told_from_one_with_another():
    reported = {"python": "3.11.4.final.0", "dask": "1", "distributed": "1", "numba": None, "numpy": "2"}
    assert describe_worker(reported, ModuleNotFoundError("driftmap")) == HERE | {"driftmap": MISSING, "numba": MISSING}
    assert describe_worker(reported, HERE)["driftmap"] == HERE["driftmap"]
