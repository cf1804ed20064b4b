"""Words and numbers of the rows that are drawn of two windows, and names of clusters by these words."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from driftmap.engine import RowTerms, rate_terms
from driftmap.pipeline.executors.machine import release_memory
from driftmap.pipeline.look.cluster_names import choose_words, name_by_words, number_words
from driftmap.pipeline.look.page_codec import StreamWriter
from driftmap.pipeline.store.row_traits import CODING, MISSING, decode_numbers, encode_numbers

if TYPE_CHECKING:
    from driftmap.pipeline.look.live.windows import LiveWindows, Sample

MOST_WORDS = 4_000
"""Words of two windows that the page weighs: half of them those whose share differs most, half those of clusters."""
MOST_WORDS_OF_ROWS = 2_000_000
"""Words of all rows of both windows together."""
MOST_NUMBERS = 2_000_000
"""Numbers of both windows together; of more, those of a share of the ids."""
MOST_GROUPS = 200
"""Clusters that words are to set apart; later ones count as one."""
MOST_HELD = 6
"""Windows whose words and numbers are held."""

Array = npt.NDArray[Any]


class SampleTraits(NamedTuple):
    """Of the rows of a sample, in its order."""

    sample: Sample
    terms: RowTerms | None
    columns: tuple[str, ...]
    codes: Array
    """Numbers of the columns, as `NumberCoder` rounded them, (n, c)."""
    scale: Array
    """Mean and spread of each column, (2, c)."""


class LiveTraits:
    """Answers what the reasons of a pair of windows are computed from.

    Parameters
    ----------
    windows
        Of the store, as they are drawn.
    """

    def __init__(self, windows: LiveWindows) -> None:
        self._windows = windows
        self._held: OrderedDict[tuple[int, str | None], SampleTraits] = OrderedDict()
        self._names: dict[int, str] = {}

    def encode(self, a: int, b: int) -> bytes:
        """Write words and numbers of two windows, which may be one, by the numbers of the words that both share."""
        with self._windows.lock:
            read = [self._read(index) for index in dict.fromkeys((a, b))]
            release_memory()
            self._name_clusters(read)
            names = dict(self._names)
        words = _choose_words(read)
        columns, scale = _join_scales(read)
        step = max(1, -(-sum(len(own.sample.rows) for own in read) * len(columns) // MOST_NUMBERS))
        writer = StreamWriter()
        described = {}
        for own in read:
            lengths, codes = _list_words(own, words)
            numbers = _code_numbers(own, scale, step) if columns else np.zeros((len(lengths), 0), dtype=np.uint8)
            described[str(own.sample.state.index)] = {
                "map": own.sample.state.layout_attempt,
                "rows": writer.add(own.sample.rows),
                "words": [writer.add(lengths), writer.add(codes)],
                "numbers": [writer.add(column.astype(np.int64)) for column in numbers.T],
            }
        header = {
            "words": words.tolist(),
            "columns": list(columns),
            "scale": scale.tolist(),
            "coding": CODING,
            "is_sampled": bool(columns) and step > 1,
            "windows": described,
            "names": {str(cluster): name for cluster, name in names.items()},
        }
        return writer.pack(header)

    def _read(self, index: int) -> SampleTraits:
        sample = self._windows.read(index)
        key = index, sample.state.layout_attempt
        if key not in self._held:
            while len(self._held) >= MOST_HELD:
                self._held.popitem(last=False)
            self._held[key] = _read_traits(self._windows, sample)
        self._held.move_to_end(key)
        return self._held[key]

    def _name_clusters(self, read: list[SampleTraits]) -> None:
        """Name clusters that have no name yet; one that has a name keeps it."""
        named = [own for own in read if own.sample.clusters is not None]
        clusters = [own.sample.clusters for own in named if own.sample.clusters is not None]
        if not named or all(np.isin(np.unique(own[own >= 0]), list(self._names)).all() for own in clusters):
            return
        for cluster, name in name_by_words([own.terms for own in named], clusters).items():
            if cluster not in self._names:
                is_taken = name in self._names.values()
                self._names[cluster] = f"{name} ({cluster})" if is_taken else name


def _read_traits(windows: LiveWindows, sample: Sample) -> SampleTraits:
    reader = windows.open(sample.state.index)
    order = np.argsort(sample.rows)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows = sample.rows[order]
    terms, found = reader.take_words(rows), reader.take_number_codes(rows)
    codes, scale = (np.zeros((len(rows), 0)), np.zeros((2, 0))) if found is None else (found[0][place], found[1])
    return SampleTraits(sample, None if terms is None else _reorder(terms, place), reader.number_columns, codes, scale)


def _reorder(terms: RowTerms, rows: Array) -> RowTerms:
    """Give the words of rows in the order of their numbers."""
    lengths = np.diff(terms.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(indptr[-1]) + np.repeat(terms.indptr[rows] - indptr[:-1], lengths)
    return RowTerms(terms.words, indptr, terms.indices[places])


def _choose_words(read: list[SampleTraits]) -> Array:
    """Choose words of two windows: those whose share differs, and those that tell clusters from each other."""
    words = choose_words([own.terms for own in read])
    if not len(words):
        return words
    shares, counted = [], np.zeros((MOST_GROUPS + 1, len(words)), dtype=np.int64)
    for own in read:
        rows, numbers = (np.zeros(0, np.int64),) * 2 if own.terms is None else number_words(own.terms, words)
        clusters = np.full(len(own.sample.rows), -1) if own.sample.clusters is None else own.sample.clusters
        np.add.at(counted, (np.minimum(clusters[rows] + 1, MOST_GROUPS), numbers), 1)
        shares.append(np.bincount(numbers, minlength=len(words)) / max(1, len(own.sample.rows)))
    mean = np.mean(shares, axis=0)
    apart = np.abs(shares[-1] - shares[0]) / np.sqrt(np.maximum(mean * (1 - mean), 1e-9))
    by_change, by_cluster = (np.argsort(-score, kind="stable") for score in (apart, rate_terms(counted).max(axis=0)))
    ranked = np.column_stack([by_change, by_cluster]).ravel()
    _, first = np.unique(ranked, return_index=True)
    chosen = ranked[np.sort(first)][:MOST_WORDS]
    n_rows = counted.sum(axis=0)[chosen]
    return np.asarray(words[np.sort(chosen[np.cumsum(n_rows) <= MOST_WORDS_OF_ROWS])])


def _list_words(own: SampleTraits, words: Array) -> tuple[Array, Array]:
    """Give how many of the words each row has, and their numbers, row by row."""
    n_rows = len(own.sample.rows)
    if own.terms is None or not len(words):
        return np.zeros(n_rows, dtype=np.int64), np.zeros(0, dtype=np.int64)
    rows, numbers = number_words(own.terms, words)
    return np.bincount(rows, minlength=n_rows), numbers


def _code_numbers(own: SampleTraits, scale: Array, step: int) -> Array:
    """Round the numbers of every `step`th id by a scale; those of others are missing."""
    codes = np.full(own.codes.shape, MISSING, dtype=np.uint8)
    is_taken = own.sample.entities % step == 0
    codes[is_taken] = encode_numbers(decode_numbers(own.codes[is_taken], own.scale), scale)
    return codes


def _join_scales(read: list[SampleTraits]) -> tuple[tuple[str, ...], Array]:
    """Join mean and spread of the columns of windows, where all have the same ones."""
    if any(own.columns != read[0].columns for own in read) or not read[0].columns:
        return (), np.zeros((2, 0))
    means, spreads = (np.stack([own.scale[k] for own in read]) for k in (0, 1))
    mean = means.mean(axis=0)
    return read[0].columns, np.stack([mean, np.sqrt((spreads**2 + (means - mean) ** 2).mean(axis=0))])
