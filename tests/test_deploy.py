"""``deploy/`` says what works: its commands are run, without a container engine."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from gateway import __version__
from gateway.cli.main import COMMANDS
from gateway.settings.table import SETTINGS
from tests.cli.processes import loopback, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "deploy/Dockerfile"
COMPOSE = ROOT / "deploy/compose.yaml"
KNOWN = {row.name for row in SETTINGS} | {f"{row.name}_FILE" for row in SETTINGS if row.secret}
USER = 65532


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, continuation lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The exec form's words; of ENV and COPY, those between spaces."""
        if self.text.startswith("["):
            words: list[str] = orjson.loads(self.text)
            return words
        return self.text.split()


def instructions() -> list[Instruction]:
    """The Dockerfile without comments."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(None, 1)) for line in lines if line.strip()]


def named(name: str) -> list[Instruction]:
    """Instructions of one kind."""
    return [one for one in instructions() if one.name == name]


def image_environment() -> dict[str, str]:
    """What ENV sets."""
    pairs = (word.partition("=") for one in named("ENV") for word in one.words)
    return {name: value for name, _, value in pairs}


def test_the_image_sets_real_settings() -> None:
    """And glibc's variables, named as glibc knows them."""
    environment = image_environment()

    assert {name for name in environment if name.startswith(("GATEWAY", "GEMINI"))} <= KNOWN
    assert environment["GATEWAY_DATA_DIR"] == named("VOLUME")[0].text == "/data"
    assert {name for name in environment if name.startswith("MALLOC")} == {
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
    }


def test_the_image_runs_as_nobody_in_particular() -> None:
    """By number, so that Kubernetes can see it is not root; no secret is built in."""
    assert named("USER")[-1].text == f"{USER}:0"
    assert instructions().index(named("USER")[-1]) > instructions().index(named("RUN")[-1])
    assert not any("KEY" in name for name in image_environment())
    assert named("ARG") == []


def test_one_line_names_the_base_image() -> None:
    """The place for its digest; every stage is built on it."""
    images = [one.words[0] for one in named("FROM")]
    stages = {one.words[2] for one in named("FROM") if len(one.words) > 1}

    assert [image for image in images if image not in stages] == ["python:3.11-slim"]


def test_the_image_runs_commands_that_exist() -> None:
    """In exec form: signals reach the process itself."""
    for text in (named("ENTRYPOINT")[0].text, named("HEALTHCHECK")[0].text.partition("CMD ")[2]):
        program, command, *_ = orjson.loads(text)
        assert program == "gateway"
        assert command in COMMANDS


def test_everything_it_copies_is_there() -> None:
    """From the build's context, the root of the repository; and nothing else is in it."""
    copied = [one.words[:-1] for one in named("COPY") if "--from=" not in one.text]
    sources = {source.removeprefix("./") for names in copied for source in names}
    ignore = Path(f"{DOCKERFILE}.dockerignore").read_text().splitlines()

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == sources


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of what the image would be: its COPY and RUN, under a bare directory.

    Absolute paths are mapped below it, ``python`` is this Python; ownership is not changed.
    """
    root = tmp_path_factory.mktemp("image")
    source = root / "src"
    source.mkdir()
    for one in named("COPY"):
        _copy(one.words, source)
    for one in named("RUN"):
        subprocess.run(
            ["/bin/sh", "-ec", _mapped(one.text, root)],
            cwd=source,
            env=_build_environment(root),
            check=True,
            timeout=170,
        )
    return root


def _copy(words: list[str], source: Path) -> None:
    """What goes from one stage to the next stays where it is."""
    if words[0].startswith("--from="):
        return
    *names, target = words
    for name in names:
        here = ROOT / name
        if here.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(here, source / target, ignore=ignore)
        else:
            shutil.copy(here, source / target)


def _mapped(command: str, root: Path) -> str:
    command = re.sub(r" -o \d+ -g \d+", "", command)
    return re.sub(r"(?<![\w.])/(?=opt/|data\b)", f"{root}/", command)


def _build_environment(root: Path) -> dict[str, str]:
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    python = programs / "python"
    if not python.exists():
        python.symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    inherited = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}  # noqa: TID251 - where pip may look for packages
    return inherited | {"PATH": f"{programs}:{os.defpath}", "HOME": str(root)}


@contextmanager
def _container(
    root: Path, command: list[str], env: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        cwd=root,
        env=_run_environment(root, env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _run_environment(root: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The image's ENV with its paths mapped, and what the manifest would add."""
    image = {name: _mapped(value, root) for name, value in image_environment().items()}
    image["PATH"] = image["PATH"].replace("$PATH", os.defpath)
    return image | dict(env)


