"""Hosts made of network namespaces: each has an address of its own, and a cable that can be pulled. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK = "10.231.77"
"""Of these namespaces alone: no route leads from it to the machine's own network."""


class Hosts:
    """Some hosts on one switch, itself a namespace."""

    def __init__(self, n_hosts: int) -> None:
        self._prefix = f"driftmap-{os.getpid()}"
        self._switch = f"{self._prefix}-switch"
        self.names = [f"{self._prefix}-{number}" for number in range(n_hosts)]

    def address(self, number: int) -> str:
        """Address of a host."""
        return f"{NETWORK}.{number + 1}"

    def enter(self, number: int) -> list[str]:
        """What leads a command so that it runs on a host."""
        return ["ip", "netns", "exec", self.names[number]]

    def pull_cable(self, number: int) -> None:
        """Cut a host off: what is sent to it or by it is lost, and nobody is told."""
        _ip("-n", self._switch, "link", "set", f"port{number}", "nomaster")

    def build(self) -> None:
        """Make the namespaces and lay the cables."""
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, name in enumerate(self.names):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            port = ("name", f"port{number}", "netns", self._switch)
            _ip("link", "add", "name", "eth0", "netns", name, "type", "veth", "peer", *port)
            _ip("-n", self._switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", name, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Remove all of it."""
        for name in (*self.names, self._switch):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@contextmanager
def make_hosts(n_hosts: int) -> Iterator[Hosts]:
    """Make hosts, and remove them."""
    hosts = Hosts(n_hosts)
    try:
        hosts.build()
        yield hosts
    finally:
        hosts.remove()


def why_not() -> str | None:
    """Say why hosts cannot be made here; None where they can."""
    if shutil.which("ip") is None:
        return "ip is not installed (apt-get install iproute2)"
    if os.getuid() != 0:
        return "network namespaces are made by root"
    probe = f"driftmap-{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True, text=True)
    subprocess.run(["ip", "netns", "delete", probe], check=False, capture_output=True)
    return done.stderr.strip() or None


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
