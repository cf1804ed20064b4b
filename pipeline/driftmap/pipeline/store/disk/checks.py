"""Whether the files of a group are those that were written: its metadata holds the size and digest of each.

A chunk's own checksum finds a flipped bit when the chunk is read. This finds it in metadata too, without decoding
anything, and tells whether an array that was made again holds the same values as the one that was lost.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from driftmap.pipeline.store.disk.packed import GroupFiles, is_packed, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from driftmap.pipeline.store.disk.location import Location

METADATA = "zarr.json"
_FILES, VALUES, _CHECK = "driftmap_files", "driftmap_values", "driftmap_check"
_GROUP = "driftmap_group"
"""Path of the group below the store: one that was exchanged with another is whole in itself. Older groups have none."""


class Flaw(NamedTuple):
    """What is wrong with one array of a group."""

    array: str
    reason: str


def name_remedy(location: Location) -> str:
    """Say what to do about damage, which depends on what became of the store since its run: `verify` knows."""
    return f"`driftmap verify {shlex.quote(str(location))}` names all that is damaged, and what makes it good"


def drop_remedy(said: str, location: Location) -> str:
    """Give what an error says of damage alone."""
    return said.removesuffix(f"; {name_remedy(location)}")


def digest_bytes(*parts: Any) -> str:
    """Tell bytes apart."""
    return digest_parts(parts)


def digest_parts(parts: Iterable[Any]) -> str:
    """Tell bytes apart that are given part by part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:32]


def describe_file(content: bytes) -> list[Any]:
    """Give size and digest of a file."""
    return [len(content), digest_bytes(content)]


def describe_files(group: str, files: Mapping[str, list[Any]], values: Mapping[str, str]) -> dict[str, Any]:
    """Make the attributes of a group that holds these files, as `describe_file` has them.

    Parameters
    ----------
    group
        Its path below the store.
    files
        By name.
    values
        Digests of its arrays' values.
    """
    facts = {_FILES: dict(files), VALUES: dict(values)}
    return {**facts, _CHECK: _check(facts), _GROUP: group}


def check_group(location: Location, group: str, arrays: Sequence[str]) -> list[Flaw] | None:
    """Find what is wrong with some arrays of a group, at most one flaw for each.

    Returns
    -------
    The flaws; None where the group was written before groups described their files.
    """
    there = GroupFiles(location, group)
    facts, reason = _read_facts(there)
    if facts is None:
        return None if reason is None else [Flaw(array, reason) for array in arrays]
    files: dict[str, list[Any]] = facts[_FILES]
    flaws = []
    for array in arrays:
        names = [name for name in files if name.startswith(f"{array}/")]
        reasons = (_check_file(there, name, *files[name]) for name in names)
        found = next((reason for reason in reasons if reason), "" if names else "it was never written")
        if found:
            flaws.append(Flaw(array, found))
    return flaws


class ArrayDigests(NamedTuple):
    """What an array was when it was written."""

    metadata: str
    values: str


def read_digests(there: GroupFiles) -> dict[str, ArrayDigests] | str | None:
    """Read the digests of a group's arrays.

    Returns
    -------
    By array; the reason where they cannot be read; None where the group was written before groups held digests.
    """
    facts, reason = _read_facts(there)
    if facts is None:
        return reason
    files, values = facts[_FILES], facts[VALUES]
    return {
        array: ArrayDigests(files[f"{array}/{METADATA}"][1], digest)
        for array, digest in values.items()
        if f"{array}/{METADATA}" in files
    }


def read_values_digests(location: Location, group: str) -> dict[str, str]:
    """Read the digests of the values of a group's arrays; empty where they are not known any more."""
    facts, _ = _read_facts(GroupFiles(location, group))
    return {} if facts is None else dict(facts[VALUES])


def _read_facts(there: GroupFiles) -> tuple[dict[str, Any] | None, str | None]:
    """Read what a group says of its files, or the reason why it says nothing."""
    text = there.read(METADATA)
    if text is None:
        reason = there.explain(METADATA)
        return None, reason if is_packed(there.group) else f"{METADATA} of its group is missing"
    try:
        attributes = json.loads(text)["attributes"]
        if not {_FILES, VALUES, _CHECK} & attributes.keys():
            return None, None
        if attributes.get(_GROUP, there.group) != there.group:
            return None, f"{METADATA} of its group is of another group: files were exchanged"
        if attributes[_CHECK] == _check(attributes):
            return attributes, None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None, f"{METADATA} of its group is damaged"


def _check_file(there: GroupFiles, name: str, size: int, digest: str) -> str:
    content = there.read(name)
    if content is None:
        return there.explain(name)
    if len(content) != size:
        return f"its file {shorten(name)} has {len(content):,} bytes of {size:,}"
    return "" if digest_bytes(content) == digest else f"its file {shorten(name)} is damaged"


def _check(facts: Mapping[str, Any]) -> str:
    return digest_bytes(json.dumps([facts[_FILES], facts[VALUES]], sort_keys=True).encode())