def test_the_image_installs_starts_and_is_healthy(image: Path, tmp_path: Path) -> None:
    """From nothing but the Dockerfile's own commands, as far as they go without an engine."""
    entrypoint = named("ENTRYPOINT")[0].words
    probe = orjson.loads(named("HEALTHCHECK")[0].text.partition("CMD ")[2])
    programs = image / "opt/gateway/bin"
    key = tmp_path / "api-key"
    key.write_text("any\n")
    with serving(tmp_path, "emulator", "--port", "0") as emulator:
        env = loopback(
            tmp_path,
            GATEWAY_HOST="127.0.0.1",
            GATEWAY_DATA_DIR=str(image / "data"),
            GATEWAY_GEMINI_BASE_URL=emulator.url,
            GEMINI_API_KEY_FILE=str(key),
        )
        with _container(image, [str(programs / entrypoint[0]), *entrypoint[1:]], env) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("gateway listening on "), process.communicate()
            env["GATEWAY_PORT"] = line.strip().removesuffix("/v1").rpartition(":")[2]
            healthy = subprocess.run(
                [str(programs / probe[0]), *probe[1:]],
                env=_run_environment(image, env),
                check=False,
                timeout=60,
            )
            process.terminate()
            code = process.wait(60)

    assert (healthy.returncode, code) == (0, 0)
    assert (image / "data/gateway.sqlite3").exists()
    assert not list((image / "src").glob("gateway-data"))


def test_the_image_asks_for_keys(image: Path, tmp_path: Path) -> None:
    """It listens on all interfaces, or -p could not reach it: never without a key."""
    command = [str(image / "opt/gateway/bin/gateway"), "serve"]
    with _container(image, command, loopback(tmp_path)) as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 78
    assert said.startswith("Error: GATEWAY_HOST is 0.0.0.0, which other machines can reach")
    assert "GATEWAY_API_KEYS=NAME=SECRET" in said


