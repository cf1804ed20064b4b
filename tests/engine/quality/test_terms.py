"""Words of rows, and the names that groups get of them."""

from __future__ import annotations

import numpy as np

from driftmap.engine import count_terms, name_groups, rate_terms


def words_of(terms, row):
    return terms.words[terms.indices[terms.indptr[row] : terms.indptr[row + 1]]].tolist()


def test_words_of_each_row_come_once_in_small_letters_and_numbers_are_none():
    terms = count_terms(["Typing: fix the TYPING of 2024 x", "", "Größe naïve_name", "a 1 22"])
    assert words_of(terms, 0) == ["fix", "of", "the", "typing"]
    assert words_of(terms, 1) == []
    assert words_of(terms, 2) == ["größe", "naïve_name"]
    assert words_of(terms, 3) == []
    assert terms.words.tolist() == sorted(terms.words.tolist())


def test_texts_without_words_have_no_terms():
    terms = count_terms(["", "1 2"])
    assert len(terms.words) == 0
    assert terms.indptr.tolist() == [0, 0, 0]


def test_of_many_words_those_of_most_rows_are_kept():
    terms = count_terms(["bb aa", "bb cc", "dd bb cc"], max_terms=2)
    assert terms.words.tolist() == ["bb", "cc"]
    assert words_of(terms, 0) == ["bb"]


def test_rating_is_that_of_the_paper():
    counts = np.array([[8, 0, 4], [0, 6, 4]])
    rated = rate_terms(counts)
    mean = (12 + 10) / 2
    expected = [[8 / 12 * np.log(1 + mean / 8), 0, 4 / 12 * np.log(1 + mean / 8)]]
    expected += [[0, 6 / 10 * np.log(1 + mean / 6), 4 / 10 * np.log(1 + mean / 8)]]
    assert np.allclose(rated, expected)


def test_groups_are_named_by_words_that_others_have_not():
    words = ["the", "numba", "typing", "once"]
    counts = np.array([[50, 40, 0, 1], [48, 1, 30, 0], [10, 0, 0, 0]])
    names = name_groups(counts, np.array([50, 50, 10]), words)
    assert names == [["numba"], ["typing"], []]


def test_function_words_name_a_group_only_where_there_are_no_others():
    words = ["and", "store", "that"]
    counts = np.array([[9, 5, 9], [1, 0, 1], [0, 0, 0]])
    assert name_groups(counts, np.array([10, 10, 10]), words)[0] == ["store"]
    assert name_groups(counts[:, [0, 2]], np.array([10, 10, 10]), ["and", "that"])[0] == ["and", "that"]
