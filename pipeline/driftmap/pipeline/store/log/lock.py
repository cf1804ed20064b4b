"""One writer at a time: who holds a store, and when a holder is dead.

The lock is a row of numbered files, `lock/00000007.json`, created once like commits; the highest number holds the
store, until its file says that it was released. So of two processes that find a holder dead at once, one gets the next
number and the other looks again. The holder writes its file again every few seconds, as a heartbeat.

On the holder's own machine a process that is gone is dead at once. Elsewhere, clocks are not trusted to call it dead:
one whose last sign is old, or ahead of the clock, is watched for a while: alive when a new one comes, else dead. That
while is measured by a clock that nobody sets. A process that was only stopped, and wakes after another took over, finds
out at its next commit: either nobody else committed since it last looked, or the commit fails, and it then sees the
higher number (`StoreLock.refuse_if_lost`).

The file is also a witness of the log: it says how many commits there were, so that the newest ones, which no later
commit can miss, are missed too (`read_log_end`). A file without that, or a damaged one, says nothing.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shlex
import socket
import sys
import threading
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from driftmap.pipeline.errors import StoreBusyError, StoreError, StoreWarning, hide_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from driftmap.pipeline.store.disk.location import Location

FOLDER = "lock"

BEAT_SECONDS = 10.0
"""Time between two heartbeat."""

LEASE_SECONDS = 60.0
"""A last sign younger than this, by the clocks, is believed: kernels may keep a process from giving one that long."""

WATCH_SECONDS = 25.0
"""How long a holder whose sign is older is watched before it counts as dead."""

_LARGEST_NUMBER = 2.0**40
"""No process number, and no time in seconds, is larger."""
_POLL_SECONDS = 0.5
_SILENT_SECONDS = 2.0
"""How long another's end is waited for without a word."""
_LOG_END, _LOG_CHECK = "commits", "commits_check"
_START_TOLERANCE = 5.0
"""Of a process's start as psutil gives it, which moves with the clock of the machine: only where there are no ticks."""
_TICKS = "process_ticks"
"""Start of a process in ticks since the machine's, which no clock changes; only Linux gives them."""


class StoreLock:
    """A store that is held; made by `hold_lock`."""

    def __init__(self, location: Location, number: int, facts: dict[str, Any]) -> None:
        self._location = location
        self._number = number
        self._facts = facts
        self._is_over = threading.Event()
        self._is_lost = False
        self._n_beats = 0
        self._thread = threading.Thread(target=self._beat, name="driftmap-lock", daemon=True)
        self._thread.start()

    @property
    def sign(self) -> tuple[str, str]:
        """The file that shows that this process holds the store, and the token in it."""
        return _name_file(self._number), str(self._facts["token"])

    def refuse_if_lost(self, *, look: bool = True) -> None:
        """Refuse to go on when another process took the store over.

        Parameters
        ----------
        look
            Look at the store; else say what the last heartbeat found.

        Raises
        ------
        StoreError
            When it did: it held this process for dead, which was stopped for a while, or cut off. Or when the folder of
            the store was moved or deleted.
        """
        is_gone = self._location.is_local and self._is_gone()  # in a bucket, one more request for each commit
        if self._is_lost or ((look or is_gone) and self._look()):
            raise StoreError(
                f"another process took over the store {self._location}, since this one gave no heartbeat for "
                f"{LEASE_SECONDS:.0f} s; nothing is harmed: let the other one go on"
            )
        if is_gone:
            raise self._location.explain_gone()

    def note_log_end(self, n_commits: int) -> None:
        """Keep the length of the log, for the next heartbeat and the release."""
        self._facts |= describe_log_end(n_commits)

    def release(self) -> None:
        """Give the store back."""
        self._is_over.set()
        self._thread.join(BEAT_SECONDS)
        with suppress(StoreError):  # then it is found dead
            if not (self._is_lost or self._is_gone()):
                self._location.replace(_name_file(self._number), _to_json({**self._facts, "released": True}))

    def _look(self) -> bool:
        # Whoever took over may be gone again, and its number with it; a higher one then stays.
        self._is_lost = self._is_lost or max(_list_numbers(self._location), default=0) > self._number
        return self._is_lost

    def _is_gone(self) -> bool:
        """Whether this process's file is gone, or another's: the store was moved or deleted; nothing may go there."""
        text = self._location.read(_name_file(self._number))
        return text is None or str(self._facts["token"]).encode() not in text

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS):
            with suppress(StoreError):  # a network that is away for a moment; the next sign may come through
                if self._look() or self._is_gone():
                    return
                self._n_beats += 1  # a clock that was set back may give the same time twice
                facts = {**self._facts, "at": time.time(), "beat": self._n_beats}
                self._location.replace(_name_file(self._number), _to_json(facts))


