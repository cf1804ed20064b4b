"""What the steps of a block whose rows are shared out are given, and what they return; loads no kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from driftmap.engine.settings import LayoutSettings
    from driftmap.engine.types import Float32Array
    from driftmap.pipeline.planning.blocks import Block
    from driftmap.pipeline.store.disk.location import Location
    from driftmap.pipeline.store.log.layouts import ClusterRecord


class PartJob(NamedTuple):
    """Parameters of every step of one block."""

    store: Location
    run: str
    """A name of its own for this call: what an earlier one left in a worker's memory is not taken for this one's."""
    block: Block
    settings: LayoutSettings
    random_state: int
    n_parts: int
    kept_bytes: int
    """How much a worker keeps of parts; one that does not fit is made again in every epoch."""


class Placed(NamedTuple):
    """A new window that a worker placed."""

    place: int
    positions: Float32Array
    """(n, c), rows in their own order."""


class Moved(NamedTuple):
    """Where a part of the rows stands after an epoch."""

    part: int
    positions: dict[int, Float32Array]
    """By the windows' places in the block."""


class Found(NamedTuple):
    """Clusters of a block's windows, written by a worker."""

    records: dict[str, ClusterRecord]
    """By the windows' numbers in the run."""


class PartsWritten(NamedTuple):
    """A block whose maps a worker has written."""

    attempt: str
    strengths: dict[str, float]
    clusters: dict[str, ClusterRecord]
