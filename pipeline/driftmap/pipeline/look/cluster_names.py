"""Names of clusters, from the words of their rows' texts in all windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftmap.engine import name_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftmap.engine import Clustered, RowTerms
    from driftmap.engine.types import Int32Array
    from driftmap.pipeline.look.run_codes import Run
    from driftmap.pipeline.store import Store

MAX_WORDS = 20_000
"""Words of a run by which clusters are named, those of most rows."""
MAX_CLUSTERS = 200
N_WORDS = 2
"""Words of a name, at most."""


def find_names(store: Store, run: Run, clusters: Sequence[Clustered]) -> dict[int, str]:
    """Name the largest clusters by the words that tell them from the rest; empty where the store has no words.

    Parameters
    ----------
    store, run
        An opened store, and the ids of its windows.
    clusters
        Of each window's rows.
    """
    return name_by_words([store.read_words(fact.index) for fact in run.facts], [found.of_row for found in clusters])


def name_by_words(terms: Sequence[RowTerms | None], clusters: Sequence[Int32Array]) -> dict[int, str]:
    """Name clusters as `find_names` does.

    Parameters
    ----------
    terms
        Of rows of each window.
    clusters
        Of the same rows; -1 for none.
    """
    words = choose_words(terms)
    if not len(words):
        return {}
    n_rows = np.zeros(max(int(found.max(initial=-1)) for found in clusters) + 2, dtype=np.int64)
    for found in clusters:
        n_rows += np.bincount(found + 1, minlength=len(n_rows))
    largest = np.argsort(-n_rows[1:], kind="stable")[:MAX_CLUSTERS]
    largest = largest[n_rows[1:][largest] > 0]
    group = np.full(len(n_rows), len(largest), dtype=np.int64)  # of all other rows
    group[largest + 1] = np.arange(len(largest))
    counts = np.zeros((len(largest) + 1, len(words)), dtype=np.int64)
    for found, own in zip(clusters, terms, strict=True):
        if own is not None:
            rows, numbers = number_words(own, words)
            np.add.at(counts, (group[found[rows] + 1], numbers), 1)
    totals = np.bincount(group, weights=n_rows, minlength=len(counts)).astype(np.int64)
    names: dict[int, str] = {}
    for cluster, chosen in zip(largest.tolist(), name_groups(counts, totals, words.tolist(), N_WORDS), strict=False):
        name = ", ".join(chosen)
        if name:
            names[cluster] = f"{name} ({cluster})" if name in names.values() else name
    return names


def choose_words(terms: Sequence[RowTerms | None], most: int = MAX_WORDS) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Choose the words of a run that most rows have, at least two, in alphabetical order."""
    there = [own for own in terms if own is not None and len(own.words)]
    if not there:
        return np.zeros(0, dtype="U1")
    words, numbers = np.unique(np.concatenate([own.words for own in there]), return_inverse=True)
    counted = np.concatenate([np.bincount(own.indices, minlength=len(own.words)) for own in there])
    n_rows = np.bincount(numbers, weights=counted, minlength=len(words))
    kept = np.lexsort((np.arange(len(words)), -n_rows))[:most]
    return np.asarray(words[np.sort(kept[n_rows[kept] > 1])])


def number_words(
    terms: RowTerms, words: np.ndarray[tuple[int], np.dtype[np.str_]]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Give row and number among `words` of each word of each row; words that were not chosen are left out."""
    at = np.minimum(np.searchsorted(words, terms.words), len(words) - 1)
    number = np.where(words[at] == terms.words, at, -1) if len(terms.words) else at
    rows = np.repeat(np.arange(len(terms.indptr) - 1), np.diff(terms.indptr))
    numbers = number[terms.indices]
    return rows[numbers >= 0], numbers[numbers >= 0]