@contextmanager
def hold_lock(location: Location, *, command: str | None = None, wait_seconds: float = 0.0) -> Iterator[StoreLock]:
    """Hold a store, so that no other process writes to it; readers need no lock.

    Parameters
    ----------
    location
        Where the store lies; prepared by `prepare_location` where there is none yet.
    command
        What holds it, as shown to others; the command line of this process when left out.
    wait_seconds
        How long to wait for another holder to be done.

    Raises
    ------
    StoreBusyError
        When another process holds it and lives.
    StoreError
        When the store cannot be written.
    """
    lock = _take(location, command, wait_seconds)
    try:
        yield lock
    finally:
        lock.release()


def read_holder(location: Location) -> dict[str, Any] | None:
    """Read who holds a store, or held it last; None where nobody did, or it gave the store back."""
    found = _find_newest(location)
    if found is None or found[1].get("released"):
        return None
    return found[1]


def describe_holder(location: Location) -> str | None:
    """Say who holds a store, and what to do; None where nobody does, or the holder is known to be dead."""
    found = _find_newest(location)
    if found is None or _judge(found[1], time.monotonic()) == "dead":
        return None
    return _describe(found[1])


def has_lock(location: Location) -> bool:
    """Whether a store was ever held here."""
    return bool(_list_numbers(location))


def read_log_end(location: Location) -> int:
    """Read the least number of commits that the log had when its last holder wrote; 0 where that is not known."""
    found = _find_newest(location)
    return 0 if found is None else _read_log_end(found[1])


def describe_log_end(n_commits: int) -> dict[str, Any]:
    """Make the fields of a lock file that say how long the log is, with a checksum."""
    return {_LOG_END: n_commits, _LOG_CHECK: _check_log_end(n_commits)}


def _read_log_end(holder: dict[str, Any]) -> int:
    n_commits = holder.get(_LOG_END)
    is_whole = type(n_commits) is int and holder.get(_LOG_CHECK) == _check_log_end(n_commits)
    return n_commits if is_whole and n_commits is not None else 0


def _check_log_end(n_commits: int) -> str:
    return hashlib.sha256(f"{_LOG_END} {n_commits}".encode()).hexdigest()[:16]


def _take(location: Location, command: str | None, wait_seconds: float) -> StoreLock:
    started = time.monotonic()
    watched: dict[Any, float] = {}
    has_warned = False
    while True:
        found = _find_newest(location)
        since = watched.setdefault(str(found), time.monotonic())
        has_beaten = found is not None and sum(key.startswith(f"({found[0]},") for key in watched) > 1
        verdict = "dead" if found is None else _judge(found[1], since, has_beaten=has_beaten)
        if verdict == "dead":
            number = 0 if found is None else found[0] + 1
            facts = _describe_self(command) | describe_log_end(0 if found is None else _read_log_end(found[1]))
            unsynced: list[str] = []  # until it stands that it is the newest: else its holder may remove it meanwhile
            if location.create_all([(_name_file(number), _to_json(facts))], unsynced=unsynced):
                if max(_list_numbers(location), default=-1) == number:
                    location.sync(unsynced)
                    location.delete([_name_file(n) for n in _list_numbers(location) if n < number])
                    return StoreLock(location, number, facts)
                # A list that was read while another took over may have missed both the old number and the new one.
                location.delete([_name_file(number)])
            continue
        if verdict == "alive" and time.monotonic() >= started + wait_seconds:
            raise StoreBusyError(f"the store {location} is in use by {_describe(found[1] if found else {})}")
        is_long = verdict == "unsure" or time.monotonic() >= started + _SILENT_SECONDS
        if is_long and found is not None and not has_warned:
            has_warned = True
            is_alive = verdict == "alive"
            said = _explain_wait(location, found[1], wait_seconds) if is_alive else _explain_watch(location, found[1])
            warnings.warn(said, StoreWarning, stacklevel=5)
        time.sleep(_POLL_SECONDS)


