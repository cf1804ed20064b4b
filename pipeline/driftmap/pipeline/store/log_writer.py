"""The log of a store, moved on commit by commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftmap.pipeline.errors import StoreError
from driftmap.pipeline.store.log import checkpoints
from driftmap.pipeline.store.log.commits import CommitConflictError
from driftmap.pipeline.store.log.state import BEGUN_AGAIN, CONFIG, PLANNED, make_first_commit
from driftmap.pipeline.store.log_view import LogView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from driftmap.pipeline.store.log.layouts import GraphReceipt, LayoutCommit


class LogWriter(LogView):
    """What may be committed to a store."""

    def commit_graph(self, receipt: GraphReceipt) -> bool:
        """Make a worker's graph true; returns False where another run committed that window first."""

        def is_done() -> bool:
            return self._state.windows[receipt["index"]].graph_attempt is not None

        return self._commit("graph", {"receipt": receipt}, is_done)

    def commit_graphs(self, receipts: Sequence[GraphReceipt]) -> None:
        """Make graphs of some windows true, in one commit where the store's format knows such; as `commit_graph`."""
        if len(receipts) == 1 or not self.may_pack:
            for receipt in receipts:
                self.commit_graph(receipt)
            return
        self._refuse_read_only()
        while left := [one for one in receipts if self._state.windows[one["index"]].graph_attempt is None]:
            try:
                self._append("graphs", {"receipts": left})
            except CommitConflictError as conflict:
                self._look_again(conflict)

    def commit_layout(self, layout: LayoutCommit) -> bool:
        """Make a block's maps true; returns False where another run committed that block first."""
        return self._commit("layout", layout, lambda: self.n_blocks_done > layout["block"])

    def begin_again(
        self, config: Mapping[str, Any], windows: Sequence[Mapping[str, Any]], fingerprint: Mapping[str, Any]
    ) -> None:
        """Have a store that holds nothing yet be that of another run; the caller holds the lock.

        Parameters
        ----------
        config, windows, fingerprint
            As for `Store.create`.

        Raises
        ------
        StoreError
            When it holds a graph or a map.
        """
        if not self.holds_nothing:
            raise StoreError(f"the store {self.path} holds graphs or maps; name another store")
        self._append(BEGUN_AGAIN, make_first_commit(config, windows, fingerprint))

    def commit_config(self, config: Mapping[str, Any]) -> None:
        """Change the settings of the run; the caller holds the lock, and nothing depends on the former ones."""
        self._append(CONFIG, {"config": config})

    def commit_plan(self, config: Mapping[str, Any], windows: Mapping[int, Mapping[str, Any]]) -> None:
        """Change which rows some windows have, by their numbers, before their graphs are built; as `commit_config`."""
        self._append(PLANNED, {"config": config, "windows": {str(index): facts for index, facts in windows.items()}})

    def commit_growth(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Write a commit of ingestion, one of `GROWTH_KINDS`.

        Raises
        ------
        CommitConflictError
            When another process wrote to the store meanwhile, so that what is committed may no longer fit.
        """
        self._append(kind, payload)

    def commit_repair(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Write a commit that mends the store, one of `REPAIR_KINDS`; the caller holds its lock."""
        self._append(kind, payload)

    def _commit(self, kind: str, payload: Mapping[str, Any], is_done: Callable[[], bool]) -> bool:
        self._refuse_read_only()
        while not is_done():
            try:
                self._append(kind, payload)
            except CommitConflictError as conflict:
                self._look_again(conflict)
            else:
                return True
        return False

    def _look_again(self, conflict: CommitConflictError) -> None:
        """Read what another process committed; the conflict stands where nothing can be read in its place."""
        if not self.refresh() and self._log.torn is None:
            raise conflict

    def _append(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._refuse_read_only()
        if self.lock is not None:
            self.lock.refuse_if_lost(look=False)
        try:
            commit = self._log.append(kind, payload)
        except CommitConflictError:
            if self.lock is not None:
                self.lock.refuse_if_lost()
            raise
        self._state.apply([commit])
        if self.lock is not None:
            self.lock.note_log_end(self._log.n_read)
        if self._state.n_commits >= self._checkpoint_due:
            checkpoints.save_state(self.location, self._state, self._log.link)
            self._checkpoint_due = checkpoints.next_checkpoint(self._state.n_commits)
        if self.on_commit is not None:
            self.on_commit(commit)

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise StoreError(f"the store {self.path} was opened for reading only; open it with read_only=False")
