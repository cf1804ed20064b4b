"""Texts of the repository as pages: sections taken over, links made to fit where the page lies."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

HOME = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/driftmap/driftmap/blob/main/"

_LINK = re.compile(r"(!?\[(?:[^][]|\[[^]]*\])*\])\(([^)\s]+)\)")
_INCLUDE = re.compile(r"^<!-- include (\S+?)#(.+?) -->$", re.MULTILINE)
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


class BrokenLinkError(ValueError):
    """A link, or an include, that leads nowhere."""


def read_page(path: str, pages: dict[str, str]) -> str:
    """Read a text with all that it includes.

    Parameters
    ----------
    path
        The file, from the repository's folder.
    pages
        Files that are pages of the site, and where they lie there.
    """
    text = fit_links((HOME / path).read_text(encoding="utf-8"), path, pages[path], pages)
    return include_sections(text, pages[path], pages)


def include_sections(text: str, page: str, pages: dict[str, str]) -> str:
    """Put in what `<!-- include FILE#HEADING -->` names, as it holds on the page."""

    def include(found: re.Match[str]) -> str:
        source, heading = found[1], found[2]
        return fit_links(
            take_section((HOME / source).read_text(encoding="utf-8"), heading, source), source, page, pages
        )

    return _INCLUDE.sub(include, text)


def take_section(text: str, heading: str, source: str) -> str:
    """Take what stands under a heading, without the heading, up to the next one of its level."""
    lines, taken, level = text.splitlines(), [], 0
    in_code = False
    for line in lines:
        in_code ^= line.startswith("```")
        depth = 0 if in_code else len(line) - len(line.lstrip("#"))
        if level and 0 < depth <= level:
            break
        if level:
            taken.append(line)
        elif depth and line.lstrip("# ").strip() == heading:
            level = depth
    if not level:
        raise BrokenLinkError(f"{source} has no heading {heading!r}, which a page includes")
    return "\n".join(taken).strip()


def fit_links(text: str, source: str, page: str, pages: dict[str, str]) -> str:
    """Turn links that hold in the repository into ones that hold on the site; what is no page is linked there."""

    def fit(found: re.Match[str]) -> str:
        label, target = found[1], found[2]
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        name, _, anchor = target.partition("#")
        file = PurePosixPath(os.path.normpath(PurePosixPath(source).parent / name))
        if not (HOME / file).exists():
            raise BrokenLinkError(f"{source} links to {target}, which is not there")
        if str(file) not in pages:
            if label.startswith("!"):
                raise BrokenLinkError(f"{source} shows {target}, which the site does not have")
            return f"{label}({REPOSITORY}{file}{'#' + anchor if anchor else ''})"
        where = os.path.relpath(pages[str(file)], PurePosixPath(page).parent)
        return f"{label}({where}{'#' + anchor if anchor else ''})"

    # Odd pieces are code, in which nothing is a link.
    return "".join(piece if index % 2 else _LINK.sub(fit, piece) for index, piece in enumerate(_CODE.split(text)))
