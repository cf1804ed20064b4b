"""Text in pictures: ids and labels as they are, in fonts that have their characters."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from driftmap.pipeline.look.extras import load_extra

_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Emoji",
    "Segoe UI",
    "Segoe UI Symbol",
    "Segoe UI Emoji",
    "Microsoft YaHei",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Apple Symbols",
)
"""Fonts that are tried in turn for each character; those that are not installed are passed over."""

_MISSING = "\N{WHITE SQUARE}"


def shorten(text: str, most: int) -> str:
    """Cut a text to `most` characters, the last of them an ellipsis where something was cut."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


@lru_cache(maxsize=1)
def list_fonts() -> list[str]:
    """Families for matplotlib's `fontfamily`, those that are installed."""
    manager = load_extra("matplotlib.font_manager", "drawing text")
    installed = set(manager.get_font_names())
    return [family for family in _FAMILIES if family in installed]


def clean_text(text: str, most: int = 60) -> str:
    """Make a text that can be drawn: one line, cut to `most` characters, a square where no font has a character.

    matplotlib warns of every character that it cannot draw, and where warnings are errors that ends the picture.
    """
    known = _list_characters()
    plain = " ".join(text.split())
    return "".join(_draw(character, known) for character in shorten(plain, most))


def _draw(character: str, known: frozenset[int]) -> str:
    if ord(character) in known:
        return character
    # Joiners, variation selectors and other characters without a shape are left out, all others leave a mark.
    return "" if unicodedata.category(character) in ("Cf", "Mn", "Cc", "Cs") else _MISSING


@lru_cache(maxsize=1)
def _list_characters() -> frozenset[int]:
    manager = load_extra("matplotlib.font_manager", "drawing text")
    known: set[int] = set()
    for family in list_fonts():
        font: Any = manager.get_font(manager.findfont(family))
        known |= set(font.get_charmap())
    return frozenset(known)
