"""The image and the compose file: linted, fitting each other, and each build step run for real.

No container engine runs here; the long test runs the Dockerfile's steps in a chroot (see `build_steps.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker
from tests.deploy.build_steps import Build, read_instructions

from driftmap.pipeline.cli.app import cli

yaml = pytest.importorskip("yaml", reason="pyyaml comes with driftmap[dev]")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "container"
SCRIPTS = sorted([*FOLDER.glob("*.sh"), *ROOT.glob("deploy/slurm/*.sbatch")])


def lint(program, *arguments):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; it comes with driftmap[dev]")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say(tmp_path):
    done = lint("hadolint", FOLDER / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text((FOLDER / "Dockerfile").read_text().replace("WORKDIR /src", "WORKDIR src"))
    assert "DL3000" in lint("hadolint", tmp_path / "Dockerfile").stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(tmp_path, script):
    done = lint("shellcheck", script)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(script, os.X_OK)
    (tmp_path / script.name).write_text(script.read_text() + "\nrm -rf $nothing/*\n")
    assert lint("shellcheck", tmp_path / script.name).returncode != 0


def test_the_image_is_slim_pinned_by_an_argument_and_runs_as_nobody_special():
    instructions = read_instructions(FOLDER / "Dockerfile")
    assert instructions[0] == ("ARG", "PYTHON_IMAGE=python:3.12-slim-bookworm")
    assert {rest.split()[0] for name, rest in instructions if name == "FROM"} == {"${PYTHON_IMAGE}"}
    last = instructions[max(n for n, (name, _) in enumerate(instructions) if name == "FROM") :]
    assert ("USER", "10001:10001") in last
    assert ("ENTRYPOINT", '["driftmap"]') in last
    assert not any(name == "RUN" and "pip" in rest for name, rest in last)  # nothing that builds is left in it


def test_what_is_copied_is_there_and_let_through():
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name, rest in read_instructions(FOLDER / "Dockerfile"):
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert any(source == each or source.startswith(f"{each}/") for each in let_through), source


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def test_the_compose_file_has_scheduler_workers_object_store_and_ingestion(services):
    assert {"certs", "scheduler", "worker-1", "worker-2", "object-store", "ingest", "run"} <= services.keys()
    for name, service in services.items():
        assert "ports" not in service, f"{name}: nothing is open to the network"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service["image"].endswith(":latest")
        if service["image"].startswith("driftmap"):
            assert (service["user"], service["read_only"]) == ("10001:10001", True)


def test_each_service_sees_its_own_certificates_alone(services):
    for name, service in services.items():
        mounted = {volume.split(":")[0] for volume in service.get("volumes", []) if "certs" in volume}
        own = {"scheduler": "scheduler-certs", "worker-1": "worker-certs", "worker-2": "worker-certs"}
        if name == "certs":
            assert len(mounted) == 4
        elif name != "object-store":
            assert mounted == {own.get(name, "client-certs")}
    volumes = yaml.safe_load((FOLDER / "compose.yaml").read_text())["volumes"]
    named = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {volume for volume in named if not volume.startswith("$")} == volumes.keys()


def test_every_command_line_of_the_compose_file_is_one(services):
    dask_scheduler.make_context("scheduler", services["scheduler"]["command"])
    dask_worker.make_context("worker", services["worker-1"]["command"])
    loop = services["ingest"]["entrypoint"][2]
    (line,) = re.findall(r"driftmap (ingest .*?) \|\| code=\$\$\?", loop)
    assert "|| true" not in loop
    assert "ended with exit code" in loop
    for arguments in (services["certs"]["command"], services["run"]["command"], line.split()):
        cli.get_command(None, arguments[0]).make_context(arguments[0], list(arguments[1:]))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The image's last stage, made by the Dockerfile's own steps."""
    if os.getuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("a chroot is made by root")
    build = Build(ROOT, tmp_path_factory.mktemp("build"))
    try:
        build.build(FOLDER / "Dockerfile")
        yield build
    finally:
        build.close()


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_build_steps_make_an_image_that_works(built):
    image = built.stage
    assert len(built.ran) == 3
    assert image.entrypoint == ["driftmap"]
    assert image.run(["id", "-u"]).stdout.strip() == "10001"
    assert image.run(["driftmap", "--version"]).stdout.startswith("driftmap ")
    assert image.run(["sh", "-c", "touch /opt/driftmap/x"]).returncode != 0
    certs = image.run(["driftmap", "certs", "/certs"])  # into folders that are there, as the compose file mounts them
    assert certs.returncode == 0, certs.stderr
    started = time.monotonic()
    done = image.run(["driftmap", "demo", "--no-open", "--scheduler", "serial", "--out", "/scratch/demo"])
    assert done.returncode == 0, done.stderr
    print(f"the image's demo took {time.monotonic() - started:.1f} s")  # noqa: T201 - for who runs it by hand
    compiled = {path.name for path in (image.root / "opt/driftmap/kernels").rglob("*.nbc")}
    assert len(compiled) > 20
    used = {path.name for path in (image.root / "scratch/numba").rglob("*.nbc")}
    assert used == compiled, "the image's kernels were compiled again"
    shown = image.run(["driftmap", "status", "/scratch/demo/digits.zarr"])
    assert "10 windows" in shown.stdout
