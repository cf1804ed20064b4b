"""Words of texts: which rows have them, and which tell one group of rows from the others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from driftmap.engine.types import Int32Array, Int64Array

    Float64Array = npt.NDArray[np.float64]

MAX_TERMS = 20_000
"""Different words that are kept of a window's texts, those of most rows."""
MAX_LENGTH = 40
"""Characters of the longest word."""
MIN_LIFT = 1.5
"""A word names a group when the share of rows that have it is so many times that among the other rows."""
MIN_NAMING_ROWS = 2

_WORD = r"(?u)\b(?!\d+\b)\w\w{1,%d}\b" % (MAX_LENGTH - 1)  # noqa: UP031 - braces of its own


class RowTerms(NamedTuple):
    """Which words each row has, once each."""

    words: npt.NDArray[np.str_]
    """(v,), in alphabetical order."""
    indptr: Int64Array
    """(n + 1,)"""
    indices: Int32Array
    """(nnz,) numbers of words, ascending in each row."""


def count_terms(texts: Iterable[str], max_terms: int = MAX_TERMS) -> RowTerms:
    """Find the words of texts: of two letters or more, in small letters; numbers are none.

    Parameters
    ----------
    texts
        Of the rows, (n,).
    max_terms
        Of more different words, those of most rows are kept; of equally many, the first in the alphabet.

    Returns
    -------
    RowTerms
        The words of each row.
    """
    from sklearn.feature_extraction.text import CountVectorizer  # late: 1 s

    counter = CountVectorizer(binary=True, token_pattern=_WORD, dtype=np.int32)
    rows = itertools.count()
    try:  # one by one: texts are held nowhere together
        counts = counter.fit_transform(text for text, _ in zip(texts, rows, strict=False)).tocsr()
    except ValueError as error:  # texts without words are refused
        if "empty vocabulary" not in str(error):
            raise
        return RowTerms(np.zeros(0, dtype="U1"), np.zeros(next(rows) + 1, np.int64), np.zeros(0, np.int32))
    words = counter.get_feature_names_out().astype(np.str_)
    if len(words) > max_terms:
        n_rows = np.bincount(counts.indices, minlength=len(words))
        kept = np.sort(np.lexsort((np.arange(len(words)), -n_rows))[:max_terms])
        counts, words = counts[:, kept], words[kept]
    counts.sort_indices()
    return RowTerms(words, counts.indptr.astype(np.int64), counts.indices.astype(np.int32))


def rate_terms(counts: npt.NDArray[np.int64]) -> Float64Array:
    """Rate how well words tell groups from each other, by class-based TF-IDF.

    Parameters
    ----------
    counts
        Rows of each group that have each word, (g, v).

    Returns
    -------
    float64 (g, v)
        Share of the word among the group's words times log(1 + A / f), where f is how often it comes in all groups, and
        A the mean number of words of a group (Grootendorst, arXiv 2203.05794).
    """
    totals = counts.sum(axis=1)
    share = counts / np.maximum(totals, 1)[:, None]
    return np.asarray(share * np.log1p(totals.mean() / np.maximum(counts.sum(axis=0), 1)), dtype=np.float64)


def name_groups(
    counts: npt.NDArray[np.int64], n_rows: npt.NDArray[np.int64], words: Sequence[str], n_words: int = 3
) -> list[list[str]]:
    """Name groups of rows by the words that tell them from the others, the best first.

    Parameters
    ----------
    counts
        Rows of each group that have each word, (g, v).
    n_rows
        Of each group, (g,).
    words
        (v,)
    n_words
        Of a name, at most.

    Returns
    -------
    list of list
        Words of each group; none where no word tells it from the others. English function words, by scikit-learn's
        list, are in a name only where there is no other word.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # late: 1 s

    rated, total, rows = rate_terms(counts), counts.sum(axis=0), n_rows.sum()
    is_function = np.isin(np.asarray(words, dtype=np.str_), list(ENGLISH_STOP_WORDS))
    names = []
    for group in range(len(counts)):
        inside = counts[group] / max(1, n_rows[group])
        outside = (total - counts[group]) / max(1, rows - n_rows[group])
        telling = np.flatnonzero((counts[group] >= MIN_NAMING_ROWS) & (inside >= MIN_LIFT * outside))
        telling = telling[~is_function[telling]] if (~is_function[telling]).any() else telling
        best = telling[np.lexsort((telling, -rated[group, telling]))][:n_words]
        names.append([words[word] for word in best.tolist()])
    return names
