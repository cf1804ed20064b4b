"""Runs the steps of a Dockerfile where no container engine is: each stage on a copy-on-write view of this machine.

In place of the base image stands this machine with the Python that runs the tests; nothing of it is changed. Steps run
in a chroot, without the caller's environment. Only the instructions of our own Dockerfile are known. Needs root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}

PASSED_ON = ("PIP_", "SSL_", "REQUESTS_", "CURL_", "http_proxy", "https_proxy", "no_proxy")
"""What tells pip where packages are."""


class Stage:
    """One stage: a file system, and what ENV, WORKDIR and USER have said so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": f"{sys.base_prefix}/bin:{SYSTEM_PATH}"}
        self.workdir = "/"
        self.user = "0:0"
        self.entrypoint: list[str] = []

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the stage."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        whole = ["chroot", f"--userspec={self.user}", str(self.root), "/bin/sh", "-c", 'cd "$1" && shift && exec "$@"']
        return subprocess.run(
            [*whole, "sh", self.workdir, *command],
            env=kept | self.environment | {"HOME": self.workdir},
            capture_output=True,
            text=True,
            check=False,
        )


class Build:
    """All stages of a Dockerfile, in a folder; `close` takes them away."""

    def __init__(self, context: Path, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._mounts: list[Path] = []
        self._stages: dict[str, Stage] = {}
        self._arguments: dict[str, str] = {}
        self.ran: list[str] = []
        self.stage: Stage

    def build(self, dockerfile: Path) -> Stage:
        """Run all steps; returns the last stage."""
        _mount("-t", "tmpfs", "driftmap-build", self._folder)
        self._mounts.append(self._folder)
        for name, rest in read_instructions(dockerfile):
            getattr(self, f"_{name.lower()}")(rest)
        return self.stage

    def close(self) -> None:
        """Unmount everything."""
        for mount in reversed(self._mounts):
            subprocess.run(["umount", "--lazy", mount], check=False)
        self._mounts.clear()

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self._arguments[name] = value

    def _from(self, rest: str) -> None:
        image, *name = re.split(r"\s+AS\s+", rest)
        assert image == "${PYTHON_IMAGE}", "every stage starts from the argument"
        assert "PYTHON_IMAGE" in self._arguments
        number = str(len(self._stages))
        upper, work, root = (self._folder / f"{number}-{part}" for part in ("upper", "work", "root"))
        for path in (upper, work, root):
            path.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "driftmap-build", root)
        self._mounts.append(root)
        # Devices of its own, not the machine's: whoever clears this folder away, after a kill, must not reach those.
        for device, numbers in DEVICES.items():
            node = root / "dev" / device
            node.unlink(missing_ok=True)
            os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
            node.chmod(0o666)
        _mount("-t", "proc", "-o", "ro", "proc", root / "proc")
        self._mounts.append(root / "proc")
        (root / "tmp").chmod(0o1777)
        if (root / "root").is_dir():
            (root / "root").chmod(0o755)  # the Python that stands for the image's may lie there
        self.stage = self._stages[name[0] if name else number] = Stage(root)

    def _workdir(self, rest: str) -> None:
        self._inside(rest).mkdir(parents=True, exist_ok=True)
        self.stage.workdir = rest

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(rest)
        origin = self._context
        if sources[0].startswith("--from="):
            origin = self._stages[sources.pop(0).removeprefix("--from=")].root
        place = self._inside(target)
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True)
            else:
                into = place / path.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def _run(self, rest: str) -> None:
        done = self.stage.run(["/bin/sh", "-c", rest])
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        self.ran.append(rest)

    def _env(self, rest: str) -> None:
        for part in shlex.split(rest):
            name, _, value = part.partition("=")
            self.stage.environment[name] = value.replace("$PATH", self.stage.environment["PATH"])

    def _user(self, rest: str) -> None:
        self.stage.user = rest

    def _entrypoint(self, rest: str) -> None:
        self.stage.entrypoint = [part.strip('" ') for part in rest.strip("[]").split(",")]

    def _cmd(self, rest: str) -> None:
        """Only a default."""

    def _inside(self, path: str) -> Path:
        whole = path if path.startswith("/") else f"{self.stage.workdir}/{path}"
        return self.stage.root / whole.lstrip("/")


def read_instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Read a Dockerfile's instructions: name, and the rest of it."""
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines()]


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)
