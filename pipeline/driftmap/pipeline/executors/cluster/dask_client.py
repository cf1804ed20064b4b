"""A cluster that is there: reaching its scheduler, and what its workers have."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import dask
from distributed import Client, Security
from distributed.comm.addressing import get_address_host_port, parse_address
from distributed.comm.registry import get_backend
from distributed.versions import VersionMismatchWarning

from driftmap.pipeline.executors.base import WorkerLimit
from driftmap.pipeline.executors.cluster.cluster_workers import ClusterWorkers
from driftmap.pipeline.executors.connection import find_kept
from driftmap.pipeline.executors.tls import SecureAddress, try_handshake
from driftmap.pipeline.executors.worker_process import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from driftmap.pipeline.executors.cluster.placement import Placement

FEW_MESSAGES = {"distributed.admin.low-level-log-length": 10}
"""Setting of Dask for new connections: each keeps its last messages, tasks with all their arguments in them; with the
1,000 of Dask's own setting tens of MB stay in a coordinator."""


def find_worker_limit(
    scheduler: Client | SecureAddress | str, placement: Placement | None = None
) -> WorkerLimit | None:
    """Ask the workers of a cluster what they have; None where they do not say.

    Parameters
    ----------
    scheduler
        A client, or an address, with its certificates where it has some.
    placement
        What is asked of workers.
    """
    with reach(scheduler) as client:
        used = ClusterWorkers(client, placement)
        used.wait()
        workers = list(used.find().values())
    # Every worker's share of memory for one task, and the worker that has the least.
    limited = [worker for worker in workers if worker["memory_limit"]]
    if not limited:
        return None
    least = min(limited, key=lambda worker: worker["memory_limit"] / worker["nthreads"])
    remedy = "give workers more (dask worker --memory-limit) or fewer threads (--nthreads)"
    return WorkerLimit(len(workers), int(least["nthreads"]), int(least["memory_limit"]), remedy)


def refuse_blind_workers(
    scheduler: Client | SecureAddress | str, placement: Placement, warm_up: Callable[[], object] | None = None
) -> None:
    """Have the workers of a cluster look at what they must see, after their versions are known to be the caller's.

    Parameters
    ----------
    scheduler, placement
        As for `find_worker_limit`.
    warm_up
        Loads the kernels of tasks to come: workers that see everything begin with it.

    Raises
    ------
    WorkerError
        Naming the workers that do not see it.
    """
    with reach(scheduler) as client:
        used = ClusterWorkers(client, placement)
        used.wait()
        used.check(is_quiet=True)  # said once the tasks are sent
        used.look()
        if warm_up is not None:
            used.begin_loading(warm_up)


@contextmanager
def reach(scheduler: str | Client | SecureAddress) -> Iterator[Client]:
    """Give the client of a scheduler; a client created here is closed, and its log output silenced."""
    if isinstance(scheduler, Client):
        yield scheduler
    elif (kept := find_kept(scheduler)) is not None:
        with _explain_loss(kept.connect(partial(_open_client, scheduler))) as client:
            yield client
    else:
        with _open_client(scheduler) as opened, _explain_loss(opened) as client:
            yield client


@contextmanager
def _open_client(scheduler: str | SecureAddress) -> Iterator[Client]:
    """Connect a client whose log output is silenced."""
    handlers = logging.getLogger("distributed").handlers
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL)
    is_lost = True
    try:
        with _connect(scheduler) as client:
            try:
                yield client
            finally:
                is_lost = client.status != "running"
    finally:
        # Where the scheduler is lost, the client's loops go on for a while, and would print tracebacks.
        for handler, level in zip(handlers, [] if is_lost else levels, strict=not is_lost):
            handler.setLevel(level)


@contextmanager
def _explain_loss(client: Client) -> Iterator[Client]:
    try:
        yield client
    except OSError as error:
        if client.status == "running":
            raise
        raise WorkerError(f"the Dask scheduler was lost ({error}); run again to go on") from error


def _connect(scheduler: str | SecureAddress) -> Client:
    address, security = (scheduler, None) if isinstance(scheduler, str) else (scheduler.url, _as_security(scheduler))
    _refuse_unusable(address)
    try:
        with warnings.catch_warnings(), dask.config.set(FEW_MESSAGES):
            warnings.simplefilter("ignore", VersionMismatchWarning)  # what matters is refused, with all places named
            try:
                return Client(address, set_as_default=False, security=security)
            except AssertionError:  # Dask's: the scheduler's first answer came together with another, which is rare
                return Client(address, set_as_default=False, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(f"no Dask scheduler answers at {address} ({error}); start one, or leave it out") from error


def _refuse_unusable(address: str) -> None:
    """Refuse an address that Dask cannot read: a client that failed on one would hold up the process's end."""
    if address.startswith("gateway:"):
        raise WorkerError(
            f"scheduler is {address!r}, and a gateway is reached with keys that only its client has; from Python, give "
            "that client (cluster.get_client()) in place of the address"
        )
    try:
        scheme, _ = parse_address(address)
        get_backend(scheme)
        if scheme != "inproc":
            get_address_host_port(address, strict=True)
    except (ValueError, ImportError) as error:  # an ImportError: of a protocol whose package is missing
        raise WorkerError(
            f"scheduler is {address!r}, which is no address ({error}); give one such as tcp://host:8786"
        ) from error


def _as_security(address: SecureAddress) -> Security:
    try_handshake(address)
    ca, certificate, key = map(str, address.files)
    return Security(require_encryption=True, tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key)
