"""What a layout is asked for, and what is said of a block whose maps are written; loads no kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from driftmap.pipeline.store.relation_book import NO_RELATIONS, OutsideRelations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from driftmap.engine.settings import LayoutSettings
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store.log.layouts import ClusterRecord

    LayOut = Callable[[Block, Callable[[int, int], None]], "WrittenBlock"]
    """Lays out a block, and writes its maps; the second argument is called with the epochs done, and all there are."""


class LayoutJob(NamedTuple):
    """Parameters of a layout, besides the store."""

    blocks: Sequence[Block]
    settings: LayoutSettings
    lookahead: int
    random_state: int
    is_exchanged: bool = False
    """Whether the blocks are laid out in parallel, each again and again, not one after the other."""
    outside: OutsideRelations = NO_RELATIONS
    """Relations from outside."""


class WrittenBlock(NamedTuple):
    """A block whose maps are written; they count once the coordinator commits them."""

    attempt: str
    """Name of the groups that hold the maps."""
    strengths: dict[str, float]
    """Of the alignment, by the windows' numbers; windows without related rows have none."""
    clusters: dict[str, ClusterRecord]
    """Of windows that had none, by their numbers."""
    seconds: float
