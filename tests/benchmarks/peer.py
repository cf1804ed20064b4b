"""umap-learn's AlignedUMAP on our data sets. Its maps take minutes a set, so they are kept between runs.

They lie in `$XDG_CACHE_HOME/driftmap-benchmarks` (`~/.cache/driftmap-benchmarks`): one file per data set, setting and
versions of the packages it stands on. It holds the maps themselves, so that today's code measures them beside ours.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tests.benchmarks.clock import Timing, clock, describe_machine, find_versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from tests.benchmarks.data_sets import DataSet

NAME = "umap-learn"
SETTINGS: dict[str, Any] = {"random_state": 42, "n_epochs": 200}
SEEDS = (42, 43, 44)
"""Of its aligned layout: `transform_seed`, since `random_state` changes nothing there. The first is its default."""


class PeerMaps(NamedTuple):
    maps: list[npt.NDArray[np.float32]]
    timing: Timing
    measured: dict[str, Any]
    """Machine, versions, load and date of the run."""
    is_kept: bool
    """True for maps of an earlier run."""


def fit(data: DataSet, **settings: Any) -> Any:
    """Return umap-learn's AlignedUMAP fitted to a data set."""
    from umap import AlignedUMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, on n_jobs, typed lists and the spectral start
        return AlignedUMAP(**{**SETTINGS, **settings}).fit(data.windows, relations=data.pairs())


def update(model: Any, data: DataSet, index: int) -> Any:
    """Give window `index` of a data set to a model that holds those before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.update(data.windows[index], relations=data.pairs()[index - 1])
    return model


def find_maps(data: DataSet, *, is_fresh: bool = False, **settings: Any) -> PeerMaps:
    """Return the peer's maps, kept ones unless they are to be made afresh.

    The time is that of `fit` after a short fit in the same process.
    """
    settings = {**SETTINGS, **settings}
    path = _cache_path(data, settings)
    if path.exists() and not is_fresh:
        return _read(path)
    _warm_up()
    timing, model = clock(lambda: fit(data, **settings))
    made = PeerMaps([np.asarray(places) for places in model.embeddings_], timing, describe_machine(), is_kept=False)
    _write(path, made, settings)
    return made


def find_seeds(
    data: DataSet, n_seeds: int, *, is_only_kept: bool = False, is_fresh: bool = False, **settings: Any
) -> list[PeerMaps]:
    """Return the peer's maps of its first seeds; `is_only_kept`: of those among them that are kept already."""
    found = []
    for seed in SEEDS[:n_seeds]:
        # its default is left out of the settings, so that maps kept without it serve here too
        chosen = settings if seed == SEEDS[0] else {**settings, "transform_seed": seed}
        if not is_only_kept or is_kept(data, **chosen):
            found.append(find_maps(data, is_fresh=is_fresh, **chosen))
    return found


def is_kept(data: DataSet, **settings: Any) -> bool:
    """Tell whether the peer's maps with these settings are kept."""
    return _cache_path(data, {**SETTINGS, **settings}).exists()


@functools.cache
def _warm_up() -> None:
    """Let it compile what it compiles, once per process."""
    from tests.benchmarks.data_sets import load

    fit(load("digits").first(3), n_epochs=10)


def _cache_path(data: DataSet, settings: dict[str, Any]) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftmap-benchmarks"
    key = json.dumps([data.digest(), settings, list(find_versions().values())], sort_keys=True)
    return root / f"{data.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"


def _write(path: Path, made: PeerMaps, settings: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"timing": made.timing, "measured": made.measured, "settings": settings}
    offsets = np.cumsum([0, *(len(places) for places in made.maps)])
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, facts=json.dumps(facts), offsets=offsets, places=np.concatenate(made.maps))
    partial.rename(path)


def _read(path: Path) -> PeerMaps:
    with np.load(path) as kept:
        facts = json.loads(str(kept["facts"]))
        maps: Sequence[Any] = np.split(kept["places"], kept["offsets"][1:-1])
    return PeerMaps(list(maps), Timing(*facts["timing"]), facts["measured"], is_kept=True)
