"""Stores in which it is known why a group changed: words of its own in its rows' texts, and columns of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tests.pipeline.look.planted import change_groups
from tests.pipeline.small_stores import SmallWindow, make_store

if TYPE_CHECKING:
    from pathlib import Path

    from driftmap.pipeline.store import Store

_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu")
_GROUP, _N_GROUPS, _N_OWN, _N_COLUMNS = 1, 5, 5, 12


class PlantedReasons(NamedTuple):
    """A store whose group 1 changed in a window, and what its rows have that others have not."""

    store: Store
    words: list[str]
    columns: list[str]
    window: int
    title: str
    """Of the column of titles."""


def plant_reasons(path: Path, seed: int, kind: str = "growth", n_rows: int = 60, n_windows: int = 4) -> PlantedReasons:
    """Make a store of five groups, each with five words that half of its rows have, and five columns out of twelve."""
    rng = np.random.default_rng(seed)
    words = _make_words(rng, 60)
    own = np.array(words[: _N_GROUPS * _N_OWN]).reshape(_N_GROUPS, _N_OWN)
    common = np.array(words[_N_GROUPS * _N_OWN :])
    is_own = np.array([np.isin(np.arange(_N_COLUMNS), rng.permutation(_N_COLUMNS)[:_N_OWN]) for _ in range(_N_GROUPS)])
    shifts = is_own * rng.choice([-1.5, 1.5], (_N_GROUPS, _N_COLUMNS))
    angle, groups = rng.uniform(0, 6.28), np.repeat(np.arange(_N_GROUPS), n_rows)
    centres = np.array([[9 * np.cos(angle + 6.28 * g / 5), 9 * np.sin(angle + 6.28 * g / 5)] for g in range(_N_GROUPS)])
    inner = rng.normal(size=(len(groups), 2)).clip(-2, 2)
    ids = np.array([f"id {i}" for i in range(len(groups))])
    texts = [_make_text(rng, own[group], common) for group in groups]
    numbers = shifts[groups] + rng.normal(size=(len(groups), _N_COLUMNS))
    windows, turn = [], n_windows - 2
    for t in range(n_windows):
        here, names, keep = change_groups(kind, centres[groups] + inner, ids, groups, is_after=t >= turn)
        here += rng.normal(scale=0.02, size=here.shape)
        kept = np.flatnonzero(keep)
        columns = {f"column {c}": numbers[keep, c] for c in range(_N_COLUMNS)}
        shown = {"title": np.array([f"<i>{texts[i]}</i>" for i in kept]), "link": np.array([_link(i) for i in kept])}
        windows.append(SmallWindow(f"w{t}", names[keep], here[keep], shown, [texts[i] for i in kept], columns))
    config = {"source": {"text": "title", "show": ["title", "link"]}}
    store = make_store(path, windows, config=config)
    return PlantedReasons(
        store, own[_GROUP].tolist(), [f"column {c}" for c in np.flatnonzero(is_own[_GROUP])], turn, "title"
    )


def read_card(page, kind: str = "more") -> tuple[list[str], list[str]]:
    """The first five words that are more, or less, and the first five columns, as the card has them."""
    read = [page.locator(f"#reasons [data-kind={one}]") for one in (kind, "columns")]
    words, columns = (one.first.locator(".name").all_inner_texts() if one.count() else [] for one in read)
    return words[:5], columns[:5]


def count_right(card: tuple[list[str], list[str]], planted: PlantedReasons) -> tuple[int, int]:
    """How many of both are planted."""
    return len({*card[0]} & {*planted.words}), len({*card[1]} & {*planted.columns})


def _make_words(rng: np.random.Generator, n_words: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < n_words:
        found["".join(rng.choice(_SYLLABLES, 3).tolist())] = None
    return list(found)


def _make_text(rng: np.random.Generator, own: np.ndarray, common: np.ndarray) -> str:
    return " ".join([*own[rng.random(len(own)) < 0.5].tolist(), *rng.choice(common, 4).tolist()])


def _link(number: int) -> str:
    """Of every three, one is a page, one a picture, and one nothing that may be opened."""
    kinds = ("https://example.org/{}", "https://example.org/{}.png", "javascript:alert({})")
    return kinds[number % 3].format(number)
