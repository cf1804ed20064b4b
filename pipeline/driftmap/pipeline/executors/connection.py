"""One connection to a cluster for all that a run asks of it. No Dask here: who asks nothing loads none."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from distributed import Client


class Connection:
    """A client that is connected when it is first asked for, and again where it was lost.

    Parameters
    ----------
    scheduler
        An address, with its certificates where it has some.
    stack
        Closes it.
    """

    def __init__(self, scheduler: object, stack: ExitStack) -> None:
        self.scheduler = scheduler
        self._stack = stack
        self._client: Any = None

    def connect(self, opener: Callable[[], AbstractContextManager[Client]]) -> Client:
        """Give the client, opened where there is none that is running."""
        if self._client is None or self._client.status != "running":
            self._client = self._stack.enter_context(opener())
        client: Client = self._client
        return client


_kept: ContextVar[Connection | None] = ContextVar("driftmap-connection", default=None)


def find_kept(scheduler: object) -> Connection | None:
    """Find the connection that is kept for a scheduler; None where none is."""
    kept = _kept.get()
    return kept if kept is not None and kept.scheduler == scheduler else None


@contextmanager
def keep_connection(scheduler: object) -> Iterator[None]:
    """Have one client of a scheduler for all who ask for it meanwhile."""
    with ExitStack() as stack:
        token = _kept.set(Connection(scheduler, stack))
        try:
            yield
        finally:
            _kept.reset(token)
