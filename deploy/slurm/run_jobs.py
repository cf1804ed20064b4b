"""A run whose workers are SLURM jobs of their own, which come and go: `python run_jobs.py run.toml --jobs 16`.

It runs where it is started, on a login node or in a small job, and there the layout runs too. Needs `driftmap[hpc]`.
For PBS, LSF or SGE put `PBSCluster` and the like in the place of `SLURMCluster`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed import Client, Security

from driftmap.pipeline import run
from driftmap.pipeline.config.toml_file import load_toml
from driftmap.pipeline.executors.certificates import make_certificates


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("toml", help="the run, as for `driftmap run`; names source and store")
    parser.add_argument("--jobs", type=int, default=4, help="workers, one job each")
    parser.add_argument("--memory", default="2GB", help="of each worker")
    parser.add_argument("--walltime", default="01:00:00", help="of each job; a new one takes its place")
    parser.add_argument("--interface", help="network between the nodes, such as ib0")
    parser.add_argument("--queue", help="partition")
    parser.add_argument("--shared", default=Path.home() / ".cache" / "driftmap", type=Path, help="a shared folder")
    parser.add_argument("--scratch", default=os.environ.get("TMPDIR", "/tmp"), help="local disk of the nodes")  # noqa: S108
    return parser.parse_args()


def secure(folder: Path) -> Security:
    """Make certificates for this run alone."""
    made = {each.role: each.folder for each in make_certificates(folder, days=8, authority_days=8)}
    files = {
        f"tls_{role}_{kind}": str(made[role] / f"tls.{end}")
        for role in ("scheduler", "worker", "client")
        for kind, end in (("cert", "crt"), ("key", "key"))
    }
    return Security(require_encryption=True, tls_ca_file=str(made["client"] / "ca.crt"), **files)


def main() -> None:
    """Start the jobs and run."""
    given = read_arguments()
    given.shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = load_toml(given.toml)
    with (
        tempfile.TemporaryDirectory(dir=given.shared) as folder,
        SLURMCluster(
            cores=1,
            processes=1,
            memory=given.memory,
            walltime=given.walltime,
            queue=given.queue,
            interface=given.interface,
            local_directory=given.scratch,
            log_directory=str(given.shared),
            security=secure(Path(folder) / "certs"),
            protocol="tls://",
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
            # A worker leaves a little before its job's end, so that its tasks go to others in time.
            worker_extra_args=[
                "--preload",
                "driftmap.pipeline.orchestration.worker_preload",
                "--dashboard-address",
                "127.0.0.1:0",
            ],
            job_script_prologue=[f"export NUMBA_CACHE_DIR={given.scratch}/driftmap-$(id -un)/numba"],
        ) as cluster,
    ):
        cluster.adapt(minimum=1, maximum=given.jobs)  # a job that ends, for whatever reason, is replaced
        with Client(cluster) as client:
            client.wait_for_workers(1)
            store = run(options.pop("source"), options.pop("store"), scheduler=client, **options)
    print(f"{store.n_windows} windows in {store.location}")


if __name__ == "__main__":
    main()
