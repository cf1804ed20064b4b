"""What an executor is, and the one that runs every task in this process. Every executor gives the same results."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from driftmap.pipeline.executors.machine import count_cores, count_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Result = TypeVar("Result")

KEPT_SHARE = 0.4
"""Part of a worker's memory in which tasks may keep something for later ones."""


class Task(NamedTuple):
    """One call: a name to show in errors and on the dashboard, and the arguments."""

    name: str
    arguments: tuple[Any, ...]
    priority: int = 0
    """Of two tasks that wait, the one with the higher number goes first."""
    is_wide: bool = False
    """Whether it may use the threads of all slots of its worker, not of its own alone."""


class LinkedTask(NamedTuple):
    """One call that also takes results of other calls."""

    name: str
    arguments: tuple[Any, ...]
    needs: tuple[int, ...]
    """Numbers of the earlier tasks whose results are the last arguments."""
    place: int
    """Tasks of one place run on one worker, where they can: it may keep something for the next."""


COORDINATOR_SHARE = 0.25
"""Part of the machine's memory that is left to the coordinator, and that a block may take, when nothing is said."""


class WorkerLimit(NamedTuple):
    """What every worker has, at least."""

    n_workers: int
    n_threads: int
    """Tasks that run in one worker at a time."""
    n_bytes: int
    """Memory of one worker."""
    remedy: str
    """How to give workers more."""


class Results(Protocol[Result]):
    """Results of tasks that were started, in any order."""

    def take(self, *, wait: bool) -> list[Result]:
        """Give what has come since the last call; with `wait` at least one result, unless all were given.

        Raises
        ------
        Exception
            What a task raised, once all results that came before it are given.
        """

    def close(self) -> None:
        """Give up what has not come, and let go of everything."""


class Executor(Protocol):
    """What runs tasks."""

    @property
    def n_free_threads(self) -> int:
        """Threads of this machine that tasks leave to the caller while they run, one at least."""

    @property
    def n_slots(self) -> int:
        """Tasks that run at a time, one at least."""

    @property
    def n_workers(self) -> int:
        """Processes that tasks run in, one at least; results are passed on between them."""

    def start(self, function: Callable[..., Result], tasks: Iterable[Task], stage: str) -> Results[Result]:
        """Call `function` for every task; `tasks` is read little ahead of the work.

        Parameters
        ----------
        function
            Called with the arguments of a task.
        tasks
            In the order in which they should be done.
        stage
            What these calls are called on the dashboard.
        """

    @property
    def kept_bytes(self) -> int:
        """Memory in which the tasks of one worker may keep something for later ones."""

    def run_linked(self, function: Callable[..., Any], tasks: Sequence[LinkedTask], stage: str) -> Iterator[Any]:
        """Call `function` for every task, after those that it needs; the first error ends it.

        Parameters
        ----------
        function, stage
            As for `start`.
        tasks
            Each after those that it needs; of two that could run, the earlier goes first.

        Yields
        ------
        As each task is done, its result; None where another task needs that: it stays where the tasks run.
        """

    @property
    def n_compiling(self) -> int | None:
        """Workers of the user's cluster that have to compile kernels first; None where there is no such cluster."""
        return None

    def map_unordered(
        self, function: Callable[..., Result], tasks: Iterable[Task], stage: str = "task"
    ) -> Iterator[Result]:
        """Call `function` for every task, yielding results as they come; the first error ends it."""
        with closing(self.start(function, tasks, stage)) as results:
            while came := results.take(wait=True):
                yield from came


def share_memory(n_workers: int) -> int:
    """Share this machine's memory out: what each of so many worker processes may take."""
    return int((1 - COORDINATOR_SHARE) * count_memory_bytes() / n_workers)


class SerialExecutor(Executor):
    """Run every task in this process, one after the other, when a result is waited for: for tests and debugging."""

    @property
    def n_free_threads(self) -> int:
        """All: tasks run when the caller waits for them."""
        return count_cores()

    @property
    def n_slots(self) -> int:
        """One."""
        return 1

    @property
    def n_workers(self) -> int:
        """One."""
        return 1

    def start(self, function: Callable[..., Result], tasks: Iterable[Task], stage: str) -> Results[Result]:  # noqa: ARG002
        """Call `function` for every task, in order."""
        return _SerialResults(function, tasks)

    @property
    def kept_bytes(self) -> int:
        """A part of the machine's memory."""
        return int(KEPT_SHARE * count_memory_bytes())

    def run_linked(
        self,
        function: Callable[..., Any],
        tasks: Sequence[LinkedTask],
        stage: str,  # noqa: ARG002
    ) -> Iterator[Any]:
        """Call `function` for every task, in order."""
        n_uses = Counter(number for task in tasks for number in task.needs)
        results: dict[int, Any] = {}
        for number, task in enumerate(tasks):
            result = function(*task.arguments, *(results[needed] for needed in task.needs))
            is_last = not n_uses[number]
            if not is_last:
                results[number] = result
            for needed in task.needs:
                n_uses[needed] -= 1
                if not n_uses[needed]:
                    del results[needed]
            yield result if is_last else None


class _SerialResults(Generic[Result]):
    def __init__(self, function: Callable[..., Result], tasks: Iterable[Task]) -> None:
        self._function = function
        self._waiting = iter(tasks)

    def take(self, *, wait: bool) -> list[Result]:
        task = next(self._waiting, None) if wait else None
        return [] if task is None else [self._function(*task.arguments)]

    def close(self) -> None:
        self._waiting = iter(())
