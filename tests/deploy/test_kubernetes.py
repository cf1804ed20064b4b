"""The manifests of `deploy/kubernetes`: Kubernetes and the operator take them, they fit together, and wrong ones fail.

Offline: against the schemas in `kubernetes-validate` and in the operator's own package; no cluster runs here.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import tomllib
from importlib.util import find_spec

import pytest

if missing := [
    name for name in ("kubernetes_validate", "jsonschema", "yaml", "dask_kubernetes") if not find_spec(name)
]:
    pytest.skip(f"not installed: {', '.join(missing)}; they come with driftmap[dev]", allow_module_level=True)

import yaml
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker
from tests.deploy import manifests
from tests.deploy.manifests import FOLDER, OVERLAYS, check, containers, find, pod_specs, render

from driftmap.pipeline.cli.app import cli
from driftmap.pipeline.config.run_config import OPTION_NAMES

MADE_BY_HAND = {"driftmap-tls-scheduler", "driftmap-tls-worker", "driftmap-tls-client", "driftmap-s3"}
"""Secrets that README.md has a user make."""

TLS_PREFIX = "DASK_DISTRIBUTED__COMM__TLS__"


@pytest.fixture(scope="module", params=OVERLAYS)
def rendered(request):
    return render(FOLDER / "overlays" / request.param)


def is_lasting(container):
    return container["name"] in ("scheduler", "worker", "minio")


def test_every_manifest_is_taken(rendered):
    for manifest in rendered:
        check(manifest)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_itself_makes_the_same(overlay):
    folder = FOLDER / "overlays" / overlay
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True).stdout
    theirs, ours = list(yaml.safe_load_all(made)), render(folder)
    for one in (theirs, ours):
        one.sort(key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))
    assert ours == theirs


def test_there_are_the_kinds_that_a_deployment_needs(rendered):
    kinds = {manifest["kind"] for manifest in rendered}
    assert {"DaskCluster", "DaskJob", "DaskAutoscaler", "CronJob", "NetworkPolicy", "ServiceAccount"} <= kinds


def break_at(manifest, path, change):
    """A copy of a manifest, one place of it changed: renamed, removed, or given another value."""
    broken = copy.deepcopy(manifest)
    *way, last = path
    place = broken
    for part in way:
        place = place[part]
    kind, *value = change
    held = place.pop(last) if kind in ("rename", "remove") else None
    if kind == "rename":
        place[value[0]] = held
    elif kind == "set":
        place[last] = value[0]
    return broken


WORKER = ("spec", "worker", "spec", "containers", 0)
SCHEDULER_POD = ("spec", "scheduler", "spec")
JOB = ("spec", "jobTemplate", "spec", "template", "spec", "containers", 0)
WRONG = {
    "a misspelled property of a worker": ("DaskCluster", (*WORKER, "envFrom"), ("rename", "envfrom")),
    "a misspelled part of a probe": ("DaskCluster", (*WORKER, "readinessProbe", "periodSeconds"), ("rename", "period")),
    "an unknown security setting": ("DaskCluster", (*SCHEDULER_POD, "securityContext", "nonRoot"), ("set", True)),
    "a scheduler without a service": ("DaskCluster", ("spec", "scheduler", "service"), ("remove",)),
    "replicas in words": ("DaskCluster", ("spec", "worker", "replicas"), ("set", "two")),
    "an unknown property of the cluster": ("DaskCluster", ("spec", "tls"), ("set", True)),
    "a job without a cluster": ("DaskJob", ("spec", "cluster"), ("remove",)),
    "a job's cluster that is not nested": ("DaskJob", ("spec", "cluster", "spec"), ("rename", "specification")),
    "an autoscaler without a maximum": ("DaskAutoscaler", ("spec", "maximum"), ("remove",)),
    "a kind of another version": ("DaskAutoscaler", ("apiVersion",), ("set", "kubernetes.dask.org/v2")),
    "a misspelled schedule": ("CronJob", ("spec", "schedule"), ("rename", "shedule")),
    "a container of a cron job that is misspelled": ("CronJob", (*JOB, "resources"), ("rename", "resource")),
    "a policy with an unknown rule": ("NetworkPolicy", ("spec", "ingres"), ("set", [])),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_manifest_is_refused(name):
    kind, path, change = WRONG[name]
    manifest = next(each for each in render(FOLDER / "overlays" / "cloud") if each["kind"] == kind)
    check(manifest)
    with pytest.raises(Exception, match=r"(?s)."):  # each library raises a class of its own
        check(break_at(manifest, path, change))


def test_a_patch_at_a_place_that_is_not_there_is_refused():
    with pytest.raises(KeyError):
        manifests.replace({"spec": {}}, {"op": "replace", "path": "/spec/replica", "value": 1})
    with pytest.raises(ValueError, match="not enough values"):
        find([], "DaskCluster", "other")


def test_no_pod_has_more_rights_than_it_needs(rendered):
    seen = [spec for manifest in rendered for spec in pod_specs(manifest)]
    assert len(seen) >= 6
    for spec in seen:
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] >= 10000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_every_container_says_what_it_takes_and_whether_it_lives(rendered):
    for manifest in rendered:
        for container in containers(manifest):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert is_lasting(container) == ("livenessProbe" in container) == ("readinessProbe" in container)
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")


def test_what_is_named_is_there(rendered):
    """Secrets, settings, volumes, ports and service accounts that a pod names."""
    made = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered}
    made |= {("Secret", name) for name in MADE_BY_HAND}
    kinds = {"secretRef": "Secret", "configMapRef": "ConfigMap"}
    for spec in [spec for manifest in rendered for spec in pod_specs(manifest)]:
        named = {("ServiceAccount", spec.get("serviceAccountName", "driftmap"))}
        for volume in spec["volumes"]:
            named |= {("Secret", volume["secret"]["secretName"])} if "secret" in volume else set()
            named |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
            if "persistentVolumeClaim" in volume:
                named.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
        for container in spec["containers"]:
            named |= {(kinds[kind], each[kind]["name"]) for each in container.get("envFrom", []) for kind in each}
        assert named <= made


def test_volumes_are_mounted_and_probes_ask_ports_that_are_there(rendered):
    for spec in [spec for manifest in rendered for spec in pod_specs(manifest)]:
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in spec["volumes"]}
            ports = {port["name"] for port in container.get("ports", [])}
            probes = [container[probe] for probe in ("readinessProbe", "livenessProbe") if probe in container]
            assert {probe["httpGet"]["port"] for probe in probes} <= ports


def test_everyone_speaks_tls_to_the_scheduler_that_is_theirs(rendered):
    clusters = {"DaskCluster": "driftmap", "DaskJob": "driftmap-run", "CronJob": "driftmap"}
    for kind, name in clusters.items():
        manifest = next(each for each in rendered if each["kind"] == kind)
        addresses = set(re.findall(r"\w+://[\w-]+-scheduler:\d+", str(manifest)))
        assert addresses == {f"tls://{name}-scheduler:8786"}
    settings = find(rendered, "ConfigMap", "driftmap-dask")["data"]
    assert settings["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert {name.removeprefix(TLS_PREFIX) for name in settings if name.startswith(TLS_PREFIX)} == {
        "CA_FILE",
        *(f"{role}__{what}" for role in ("SCHEDULER", "WORKER") for what in ("CERT", "KEY")),
    }


def test_the_schedulers_service_has_the_ports_that_the_operator_asks(rendered):
    cluster = find(rendered, "DaskCluster", "driftmap")["spec"]
    job = find(rendered, "DaskJob", "driftmap-run")["spec"]["cluster"]["spec"]
    for spec, name in ((cluster, "driftmap"), (job, "driftmap-run")):
        service = spec["scheduler"]["service"]
        assert {port["name"] for port in service["ports"]} == {"tcp-comm", "http-dashboard"}
        assert service["selector"] == {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}


def test_every_command_line_is_one(rendered):
    """Parsed by the programs' own parsers."""
    programs = {"scheduler": dask_scheduler, "worker": dask_worker}
    seen = set()
    for container in [each for manifest in rendered for each in containers(manifest)]:
        name, arguments = container["name"], list(container.get("args", []))
        if name in programs:
            assert container["command"] == ["dask", name]
            programs[name].make_context(name, arguments)
        elif name in ("run", "ingest"):
            assert "command" not in container  # the image's own: driftmap
            cli.get_command(None, arguments[0]).make_context(name, arguments[1:])
        else:
            continue
        seen.add(name)
    assert seen == {"scheduler", "worker", "run", "ingest"}