def _judge(
    holder: dict[str, Any], watched_since: float, *, has_beaten: bool = False
) -> Literal["alive", "dead", "unsure"]:
    if holder.get("released"):
        return "dead"
    if _is_this_machine(holder) and not _is_running(holder):
        return "dead"
    if abs(time.time() - float(holder.get("at", 0))) < LEASE_SECONDS:
        return "alive"
    # An unchanged file is looked at from the moment it was first seen.
    if time.monotonic() - watched_since > WATCH_SECONDS:
        return "dead"
    return "alive" if has_beaten else "unsure"


def _describe_self(command: str | None) -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    import psutil  # late: who only reads needs none of it

    return {
        **_machine(),
        "pid": os.getpid(),
        "process_start": psutil.Process().create_time(),
        **({} if (ticks := _read_ticks(os.getpid())) is None else {_TICKS: ticks}),
        "user": user,
        "command": command or _name_command()[:300],
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "at": time.time(),
        "token": uuid.uuid4().hex,
        "released": False,
    }


def _name_command() -> str:
    return " ".join(shlex.quote(hide_credentials(word)) for word in [Path(sys.argv[0]).name, *sys.argv[1:]])


def _describe(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process; wait for it to end"
    age = max(0, time.time() - holder["at"])
    return f"{_name_holder(holder)}, last seen {age:.0f} s ago; wait for it to end, or stop it"


def _explain_wait(location: Location, holder: dict[str, Any], wait_seconds: float) -> str:
    """Say what is waited for, as asked for, and for how long."""
    return f"the store {location} is in use by {_name_holder(holder)}: waiting up to {wait_seconds:g} s for it to end"


def _explain_watch(location: Location, holder: dict[str, Any]) -> str:
    """Say what is waited for, and for how long: a holder whose last sign is old, or ahead of the clock."""
    age = time.time() - holder["at"]
    last = f"its last heartbeat is {age:.0f} s old" if age >= 0 else f"its clock is {-age:.0f} s ahead"
    return (
        f"the store {location} is held by {_name_holder(holder)}, and {last}: watching it for {WATCH_SECONDS:.0f} s to "
        "see whether it is still there; without a heartbeat it counts as ended"
    )


def _name_holder(holder: dict[str, Any]) -> str:
    return (
        f"`{holder['command']}`: process {holder['pid']} of {holder['user']} on {holder['host']}, since "
        f"{holder['since']}"
    )


def _machine() -> dict[str, str]:
    facts = {"host": socket.gethostname(), "boot": "", "processes": ""}
    with suppress(OSError):  # only Linux tells
        facts["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        facts["processes"] = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - of a link that leads to no file
    return facts


def _is_this_machine(holder: dict[str, Any]) -> bool:
    return all(holder.get(name) == value for name, value in _machine().items())


def _is_running(holder: dict[str, Any]) -> bool:
    import psutil  # late, as above

    try:
        process = psutil.Process(holder["pid"])
        ticks, known = _read_ticks(process.pid), holder.get(_TICKS)
        if ticks is not None and type(known) is int:
            is_same = ticks == known
        else:
            is_same = abs(process.create_time() - holder["process_start"]) < _START_TOLERANCE
        return is_same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.Error:
        return True


def _read_ticks(pid: int) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        # The name of the program, in parentheses, may hold anything; the start is the 20th field after it.
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    return None


def _find_newest(location: Location) -> tuple[int, dict[str, Any]] | None:
    while numbers := _list_numbers(location):
        text = location.read(_name_file(max(numbers)))
        if text is None:  # deleted meanwhile: there is a newer one
            continue
        return max(numbers), _read_holder(text)
    return None


_HOLDER_FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("host", "boot", "processes", "user", "command", "since"), str),
    **dict.fromkeys(("process_start", "at"), (int, float)),
    "pid": int,
}


def _read_holder(text: bytes) -> dict[str, Any]:
    """Read what a holder says of itself; a file of other content, such as another tool's, has no holder."""
    with suppress(ValueError, RecursionError):
        holder = json.loads(text)
        if isinstance(holder, dict) and all(_is_field(holder.get(name), kind) for name, kind in _HOLDER_FIELDS.items()):
            return holder
    return {"released": True}


def _is_field(value: object, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return isinstance(value, str) or (isinstance(value, int | float) and abs(value) < _LARGEST_NUMBER)


def _list_numbers(location: Location) -> list[int]:
    found = location.list(FOLDER)
    numbers = [int(Path(name).stem) for name in found if Path(name).stem.isdecimal()]
    return [number for number in numbers if _name_file(number) in found]  # others are not ours: 7.json, for one


def _name_file(number: int) -> str:
    return f"{FOLDER}/{number:08d}.json"


def _to_json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, indent=1).encode()
