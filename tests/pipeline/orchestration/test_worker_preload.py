"""Workers that are prepared as they start, and cache folders that start with kernels compiled elsewhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap

import pytest

from driftmap.pipeline.executors.worker_process import seed_kernels


def run_code(code, **environment):
    """Run some code in a process of its own; returns the words that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_worker_is_prepared_before_any_client_comes(tmp_path):
    code = """
        import os, threading
        from driftmap.pipeline.orchestration.worker_preload import dask_setup
        dask_setup(None)
        for thread in threading.enumerate():
            if thread.name == "driftmap-load":
                thread.join()
        import numba, driftmap.engine.graph.window_graph
        print(os.environ["NUMBA_CACHE_DIR"], numba.config.CACHE_DIR, os.environ["OMP_NUM_THREADS"])
    """
    folder = str(tmp_path / socket.gethostname() / "worker-0")
    assert run_code(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1") == [folder, folder, "1"]


@pytest.mark.parametrize("is_launched", [False, True])
def test_kernels_are_compiled_also_where_numba_was_loaded_before(tmp_path, is_launched):
    code = f"""
        import os, pickle
        import numba
        if {is_launched}:
            numba.get_num_threads()
        from driftmap.pipeline.executors.worker_process import prepare_worker
        prepare_worker(1, pickle.dumps(None)).join()
        numba.get_num_threads()
        assert numba.njit(lambda x: x + 1)(1) == 2
        print(numba.config.NUMBA_NUM_THREADS, os.environ["NUMBA_NUM_THREADS"], os.environ["OMP_NUM_THREADS"])
    """
    n_threads = "2" if is_launched else "1"
    found = run_code(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="2", NUMBA_DISABLE_JIT="0")
    assert found == [n_threads, n_threads, "1"]


@pytest.fixture
def seed(tmp_path, monkeypatch):
    folder = tmp_path / "seed"
    (folder / "kernels_12").mkdir(parents=True)
    (folder / "kernels_12" / "pull.nbi").write_text("compiled")
    (folder / "lock").write_text("not to be taken along")
    monkeypatch.setenv("DRIFTMAP_KERNELS", str(folder))
    return folder


def test_an_empty_cache_folder_starts_with_the_seed(seed, tmp_path):
    folder = tmp_path / "host" / "worker-0"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    seed_kernels(folder)
    assert (folder / "kernels_12" / "pull.nbi").read_text() == "compiled"
    assert (folder / "lock").read_text() == ""
    seed_kernels(tmp_path / "new")
    assert (tmp_path / "new" / "kernels_12" / "pull.nbi").exists()


def test_a_folder_with_kernels_of_its_own_keeps_them(seed, tmp_path):
    folder = tmp_path / "worker-0"
    (folder / "kernels_34").mkdir(parents=True)
    seed_kernels(folder)
    assert [path.name for path in folder.iterdir()] == ["kernels_34"]


@pytest.mark.parametrize("given", [None, "", "/nowhere/at/all"])
def test_without_a_seed_nothing_is_done(tmp_path, monkeypatch, given):
    monkeypatch.delenv("DRIFTMAP_KERNELS", raising=False)
    if given is not None:
        monkeypatch.setenv("DRIFTMAP_KERNELS", given)
    seed_kernels(tmp_path / "new")
    assert not (tmp_path / "new").exists()
