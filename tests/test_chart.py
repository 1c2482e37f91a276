"""Replicas: the Helm chart as a cluster is given it, and the compose file."""

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from gateway import __version__
from gateway.cli.main import COMMANDS
from gateway.settings.table import SETTINGS
from tests.engines.helm import rendered, run_helm

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy/chart"
COMPOSE = ROOT / "deploy/compose-replicas.yaml"
KNOWN = {row.name for row in SETTINGS} | {f"{row.name}_FILE" for row in SETTINGS if row.secret}
CLOUDS = ("AWS_", "GOOGLE_", "AZURE_")
OLDEST, NEWEST = "1.29", "1.34"

Manifests = dict[str, dict[str, Any]]

EVERYTHING = [
    *("--set", "autoscaling.enabled=true", "--set", "serviceMonitor.enabled=true"),
    *("--set", "settings.GATEWAY_LOG_LEVEL=debug", "--set", "cloud.AWS_REGION=eu-central-1"),
    *("--set-json", 'networkPolicy.from=[{"namespaceSelector":{}}]'),
    *("--set-json", 'networkPolicy.store.to=[{"ipBlock":{"cidr":"10.0.0.0/8"}}]'),
    *("--set-json", 'networkPolicy.https.except=["10.0.0.0/8"]'),
    *("--set-json", 'networkPolicy.egress=[{"ports":[{"port":9000}]}]'),
    *("--set-json", 'envFrom=[{"secretRef":{"name":"bucket-key"}}]'),
    *("--set-json", 'podAnnotations={"a":"b"}', "--set-json", 'tolerations=[{"key":"batch"}]'),
    *("--set", "priorityClassName=batch", "--set-json", 'image.pullSecrets=[{"name":"pull"}]'),
]
WAYS = {
    "plain": ["--set", "blobs=s3://bucket/prefix"],
    "gke": ["-f", str(CHART / "values-gke.yaml")],
    "eks": ["-f", str(CHART / "values-eks.yaml")],
    "everything": ["--set", "blobs=az://container", *EVERYTHING],
    "little": [
        *("--set", "blobs=gs://bucket", "--set", "networkPolicy.enabled=false"),
        *("--set", "podDisruptionBudget.enabled=false", "--set", "migrations.enabled=false"),
        *("--set", "serviceAccount.create=false", "--set-json", "topologySpreadConstraints=[]"),
    ],
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """One way to install it."""
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(way: str) -> Manifests:
    """What it comes to, by kind."""
    made = rendered(CHART, *WAYS[way])
    assert len({one["kind"] for one in made}) == len(made)
    return {one["kind"]: one for one in made}


def pods(manifests: Manifests) -> list[dict[str, Any]]:
    """The pods' specs."""
    return [
        manifests[kind]["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        if kind in manifests
    ]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_fits_its_schema(manifests: Manifests, version: str) -> None:
    """Strictly: a member that Kubernetes does not know would be dropped without a word."""
    for kind, manifest in manifests.items():
        if kind != "ServiceMonitor":  # the operator's own
            kubernetes_validate.validate(manifest, version, strict=True)


def test_what_there_is(way: str, manifests: Manifests) -> None:
    """Each object is there when it is wanted."""
    always = {"Deployment", "Service"}
    usual = {"NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Job"}
    wanted = {
        "everything": usual | {"HorizontalPodAutoscaler", "ServiceMonitor"},
        "little": set(),
    }
    assert manifests.keys() == always | wanted.get(way, usual)


def test_settings_are_real_and_secrets_are_files(manifests: Manifests) -> None:
    """No key in a manifest: those are in Git, and in every `helm get values`."""
    secret = {row.name for row in SETTINGS if row.secret}
    for pod in pods(manifests):
        [container] = pod["containers"]
        names = [one["name"] for one in container["env"]]
        assert len(names) == len(set(names))
        assert {name for name in names if not name.startswith(CLOUDS)} <= KNOWN
        assert not secret & set(names)
        files = {one["value"] for one in container["env"] if one["name"].endswith("_FILE")}
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(files) == 3
        for file in files:
            assert any(file.startswith(f"{mount}/") for mount in mounts)
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert volumes == {mount["name"] for mount in container["volumeMounts"]}


def test_pods_may_do_little(manifests: Manifests) -> None:
    """As the sidecar's."""
    for pod in pods(manifests):
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["image"] == f"gemini-batch-gateway:{__version__}"
            assert {"requests", "limits"} <= container["resources"].keys()


def test_the_schema_comes_before_the_pods(way: str, manifests: Manifests) -> None:
    """A hook, whose pods the Service, the budget and the policy do not take for replicas."""
    if way == "little":
        assert "Job" not in manifests  # the first replica does it
        return
    job = manifests["Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["gateway", "migrate"]
    assert container["command"][1] in COMMANDS
    # What a hook needs before the chart's own objects are there.
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    selector = manifests["Deployment"]["spec"]["selector"]["matchLabels"].items()
    assert not selector <= job["spec"]["template"]["metadata"]["labels"].items()


def test_everything_selects_the_replicas(manifests: Manifests) -> None:
    """The same pods, by the same labels."""
    deployment = manifests["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    selector = deployment["selector"]["matchLabels"]
    assert selector.items() <= labels
    assert manifests["Service"]["spec"]["selector"] == selector
    for kind, member in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        if kind in manifests:
            assert manifests[kind]["spec"][member]["matchLabels"] == selector


def test_a_scaled_deployment_names_no_number(way: str, manifests: Manifests) -> None:
    """Or each upgrade would set it back."""
    assert ("replicas" in manifests["Deployment"]["spec"]) == (way != "everything")


def test_an_upgrade_takes_no_replica_away_first(manifests: Manifests) -> None:
    """Two versions that follow each other work side by side."""
    rolling = manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize(
    ("way", "annotation"),
    [("gke", "iam.gke.io/gcp-service-account"), ("eks", "eks.amazonaws.com/role-arn")],
)
def test_clouds_give_roles_to_the_service_account(way: str, annotation: str) -> None:
    """In place of keys."""
    made = {one["kind"]: one for one in rendered(CHART, *WAYS[way])}
    account = made["ServiceAccount"]["metadata"]
    assert annotation in account["annotations"]
    assert made["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "blobs: give"),
        (["--set", "blobs=ftp://x"], "blobs"),
        (["--set", "blobs=s3://b", "--set", "settings.GATWAY_PORT=1"], "GATWAY_PORT"),
        (["--set", "blobs=s3://b", "--set", "replica=3"], "replica"),
    ],
)
def test_wrong_values_are_refused(words: list[str], told: str) -> None:
    """By the chart's schema, with the name that is wrong."""
    done = run_helm("template", "gateway", str(CHART), *words)
    assert done.returncode != 0
    assert told in done.stderr


def test_helm_finds_nothing_to_complain_of() -> None:
    """With its strictest look."""
    done = run_helm("lint", "--strict", str(CHART), *WAYS["plain"])
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout


def test_the_chart_is_of_this_version() -> None:
    """And installs the image of this version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


class TestCompose:
    """Two replicas, their database and their bucket."""

    @pytest.fixture
    def services(self) -> dict[str, Any]:
        """Merge keys resolved."""
        made: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
        return dict(made["services"])

    def test_settings_are_real(self, services: dict[str, Any]) -> None:
        names = services["gateway-1"]["environment"].keys()
        assert {name for name in names if not name.startswith(CLOUDS)} <= KNOWN
        assert services["gateway-1"]["image"] == f"gemini-batch-gateway:{__version__}"
        assert services["migrate"]["entrypoint"][1] in COMMANDS

    def test_replicas_differ_in_their_scratch_alone(self, services: dict[str, Any]) -> None:
        one, two = ({**services[name]} for name in ("gateway-1", "gateway-2"))
        assert one.pop("volumes") != two.pop("volumes")
        assert one == two

    def test_what_is_waited_for_is_there(self, services: dict[str, Any]) -> None:
        for service in services.values():
            assert service.get("depends_on", {}).keys() <= services.keys()

    def test_volumes_are_declared(self, services: dict[str, Any]) -> None:
        declared = yaml.safe_load(COMPOSE.read_text())["volumes"].keys()
        used = {v.split(":")[0] for one in services.values() for v in one.get("volumes", [])}
        assert used == declared

    def test_only_the_balancer_is_reached_from_outside(self, services: dict[str, Any]) -> None:
        open_ones = {name: one["ports"] for name, one in services.items() if "ports" in one}
        assert open_ones == {"balancer": ["127.0.0.1:8080:8080"]}
