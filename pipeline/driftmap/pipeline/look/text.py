"""Text in pictures: ids and labels as they are, in fonts that have their characters."""

from __future__ import annotations

import logging
import unicodedata
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from driftmap.pipeline.look.extras import load_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_BOXES = "Last Resort"
"""Fonts that have a box for every character, one of which matplotlib ships."""
_MISSING = "\N{WHITE SQUARE}"
_OTHER_WEIGHT = "findfont: Failed to find font weight"
"""How matplotlib logs that a family has not the weight that was asked for, and another is drawn: nothing is lost."""


def shorten(text: str, most: int) -> str:
    """Cut a text to `most` characters, the last of them an ellipsis where something was cut."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def list_fonts(text: str) -> list[str]:
    """Families for matplotlib's `fontfamily`: the usual ones that are installed, and what else the text needs."""
    others = (_find_family(character) for character in text if ord(character) not in _list_usual_characters())
    return [*_list_usual(), *dict.fromkeys(family for family in others if family)]


def clean_text(text: str, most: int = 60) -> str:
    """Make a text that can be drawn: one line, cut to `most` characters, a square where no font has a character.

    matplotlib warns of every character that it cannot draw, and where warnings are errors that ends the picture.
    """
    plain = " ".join(text.split())
    return "".join(_draw(character) for character in shorten(plain, most))


@contextmanager
def accept_any_weight() -> Iterator[None]:
    """Have matplotlib take a family in the weight that there is, without a line on the terminal."""
    logger = logging.getLogger("matplotlib.font_manager")
    logger.addFilter(_is_not_of_weight)
    try:
        yield
    finally:
        logger.removeFilter(_is_not_of_weight)


def _is_not_of_weight(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_OTHER_WEIGHT)


def _draw(character: str) -> str:
    if ord(character) in _list_usual_characters() or _find_family(character):
        return character
    # Joiners, variation selectors and other characters without a shape are left out, all others leave a mark.
    return "" if unicodedata.category(character) in ("Cf", "Mn", "Cc", "Cs") else _MISSING


@lru_cache(maxsize=1)
def _list_usual() -> list[str]:
    installed = set(_load_manager().get_font_names())
    return [family for family in _FAMILIES if family in installed]


@lru_cache(maxsize=1)
def _list_usual_characters() -> frozenset[int]:
    return frozenset().union(*map(_list_characters, _list_usual()))


@lru_cache(maxsize=4096)
def _find_family(character: str) -> str | None:
    """Name the first other family on this machine that has a character."""
    if unicodedata.category(character)[0] == "C":  # without a shape, or a shape of its font's own choice
        return None
    installed = {name for name in _load_manager().get_font_names() if not name.startswith(_BOXES)}
    others = sorted(installed - set(_list_usual()))
    return next((family for family in others if ord(character) in _list_characters(family)), None)


@cache
def _list_characters(family: str) -> frozenset[int]:
    manager = _load_manager()
    try:
        with accept_any_weight():
            font: Any = manager.get_font(manager.findfont(manager.FontProperties(family=[family])))
    except (OSError, RuntimeError):  # a file that FreeType does not understand
        return frozenset()
    # A font of pictures in one size, such as some with coloured emoji, cannot be drawn at another.
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


def _load_manager() -> Any:
    return load_extra("matplotlib.font_manager", "drawing text")
