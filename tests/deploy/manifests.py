"""The manifests of `deploy/kubernetes` as kustomize would render them, and what says whether Kubernetes takes them.

No kustomize here: of its rules only those that our files use are followed (resources, namespace, images, patches that
merge maps or replace a value at a path), so a file that uses another one fails the test and not the cluster.
"""

from __future__ import annotations

import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The operator's schemas are 900 kB: 12 s in plain Python, on a busy machine."""

KNOWN_RULES = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
CLUSTER_WIDE = {"Namespace"}

Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """Render one folder with a kustomization."""
    rules = yaml.load((folder / "kustomization.yaml").read_text(), Loader=LOADER)
    assert rules.keys() <= KNOWN_RULES, rules.keys() - KNOWN_RULES
    made: list[Manifest] = []
    for name in rules["resources"]:
        made += render(folder / name) if (folder / name).is_dir() else read_documents(folder / name)
    for patch in rules.get("patches", []):
        apply_patch(made, folder, patch)
    for manifest in made:
        if manifest["kind"] not in CLUSTER_WIDE and "namespace" in rules:
            manifest["metadata"]["namespace"] = rules["namespace"]
        for image in rules.get("images", []):
            set_image(manifest, image)
    return made


def apply_patch(made: list[Manifest], folder: Path, patch: Manifest) -> None:
    """Change manifests as one entry of `patches` says."""
    if "path" in patch:
        for change in read_documents(folder / patch["path"]):
            merge(find(made, change["kind"], change["metadata"]["name"]), change)
    else:
        for operation in yaml.load(patch["patch"], Loader=LOADER):
            replace(find(made, **patch["target"]), operation)


def set_image(manifest: Manifest, image: Manifest) -> None:
    """Set an image's name and tag in all containers, also of kinds that are not Kubernetes' own."""
    for container in containers(manifest):
        if container["image"].partition(":")[0] == image["name"]:
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"


def read_documents(path: Path) -> list[Manifest]:
    """Read the manifests of one file."""
    return [document for document in yaml.load_all(path.read_text(), Loader=LOADER) if document]


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Find the one manifest of a kind and name."""
    (found,) = [each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def merge(into: Manifest, change: Manifest) -> None:
    """Merge maps; anything else is replaced, and lists are refused, for which kustomize's rules differ by kind."""
    for key, value in change.items():
        assert not isinstance(value, list), f"{key}: patch lists by their path"
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


def replace(manifest: Manifest, operation: dict[str, Any]) -> None:
    """Replace the value at a path, which must be there."""
    assert operation["op"] == "replace", operation
    *way, last = [int(part) if part.isdigit() else part for part in operation["path"].split("/")[1:]]
    place: Any = manifest
    for part in way:
        place = place[part]
    place[last]
    place[last] = operation["value"]


def pod_specs(manifest: Any) -> list[Manifest]:
    """Every description of pods in a manifest."""
    if isinstance(manifest, list):
        return [spec for each in manifest for spec in pod_specs(each)]
    if not isinstance(manifest, dict):
        return []
    own = [manifest] if "containers" in manifest else []
    return own + [spec for each in manifest.values() for spec in pod_specs(each)]


def containers(manifest: Manifest) -> list[Manifest]:
    """Every container in a manifest."""
    return [container for spec in pod_specs(manifest) for container in spec["containers"]]


def check(manifest: Manifest) -> None:
    """Check one manifest against Kubernetes' own schemas, or those that the Dask operator comes with.

    Raises
    ------
    Exception
        Of either library, when a property is unknown, missing or of the wrong type.
    """
    if manifest["apiVersion"].startswith("kubernetes.dask.org/"):
        operator_schemas()[manifest["kind"]].validate(manifest)
    else:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@cache
def operator_schemas() -> dict[str, jsonschema.Draft202012Validator]:
    """What checks the Dask operator's kinds; properties that they do not name are forbidden."""
    home = Path(find_spec("dask_kubernetes").submodule_search_locations[0])
    folder = home / "operator/deployment/helm/dask-kubernetes-operator/crds"
    schemas = {}
    for path in folder.glob("*.yaml"):
        for definition in read_documents(path):
            (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"] |= {"apiVersion": {"const": "kubernetes.dask.org/v1"}, "metadata": {"type": "object"}}
            schema["properties"]["kind"] = {"const": definition["spec"]["names"]["kind"]}
            whole = forbid_unknown(schema) | {"required": ["apiVersion", "kind", "metadata", "spec"]}
            schemas[definition["spec"]["names"]["kind"]] = jsonschema.Draft202012Validator(whole)
    return schemas


def forbid_unknown(schema: Any) -> Any:
    """Forbid, in a schema of Kubernetes, properties that it does not name, as `kubectl apply` does."""
    if isinstance(schema, list):
        return [forbid_unknown(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: forbid_unknown(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        closed.pop("type", None)
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    return closed
