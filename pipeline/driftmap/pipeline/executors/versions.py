"""What must be the same in the caller, the scheduler and the workers, and what differs. No Dask here."""

from __future__ import annotations

import functools
import hashlib
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.executors.worker_process import WorkerError, name_process
from driftmap.pipeline.sources.row_ranges import name_some

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client

    Versions = Mapping[str, str]

PACKAGES = ("dask", "distributed", "numba", "numpy")

MISSING = "not installed"


def describe_versions() -> dict[str, str]:
    """Say what this process runs on; imports nothing slow."""
    packages = {name: _find_version(name) for name in PACKAGES}
    return {"driftmap": _describe_driftmap(), "python": _keep_minor(sys.version.split()[0]), **packages}


def refuse_other_versions(client: Client, described: Mapping[str, object]) -> dict[str, str]:
    """Compare this process with the scheduler and the workers of a client.

    Parameters
    ----------
    client
        A connected client.
    described
        What `describe_versions` gave on each worker that is used, by address; anything else where it failed.

    Returns
    -------
    What all of them run on.

    Raises
    ------
    WorkerError
        Naming everything that differs, what it is here and there, and where.
    """
    reported: Any = client.get_versions(packages=PACKAGES)
    address = getattr(client.scheduler, "address", "")
    places = {f"the scheduler {address}": describe_scheduler(reported["scheduler"]["packages"])}
    for worker, report in reported["workers"].items():
        if worker in described:
            places[worker] = describe_worker(report["packages"], described[worker])
    here = describe_versions()
    refuse_differences(here, places)
    return here


def describe_scheduler(reported: Mapping[str, str | None]) -> dict[str, str]:
    """Take from Dask's report of a scheduler what must match: it passes tasks on, and never opens one."""
    described = describe_worker(reported, None)
    return {name: described[name] for name in ("python", "dask", "distributed")}


def describe_worker(reported: Mapping[str, str | None], described: object) -> dict[str, str]:
    """Join Dask's report of a worker, which any worker gives, with what ours found there.

    Parameters
    ----------
    reported
        Versions by package.
    described
        What `describe_versions` gave there; anything else where it could not be called, since driftmap is missing.
    """
    python = _keep_minor(reported.get("python") or "?")
    packages = {name: reported.get(name) or MISSING for name in PACKAGES}
    found = described["driftmap"] if isinstance(described, dict) else MISSING
    return {"driftmap": found, "python": python, **packages}


def refuse_differences(here: Versions, places: Mapping[str, Versions]) -> None:
    """Refuse to work where anything differs.

    Parameters
    ----------
    here
        What this process runs on.
    places
        What must match of each other process, by its address.

    Raises
    ------
    WorkerError
        Naming everything that differs, what it is here and there, and where.
    """
    lines = []
    for name in here:
        others: dict[str, list[str]] = {}
        for place, versions in places.items():
            if (there := versions.get(name, here[name])) != here[name]:
                others.setdefault(there, []).append(place)
        lines += [f"{name}: {here[name]} here, {there} at {name_some(at)}" for there, at in others.items()]
    if lines:
        raise WorkerError("\n".join(["the cluster runs other versions than this process; make them the same:", *lines]))


@functools.cache
def refuse_to_work(versions: tuple[tuple[str, str], ...]) -> None:
    """Refuse, on a worker that joined later, to work for a caller that runs something else.

    Raises
    ------
    WorkerError
        Naming everything that differs from the caller's `versions`.
    """
    refuse_differences(dict(versions), {name_process(): describe_versions()})


def is_driftmap_missing(error: BaseException) -> bool:
    """Say whether a task failed since its worker has no driftmap."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "driftmap"


@functools.cache
def _describe_driftmap() -> str:
    # Checkouts of the same version differ too, and would quietly give other maps; so the files count.
    digest = hashlib.sha256()
    for package in ("driftmap.engine", "driftmap.pipeline"):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for file in sorted(Path(folder).rglob("*.py")):
                digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    found = _find_version("driftmap")
    return f"{'unreleased' if found == MISSING else found} ({digest.hexdigest()[:8]})"


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING


def _keep_minor(version_text: str) -> str:
    # Releases of one minor version run each other's code and open each other's pickles.
    return ".".join(version_text.split(".")[:2])
