"""What importing costs, and who may import whom."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.pipeline.growing import make_store, write_days

from driftmap.pipeline import open_store

ROOT = Path(__file__).resolve().parents[1]
ENGINE, PIPELINE = ROOT / "engine/driftmap/engine", ROOT / "pipeline/driftmap/pipeline"
MAX_SECONDS = 0.5

SLOW = ("pynndescent", "numba", "llvmlite", "sklearn", "umap", "pandas", "matplotlib")
OUTSIDE = ("dask", "distributed", "zarr", "obstore", "pyarrow", "pydantic", "rich")

# Runs a statement, then says what it cost and what it loaded; CPU seconds, since the machine may be busy.
PROBE = """
import json, sys, time
{statement}
print(json.dumps({{"seconds": time.process_time(), "modules": sorted(m.partition(".")[0] for m in sys.modules)}}))
"""
STATEMENTS = {
    "import driftmap; driftmap.__version__": (*SLOW, *OUTSIDE, "driftmap.engine", "driftmap.pipeline"),
    "import driftmap.engine": (*SLOW, *OUTSIDE, "driftmap.pipeline"),
    "import driftmap.pipeline": (*SLOW, *OUTSIDE),
    "from driftmap.pipeline.cli.app import run_command; assert run_command(['--help']) == 0": (*SLOW, *OUTSIDE),
    "from driftmap.pipeline.cli.app import run_command; assert run_command(['run', '--help']) == 0": (*SLOW, *OUTSIDE),
    "from driftmap.pipeline.cli.app import run_command; assert run_command(['--version']) == 0": (*SLOW, *OUTSIDE),
    "from driftmap.pipeline.cli.app import run_command; assert run_command(['plot', '--help']) == 0": (*SLOW, *OUTSIDE),
    "import driftmap.pipeline.look": (*SLOW, *OUTSIDE, "plotly", "PIL"),
}


def probe(statement: str) -> dict:
    code = PROBE.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("statement", "unwanted"), STATEMENTS.items())
def test_imports_are_cheap(statement, unwanted):
    runs = [probe(statement) for _ in range(3)]
    assert not set(unwanted) & set(runs[0]["modules"])
    assert min(run["seconds"] for run in runs) < MAX_SECONDS


def test_an_ingest_with_nothing_new_loads_little(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    words = ["ingest", str(tmp_path / "store"), "--scheduler", "serial"]
    found = probe(f"from driftmap.pipeline.cli.app import run_command; assert run_command({words}) == 0")
    assert not {*SLOW, "distributed", "rich"} & set(found["modules"])
    again = probe(f"from driftmap.pipeline.cli.app import run_command; assert run_command({words}) == 0")
    assert not {*SLOW, *OUTSIDE, "numpy", "scipy", "psutil", "asyncio"} - {"obstore"} & set(again["modules"])


def test_an_ingest_of_one_window_needs_no_dask(tmp_path):
    make_store(tmp_path / "days", tmp_path / "store")
    write_days(tmp_path / "days", range(6, 8))
    words = ["ingest", str(tmp_path / "store")]
    found = probe(f"from driftmap.pipeline.cli.app import run_command; assert run_command({words}) == 0")
    assert len(open_store(tmp_path / "store").labels) == 6
    assert "numba" in found["modules"]
    assert not {"dask", "distributed", "zarr", "sklearn", "pynndescent", "pandas", "rich"} & set(found["modules"])


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def importers(folder: Path, *packages: str) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if any(name == package or name.startswith(f"{package}.") for name in imported(path) for package in packages)
    }


def test_only_one_file_imports_zarr_and_only_one_folder_imports_dask():
    assert importers(PIPELINE, "zarr") == {"sources/readers/zarr/zarr_arrays.py"}
    runtime = {path for path in importers(PIPELINE, "dask", "distributed") if not is_only_typed(PIPELINE / path)}
    assert {Path(path).parts[0] for path in runtime} == {"executors"}


def is_only_typed(path: Path) -> bool:
    """Whether a file imports Dask for its types only, which costs and ties nothing when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = [
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    ]
    return not any(
        isinstance(node, ast.Import | ast.ImportFrom)
        and node not in guarded
        and ast.unparse(node).split()[1].partition(".")[0] in ("dask", "distributed")
        for node in ast.walk(tree)
    )