def test_the_run_is_one_and_ingestion_takes_its_store(rendered):
    options = tomllib.loads(find(rendered, "ConfigMap", "driftmap-run")["data"]["run.toml"])
    assert options.keys() <= {*OPTION_NAMES, "source", "store"}
    assert options["source"].startswith("/data/")
    (ingest,) = containers(find(rendered, "CronJob", "driftmap-ingest"))
    assert ingest["args"][:2] == ["ingest", options["store"]]


def test_nothing_is_open_but_what_is_said(rendered):
    policies = [manifest["spec"] for manifest in rendered if manifest["kind"] == "NetworkPolicy"]
    assert any(policy["podSelector"] == {} and "ingress" not in policy for policy in policies)
    for policy in policies:
        for rule in policy.get("ingress", []):
            assert rule["from"]


def test_ingestion_has_alarm_and_metrics_and_prometheus_gets_in(rendered):
    (ingest,) = containers(find(rendered, "CronJob", "driftmap-ingest"))
    words = ingest["args"]
    assert words[words.index("--alarm") + 1] == "behind>2D"
    assert {"--prometheus", "--log-json"} <= set(words)
    (policy,) = [
        manifest["spec"]
        for manifest in rendered
        if manifest["kind"] == "NetworkPolicy" and manifest["metadata"]["name"] == "driftmap-metrics"
    ]
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [8787, 8788]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