def test_the_image_is_of_this_version_and_compiled(image: Path) -> None:
    """Nothing can be written beside the modules where they run; no test tool is installed."""
    package = next((image / "opt/gateway/lib").glob("python3.*/site-packages/gateway"))
    done = subprocess.run(
        [str(image / "opt/gateway/bin/gateway"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == f"gateway, version {__version__}\n"
    assert list(package.glob("settings/__pycache__/load.*.pyc"))
    assert not (package.parent / "pytest").exists()
    assert not (package.parent / "openai").exists()


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """The objects of the manifest by kind."""
    text = (ROOT / "deploy/kubernetes.yaml").read_text()
    objects = list(yaml.safe_load_all(text))
    return {one["kind"]: one for one in objects}


def pod_of(manifests: Mapping[str, Any]) -> dict[str, Any]:
    """The pod's specification."""
    pod: dict[str, Any] = manifests["Job"]["spec"]["template"]["spec"]
    return pod


def test_the_manifest_has_the_expected_objects(manifests: Mapping[str, Any]) -> None:
    """Each with a name and a version of the API that serves its kind."""
    assert {kind: one["apiVersion"] for kind, one in manifests.items()} == {
        "PersistentVolumeClaim": "v1",
        "ConfigMap": "v1",
        "Job": "batch/v1",
    }
    assert all(re.fullmatch(r"[a-z][a-z-]+", one["metadata"]["name"]) for one in manifests.values())


def test_the_gateway_is_a_native_sidecar(manifests: Mapping[str, Any]) -> None:
    """An init container that goes on: started before the client, ended after it."""
    (gateway,) = pod_of(manifests)["initContainers"]

    assert (gateway["name"], gateway["restartPolicy"]) == ("gateway", "Always")
    assert gateway["image"].endswith(f":{__version__}")
    assert "command" not in gateway
    assert pod_of(manifests)["terminationGracePeriodSeconds"] == 40


def test_its_settings_are_real_and_its_key_is_a_file(manifests: Mapping[str, Any]) -> None:
    """The port is set, because a Service called gateway would inject one."""
    (gateway,) = pod_of(manifests)["initContainers"]
    env = {one["name"]: one["value"] for one in gateway["env"]}
    mounts = {mount["mountPath"]: mount for mount in gateway["volumeMounts"]}

    assert env.keys() <= KNOWN
    assert "GEMINI_API_KEY" not in env
    assert env["GATEWAY_HOST"] == "127.0.0.1"
    assert pod_of(manifests)["enableServiceLinks"] is False
    assert env["GATEWAY_DATA_DIR"] in mounts
    assert mounts[str(Path(env["GEMINI_API_KEY_FILE"]).parent)]["readOnly"] is True
    client = {one["name"]: one["value"] for one in pod_of(manifests)["containers"][0]["env"]}
    assert client["OPENAI_BASE_URL"] == f"http://127.0.0.1:{env['GATEWAY_PORT']}/v1"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_its_probes_are_commands_that_exist(manifests: Mapping[str, Any], probe: str) -> None:
    """By exec: the gateway listens on the pod's loopback, where the kubelet cannot ask."""
    (gateway,) = pod_of(manifests)["initContainers"]
    program, command, *options = gateway[probe]["exec"]["command"]

    assert (program, command) == ("gateway", "health")
    assert options == (["--live"] if probe == "livenessProbe" else [])
    assert gateway[probe]["timeoutSeconds"] > 5  # the command's own limit


def test_every_container_is_restricted(manifests: Mapping[str, Any]) -> None:
    """What the Pod Security Standard `restricted` asks for, and a root that is not written."""
    pod = pod_of(manifests)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}


def test_every_mount_has_its_volume(manifests: Mapping[str, Any]) -> None:
    """And every volume what it names."""
    pod = pod_of(manifests)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {
        mount["name"]
        for container in (*pod["initContainers"], *pod["containers"])
        for mount in container["volumeMounts"]
    }

    assert mounted == volumes.keys()
    claim = volumes["gateway-data"]["persistentVolumeClaim"]["claimName"]
    assert claim == manifests["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["client"]["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]


def test_its_client_runs(manifests: Mapping[str, Any], tmp_path: Path) -> None:
    """The example's program, against a gateway and the emulator, asked more often."""
    program = manifests["ConfigMap"]["data"]["client.py"]
    assert "time.sleep(15)" in program
    (tmp_path / "client.py").write_text(program.replace("time.sleep(15)", "time.sleep(0.2)"))
    with serving(tmp_path, "emulator", "--port", "0") as emulator:
        env = loopback(tmp_path, GATEWAY_GEMINI_BASE_URL=emulator.url)
        with serving(tmp_path, "serve", env=env) as gateway:
            done = subprocess.run(
                [sys.executable, "client.py"],
                cwd=tmp_path,
                env={"OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": "any-key"},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

    assert (done.returncode, done.stderr) == (0, "")
    assert '"status": "completed"' in done.stdout
    assert "Echo: Say hello." in done.stdout


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """What compose.yaml starts, merge keys resolved."""
    made: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return dict(made["services"])


def test_compose_says_what_is_real(services: Mapping[str, Any]) -> None:
    """Settings, volumes, and that the image is this one; the gateway alone is reached."""
    declared = yaml.safe_load(COMPOSE.read_text())["volumes"].keys()

    assert {one["image"] for one in services.values()} == {f"gemini-batch-gateway:{__version__}"}
    assert services["gateway"]["environment"].keys() <= KNOWN
    assert {volume.split(":")[0] for one in services.values() for volume in one["volumes"]} == (
        declared
    )
    assert {name: one["ports"] for name, one in services.items() if "ports" in one} == {
        "gateway": ["127.0.0.1:8080:8080"]
    }
    for one in services.values():
        assert (ROOT / "deploy" / one["build"]["context"] / one["build"]["dockerfile"]).exists()
        assert one.get("depends_on", {}).keys() <= services.keys()
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])


def test_compose_runs_its_example(services: Mapping[str, Any], tmp_path: Path) -> None:
    """The three commands as they are, each at a free port of this machine."""
    settings = services["gateway"]["environment"]
    assert settings["GATEWAY_GEMINI_BASE_URL"] == "http://127.0.0.1:8081"
    with serving(tmp_path, *services["emulator"]["entrypoint"][1:], "--port", "0") as emulator:
        env = loopback(tmp_path, **{**settings, "GATEWAY_GEMINI_BASE_URL": emulator.url})
        with serving(tmp_path, "serve", env=env) as gateway:
            done = _run_client(services["client"], gateway.url, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Echo: Say hello." in done.stdout
    assert "Echo: Say good-bye." in done.stdout


def _run_client(
    client: Mapping[str, Any], url: str, directory: Path
) -> subprocess.CompletedProcess[str]:
    """Its script in a directory in place of ``/tmp``."""
    (example,) = yaml.safe_load(COMPOSE.read_text())["configs"].values()
    ((config,), (script,)) = (client["configs"], client["command"])
    (directory / "tmp").mkdir()
    (directory / "example.jsonl").write_text(example["content"])
    assert client["environment"]["OPENAI_BASE_URL"] == "http://gateway:8080/v1"
    programs = f"{Path(sys.executable).parent}:{os.defpath}"
    return subprocess.run(
        [
            *client["entrypoint"],
            script.replace(config["target"], "example.jsonl").replace("/tmp/", "tmp/"),
        ],
        cwd=directory,
        env={**client["environment"], "OPENAI_BASE_URL": url, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_comments_commands_are_well_formed() -> None:
    """What the files say to type can be split as a shell would."""
    for path in (DOCKERFILE, ROOT / "deploy/kubernetes.yaml", COMPOSE):
        comments = re.findall(r"^#   (.*)", path.read_text(), re.MULTILINE)
        typed = "\n".join(comments).replace("\\\n", "").splitlines()
        assert typed
        for command in typed:
            words = shlex.split(command)
            assert words[0] in {"docker", "kubectl"}
            assert {w for w in words if w.startswith("GATEWAY")} <= KNOWN
