"""The kustomize overlays, as a cluster is given them: one gateway, in two ways."""

from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from gateway import __version__
from gateway.settings.table import SETTINGS
from tests.engines.helm import kustomized

pytestmark = pytest.mark.slow

KUSTOMIZE: Final = Path(__file__).parent.parent / "deploy/kustomize"
KNOWN: Final = {row.name for row in SETTINGS} | {
    f"{row.name}_FILE" for row in SETTINGS if row.secret
}
LABELS: Final = {"app.kubernetes.io/name": "gemini-batch-gateway"}
PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
OLDEST, NEWEST = "1.29", "1.34"

Manifests = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["sidecar", "single"])
def overlay(request: pytest.FixtureRequest) -> str:
    """One of the overlays."""
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(overlay: str) -> Manifests:
    """What it comes to, by kind."""
    made = kustomized(KUSTOMIZE / "overlays" / overlay)
    assert len({one["kind"] for one in made}) == len(made)
    return {one["kind"]: one for one in made}


@pytest.fixture(scope="module")
def pod(manifests: Manifests) -> dict[str, Any]:
    """The pod's specification."""
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def gateway(pod: dict[str, Any]) -> dict[str, Any]:
    """The gateway's container, wherever it is."""
    (found,) = (one for one in containers(pod) if one["name"] == "gateway")
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """All of them."""
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_fits_its_schema(manifests: Manifests, version: str) -> None:
    """Strictly: a member that Kubernetes does not know would be dropped without a word."""
    usual = {"Deployment", "PersistentVolumeClaim", "NetworkPolicy", "PodDisruptionBudget"}
    assert manifests.keys() - {"Service"} == usual
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_gateway_is_one_process(manifests: Manifests, gateway: dict[str, Any]) -> None:
    """Of this version, and two never meet at one volume."""
    spec = manifests["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert gateway["image"] == f"gemini-batch-gateway:{__version__}"
    assert "command" not in gateway


def test_settings_are_real_and_secrets_are_files(
    overlay: str, pod: dict[str, Any], gateway: dict[str, Any]
) -> None:
    """It is reached from outside the pod only where it asks for keys."""
    env = {one["name"]: one["value"] for one in gateway["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in gateway["volumeMounts"]}
    assert env.keys() <= KNOWN
    assert not {row.name for row in SETTINGS if row.secret} & env.keys()
    assert (env["GATEWAY_HOST"] == "0.0.0.0") == (overlay == "single")
    assert ("GATEWAY_API_KEYS_FILE" in env) == (overlay == "single")
    assert env["GATEWAY_DATA_DIR"] in mounts
    for name in env.keys() & {"GEMINI_API_KEY_FILE", "GATEWAY_API_KEYS_FILE"}:
        assert str(Path(env[name]).parent) in mounts
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}


def test_everything_selects_the_pod_and_no_other(manifests: Manifests) -> None:
    """An empty selector would be every pod of the namespace."""
    deployment = manifests["Deployment"]["spec"]
    assert deployment["template"]["metadata"]["labels"] == LABELS
    assert deployment["selector"]["matchLabels"] == LABELS
    assert manifests["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": LABELS}
    assert manifests["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": LABELS}
    if "Service" in manifests:
        assert manifests["Service"]["spec"]["selector"] == LABELS


def test_callers_come_in_where_there_is_a_service(overlay: str, manifests: Manifests) -> None:
    """To the sidecar nothing comes from outside its pod."""
    policy = manifests["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert ("Service" in manifests) == ("ingress" in policy) == (overlay == "single")
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert out == {53, 443}


def test_probes_reach_the_gateway(overlay: str, gateway: dict[str, Any]) -> None:
    """By exec on the pod's loopback interface, over HTTP elsewhere; never both."""
    for name in PROBES:
        probe = gateway[name]
        live = name == "livenessProbe"
        if overlay == "sidecar":
            words = ["gateway", "health", *(["--live"] if live else [])]
            assert (probe["exec"]["command"], "httpGet" in probe) == (words, False)
        else:
            path = "/healthz" if live else "/readyz"
            assert (probe["httpGet"], "exec" in probe) == ({"path": path, "port": "http"}, False)
            assert gateway["ports"] == [{"name": "http", "containerPort": 8080}]


def test_the_sidecar_goes_on_before_and_after_the_client() -> None:
    """And the client finds it."""
    made = kustomized(KUSTOMIZE / "overlays/sidecar")
    (deployment,) = (one for one in made if one["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    ((sidecar,), (client,)) = (pod["initContainers"], pod["containers"])
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("gateway", "Always")
    assert client["name"] == "client"
    env = {one["name"]: one["value"] for one in client["env"]}
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:8080/v1"


def test_pods_may_do_little(pod: dict[str, Any]) -> None:
    """As the manifest's own sidecar."""
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == container["resources"].keys()


def test_the_gateway_is_the_manifests(gateway: dict[str, Any]) -> None:
    """kubernetes.yaml asks for the same resources."""
    text = (KUSTOMIZE.parent / "kubernetes.yaml").read_text(encoding="utf-8")
    *_, job = yaml.safe_load_all(text)
    (other,) = job["spec"]["template"]["spec"]["initContainers"]
    assert gateway["resources"] == other["resources"]
