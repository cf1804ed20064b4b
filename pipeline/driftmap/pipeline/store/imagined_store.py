"""A store whose next commits are only imagined: what would come of them is seen before any of them is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftmap.pipeline.store.log.commits import Commit
from driftmap.pipeline.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping


class ImaginedStore(Store):
    """A store as its log has it; what is committed here is applied, and not written.

    Arrays are read where they lie, those of graphs that no commit names yet too.
    """

    def _append(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._state.apply([Commit(self.n_commits, kind, dict(payload))])
