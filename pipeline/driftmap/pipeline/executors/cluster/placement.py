"""Which workers of a cluster a run uses: those asked for by name, address, host or resource. No Dask here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from driftmap.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from driftmap.pipeline.executors.sight import Sight


class Placement(NamedTuple):
    """What is asked of the workers that tasks run on."""

    names: tuple[str, ...] = ()
    """Names, addresses or hosts; any worker when empty."""
    resources: tuple[tuple[str, float], ...] = ()
    """What a task takes of the abstract resources that a worker was started with."""
    sight: Sight = ()
    """What they must see."""

    @classmethod
    def of(cls, workers_on: object = None, resource: object = None) -> Self:
        """Read what a user gives.

        Parameters
        ----------
        workers_on
            One name or several.
        resource
            A mapping, or texts such as `"GPU=1"`.

        Raises
        ------
        ConfigError
            Naming the option, when it cannot be read.
        """
        return cls(_read_names(workers_on), _read_resources(resource))

    @property
    def is_any(self) -> bool:
        """Whether every worker will do."""
        return not self.names and not self.resources

    def accepts(self, address: str, worker: Mapping[str, Any]) -> bool:
        """Say whether a worker may be used.

        Parameters
        ----------
        address
            The worker's.
        worker
            What the scheduler says of it.
        """
        known = {address, str(worker["name"]), str(worker["host"]), urlsplit(address).netloc}
        has_name = not self.names or not known.isdisjoint(self.names)
        own = worker.get("resources") or {}
        return has_name and all(own.get(name, 0) >= amount for name, amount in self.resources)

    def __str__(self) -> str:
        """Say it as on the command line."""
        asked = [f"workers_on {', '.join(self.names)}"] if self.names else []
        return " and ".join([*asked, *(f"resource {name}={amount:g}" for name, amount in self.resources)])


ANY_WORKER = Placement()


def _read_names(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    names = [given] if isinstance(given, str | int) else list(given) if isinstance(given, Iterable) else [None]
    if not names or not all(isinstance(name, str | int) and str(name).strip() for name in names):
        raise ConfigError(f"workers_on is {given!r}; give names, addresses or hosts of workers")
    return tuple(str(name).strip() for name in names)


def _read_resources(given: object) -> tuple[tuple[str, float], ...]:
    if given is None:
        return ()
    pairs: list[Any]
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        texts = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
        pairs = [str(text).split("=", 1) for text in texts]
    try:
        read = tuple((str(name).strip(), float(amount)) for name, amount in pairs)
    except (TypeError, ValueError):
        read = ()
    if not read or not all(name and 0 < amount < float("inf") for name, amount in read):
        raise ConfigError(f"resource is {given!r}; give NAME=NUMBER with a number above 0, such as GPU=1")
    return read