def test_engine_knows_no_pipeline_and_only_the_libraries_it_may():
    libraries = {"numpy", "scipy", "numba", "llvmlite", "pynndescent", "sklearn", "threadpoolctl", "graspologic_native"}
    allowed = {*libraries, *sys.stdlib_module_names, "driftmap", "__future__"}
    for path in ENGINE.rglob("*.py"):
        names = imported(path)
        bar = {"rich"} if path.name == "progress_bar.py" else set()  # verbose=True draws a bar
        assert {name.partition(".")[0] for name in names} <= allowed | bar, path
        assert not [name for name in names if name.startswith("driftmap.pipeline")], path


def test_look_reads_the_store_only():
    assert importers(PIPELINE / "look", "dask", "distributed", "zarr", "driftmap.pipeline.orchestration.run") == set()


def test_no_module_takes_a_general_name():
    for folder in (ROOT / "engine", ROOT / "pipeline"):
        assert [path.name for path in folder.iterdir() if not path.name.startswith(("_", "."))] == ["driftmap"]
    assert not (ROOT / "engine/driftmap/__init__.py").exists()  # pipeline's carries the short names for both


def test_kernels_import_numpy_numba_and_what_they_are_compiled_with():
    files = [
        path
        for path in ENGINE.rglob("*.py")
        if re.search(r"(^|_)kernels?$", path.stem) or path.parent.name == "kernels"
    ]
    assert len(files) >= 12
    own = re.compile(r"driftmap\.engine\.(core\.jit|types|\w+\.\w*kernels?|\w+\.kernels\.(\w+_kernels|arrays))$")
    for path in files:
        for name in imported(path):
            library = name.partition(".")[0]
            assert library in {"numpy", "numba", "llvmlite", "typing", "__future__"} or own.match(name), (path, name)


def test_nothing_that_is_read_from_a_store_or_a_source_is_unpickled_or_executed():
    """Pickles come from the client alone, over Dask: no other file can open one."""
    unsafe = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "distributed.protocol.pickle")
    assert importers(PIPELINE, *unsafe) == {
        *(f"executors/{name}.py" for name in ("cluster/dask_executor", "cluster/dask_worker", "worker_process")),
        "orchestration/worker_preload.py",
    }
    for path in [*ENGINE.rglob("*.py"), *PIPELINE.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec"), path
                assert not any(
                    word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords
                )


@pytest.mark.parametrize("layout", ["one folder, as installed", "two folders, as in development"])
def test_both_halves_are_one_package_however_they_are_installed(layout, tmp_path):
    folders = [ROOT / "engine", ROOT / "pipeline"]
    if layout.startswith("one"):
        (tmp_path / "driftmap").mkdir()
        for entry in (entry for folder in folders for entry in (folder / "driftmap").iterdir()):
            (tmp_path / "driftmap" / entry.name).symlink_to(entry)
        folders = [tmp_path]
    script = (
        "import driftmap, driftmap.engine, driftmap.pipeline, driftmap.pipeline.store\n"
        "print(driftmap.__file__, driftmap.engine.__file__, driftmap.pipeline.__file__, sep='\\n')\n"
        "print([callable(getattr(driftmap, name)) or getattr(driftmap, name) for name in driftmap.__all__])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    *files, names = done.stdout.splitlines()
    assert [any(Path(file).is_relative_to(folder) for folder in folders) for file in files] == [True] * 3
    assert names == repr([True, version("driftmap"), *[True] * 4])


def test_python_m_driftmap_is_the_command():
    for module in ("driftmap", "driftmap.pipeline.cli"):
        command = [sys.executable, "-m", module, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == f"driftmap {version('driftmap')}\n"
        assert not done.stderr
