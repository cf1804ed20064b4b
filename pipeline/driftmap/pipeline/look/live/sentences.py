"""What changed in a large store, in sentences: as on a whole page, measured on the rows that are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from driftmap.engine import Clustered, Passage
from driftmap.pipeline.look.answers import find_answers
from driftmap.pipeline.look.changes import measure_changes
from driftmap.pipeline.look.clusters import FoundClusters
from driftmap.pipeline.look.live.frame import STEPS
from driftmap.pipeline.look.run_codes import Column, Run, list_laid_out

if TYPE_CHECKING:
    import numpy.typing as npt

    from driftmap.pipeline.look.answers import Answers
    from driftmap.pipeline.look.live.windows import LiveWindows, Sample
    from driftmap.pipeline.look.sentences import Answer
    from driftmap.pipeline.store import Store
    from driftmap.pipeline.store.log.windows import WindowState
    from driftmap.pipeline.store.relation_book import OutsideRelations

ANSWERED = ("compared", "all", "highlights", "newest", "noise_floors", "events", "described")
MAX_COMPARED = 24
"""Windows that are compared, the newest: each is read for it."""


def describe_changes(store: Store, windows: LiveWindows) -> dict[str, Any]:
    """Describe what changed between the newest windows, each read for it where it was not yet.

    Relations from outside are not read: where a store has any, nothing is said.

    Returns
    -------
    dict
        `compared`: numbers of the windows; `all`: the sentences; `highlights`: numbers of some of them; `newest`: the
        windows that the first of them are about; `noise_floors` and `events` of the windows, these of labels;
        `described`: the columns that they are of.
    """
    facts = list_laid_out(store)[-MAX_COMPARED:]
    if len(facts) < 2 or store.read_relations().books:
        return {name: [] for name in ANSWERED}
    samples = [windows.read(fact.index) for fact in facts]
    sampled = cast("Store", _SampledStore(store, samples))
    run, spread, clusters = _make_run(windows, samples)
    answers = find_answers(sampled, run, spread, clusters)
    run = run._replace(columns=_list_columns(windows, samples))
    listed = [one for found in answers.pairs.values() for one in found]
    numbered = {id(one): at for at, one in enumerate(listed)}
    indices = [fact.index for fact in facts]
    return {
        "compared": indices,
        "all": [_describe(one, windows, answers, indices) for one in listed],
        "highlights": [numbered[id(one)] for one in answers.highlights],
        "newest": [indices[t] for t in answers.newest],
        "noise_floors": answers.noise_floors,
        "described": [column.describe() for column in windows.columns],
        "events": [change.events for change in measure_changes(sampled, run, spread)],
    }


class _SampledStore:
    """As much of a store as sentences ask of it, of the rows of samples, with positions in steps."""

    def __init__(self, store: Store, samples: list[Sample]) -> None:
        self._store, self._samples = store, {sample.state.index: sample for sample in samples}

    def positions(self, index: int) -> npt.NDArray[np.float32]:
        return self._samples[index].places.astype(np.float32)

    def read_turnover_codes(self, state: WindowState) -> npt.NDArray[np.uint8] | None:
        turnover = self._samples[state.index].turnover
        return None if turnover is None else turnover.astype(np.uint8)

    def read_relations(self) -> OutsideRelations:
        return self._store.read_relations()


def _make_run(windows: LiveWindows, samples: list[Sample]) -> tuple[Run, float, FoundClusters]:
    """Give ids and labels of samples as those of a run without graphs; the spread in steps; and the clusters."""
    names = [""] * windows.n_entities
    for sample in samples:
        for entity, name in zip(sample.entities.tolist(), sample.names, strict=True):
            names[entity] = name
    columns = _list_columns(windows, samples)[: len(windows.label_columns)]
    facts = [replace(sample.state, pruned="graph") for sample in samples]
    run = Run(facts, names, [sample.entities.astype(np.int32) for sample in samples], columns)
    spread = windows.frame.spread / windows.frame.half * STEPS
    return run, spread, FoundClusters([_read_clusters(sample) for sample in samples], {})


def _list_columns(windows: LiveWindows, samples: list[Sample]) -> list[Column]:
    """Give the label columns of samples, and their clusters."""
    return [
        Column(c.name, c.kind, [sample.codes[k].astype(np.int32) for sample in samples], c.values)
        for k, c in enumerate(windows.columns)
    ]


def _read_clusters(sample: Sample) -> Clustered:
    record = sample.state.clusters
    if record is None or sample.clusters is None:
        return Clustered(np.full(len(sample.rows), -1, dtype=np.int32), 0, [])
    return Clustered(sample.clusters, record["n_known"], [Passage(*passage) for passage in record["passages"]])


def _describe(one: Answer, windows: LiveWindows, answers: Answers, indices: list[int]) -> dict[str, Any]:
    """Describe a sentence, with the column, the code and the window of the rows that it is about."""
    c = code = t = None
    if one.lit is not None:
        t = indices[one.lit.window]
        if one.lit.is_cluster:
            c, code = len(windows.label_columns), windows.find_cluster(answers.clusters.name(one.lit.group))
        else:
            groups = [k for k, column in enumerate(windows.columns) if column.kind == "category"]
            c, code = groups[0], one.lit.group
    return {
        "a": indices[one.since],
        "b": indices[one.window],
        "kind": one.kind,
        "text": one.text,
        "c": None if code is None else c,
        "code": code,
        "t": t,
        "entities": one.entities.tolist(),
    }
