"""docker-compose.yml and Dockerfile, as far as they are there: no password in them, loopback, pinned, no privileges.

The check reads the files as they are run, anchors resolved; each rule is shown to find what breaks it.
"""

from __future__ import annotations

import ast
import copy
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from ingestion.home import PROJECT

_SECRET = re.compile(
    r"PASS(WORD|WD)?|SECRET|TOKEN|PRIVATE|(^|_)(API_?)?KEY($|S|_)|CREDENTIAL|FERNET|JWT", re.IGNORECASE
)
#: Names a secret's place, or refers to a variable that must be given: ``${NAME:?why}``, ``${NAME}``.
_ELSEWHERE = re.compile(r"\$\{[A-Z_]+(:?\?[^}]*)?\}|/run/secrets/.+")
_LOGIN_IN_URI = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
_PINNED = re.compile(r".+:[^:/]*\d[^:/]*$|.+@sha256:[0-9a-f]{64}")
_LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost")
_POWERFUL = {"ALL", "SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "SYS_MODULE", "DAC_READ_SEARCH"}


def problems(compose: dict[str, Any]) -> list[str]:
    """What a compose file does that it must not, one line each."""
    found = []
    for name, service in compose.get("services", {}).items():
        found += [f"{name}: {problem}" for rule in RULES for problem in rule(service)]
    for name, secret in (compose.get("secrets") or {}).items():
        if not ({"file", "external", "environment"} & set(secret or {})):
            found.append(f"secret {name} comes from nowhere")
        if path := (secret or {}).get("file"):
            tracked = subprocess.run(
                ["git", "ls-files", "--error-unmatch", path], cwd=PROJECT, capture_output=True, check=False
            )
            if tracked.returncode == 0:
                found.append(f"secret {name}: {path} is in the repository")
    return found


def _ports(service: dict[str, Any]) -> Iterator[str]:
    for port in service.get("ports", []):
        if isinstance(port, dict):
            host = str(port.get("host_ip", ""))
        else:
            host = re.sub(r"\$\{[^}]*\}", "0", str(port)).rpartition(":")[0].rpartition(":")[0]
        if host not in _LOOPBACK:
            yield f"port {port} is open to the network"
    if service.get("network_mode") == "host":
        yield "lives in the host's network"


def _secrets(service: dict[str, Any]) -> Iterator[str]:
    given = [(name, value) for name, value in _pairs(service.get("environment"))]
    build = service.get("build")
    given += _pairs(build.get("args")) if isinstance(build, dict) else []
    for name, value in given:
        text = "" if value is None else str(value)
        if _SECRET.search(name) and not name.endswith("_FILE") and text and not _ELSEWHERE.fullmatch(text):
            yield f"{name} has its value in the file"
        elif name.endswith("_FILE") and not _ELSEWHERE.fullmatch(text):
            yield f"{name} is not a mounted secret"
    texts = [str(value) for _, value in given] + [str(service.get(key, "")) for key in ("command", "entrypoint")]
    texts.append(str((service.get("healthcheck") or {}).get("test", "")))
    for text in texts:
        if _LOGIN_IN_URI.search(text) or re.search(r"(?i)--?(password|passwd|token|secret)[= ]\S", text):
            yield "a password stands in an address or a command"


def _image(service: dict[str, Any]) -> Iterator[str]:
    image = service.get("image")
    if image and not _PINNED.fullmatch(re.sub(r"\$\{[^}]*:-([^}]*)\}", r"\1", str(image))):
        yield f"image {image} is not pinned"
    if not image and not service.get("build"):
        yield "has neither an image nor a build"


def _privileges(service: dict[str, Any]) -> Iterator[str]:
    if service.get("privileged"):
        yield "is privileged"
    if powerful := _POWERFUL & set(service.get("cap_add", [])):
        yield f"may do {', '.join(sorted(powerful))}"
    for volume in service.get("volumes", []):
        source = str(volume.get("source", "") if isinstance(volume, dict) else volume).partition(":")[0]
        if source in ("/", "/etc", "/root", "/home") or "docker.sock" in str(volume):
            yield f"mounts {source} of the host"


RULES: tuple[Callable[[dict[str, Any]], Iterator[str]], ...] = (_ports, _secrets, _image, _privileges)


def _pairs(given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, list):
        return [(name, value) for name, _, value in (str(line).partition("=") for line in given)]
    return list((given or {}).items())


def unpinned(dockerfile: str) -> list[str]:
    """Base images without a version, and things taken from the network without a hash."""
    stages, found = set(), []
    for line in dockerfile.splitlines():
        if match := re.match(r"(?i)FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", line):
            if match[1] not in stages and not _PINNED.fullmatch(match[1]) and "$" not in match[1]:
                found.append(match[1])
            stages.add(match[2])
        elif re.match(r"(?i)ADD\s+(?!.*--checksum).*https?://", line):
            found.append(line)
    return found


def test_the_deployment_files_that_are_here() -> None:
    for path in [*PROJECT.glob("docker-compose*.y*ml"), *PROJECT.glob("compose*.y*ml")]:
        assert problems(yaml.safe_load(path.read_text(encoding="utf-8"))) == [], path.name
    for path in PROJECT.glob("**/Dockerfile*"):
        if ".venv" not in path.parts:
            assert unpinned(path.read_text(encoding="utf-8")) == [], path.name


SOUND: dict[str, Any] = {
    "services": {
        "db": {
            "image": "postgres:18.1-bookworm",
            "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/db", "TZ": "Asia/Shanghai"},
            "ports": ["127.0.0.1:${PORT:-5432}:5432"],
            "secrets": ["db"],
            "volumes": ["db:/var/lib/postgresql"],
        }
    },
    "secrets": {"db": {"file": "./secrets/db"}},
}

BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "password": lambda db: db["environment"].update(POSTGRES_PASSWORD="postgres"),
    "default": lambda db: db["environment"].update(ADMIN_PASSWORD="${ADMIN_PASSWORD:-admin}"),
    "list": lambda db: db.update(environment=["AIRFLOW__API_AUTH__JWT_SECRET=x"]),
    "fernet": lambda db: db["environment"].update(AIRFLOW__CORE__FERNET_KEY="c2VjcmV0"),
    "file": lambda db: db["environment"].update(POSTGRES_PASSWORD_FILE="./password"),
    "uri": lambda db: db["environment"].update(DATABASE="postgresql://airflow:airflow@db/airflow"),
    "command": lambda db: db.update(command="airflow users create --password admin"),
    "argument": lambda db: db.update(build={"context": ".", "args": {"TOKEN": "t"}}),
    "open port": lambda db: db.update(ports=["5432:5432"]),
    "any address": lambda db: db.update(ports=["0.0.0.0:5432:5432"]),
    "long port": lambda db: db.update(ports=[{"target": 5432, "published": 5432}]),
    "host network": lambda db: db.update(network_mode="host"),
    "latest": lambda db: db.update(image="postgres:latest"),
    "no tag": lambda db: db.update(image="registry.example:5000/postgres"),
    "privileged": lambda db: db.update(privileged=True),
    "capability": lambda db: db.update(cap_add=["SYS_ADMIN"]),
    "socket": lambda db: db.update(volumes=["/var/run/docker.sock:/var/run/docker.sock"]),
}


def test_a_sound_file_has_no_problem() -> None:
    assert problems(SOUND) == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_finds_what_breaks_it(name: str) -> None:
    compose = copy.deepcopy(SOUND)
    BROKEN[name](compose["services"]["db"])
    assert len(problems(compose)) == 1


def test_a_secret_in_the_repository_and_an_unpinned_base_are_found() -> None:
    compose = copy.deepcopy(SOUND)
    compose["secrets"]["db"] = {"file": "README.md"}
    assert problems(compose) == ["secret db: README.md is in the repository"]
    assert unpinned("FROM python\nADD https://x.example/y /y\n") == ["python", "ADD https://x.example/y /y"]
    assert unpinned("FROM python:3.11-slim AS app\nFROM app\nCOPY . .\n") == []


def test_no_key_or_password_file_is_in_the_repository() -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout.decode()
    names = [path for name in files.split("\0") if (path := PROJECT / name).is_file()]
    assert names
    assert [
        path.name for path in names if path.suffix in (".key", ".pem", ".p12") or path.name.startswith(".env")
    ] == []
    marks = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{40}")
    assert [path.name for path in names if marks.search(path.read_bytes())] == []


def _parts(folder: str) -> set[str]:
    """The project's own packages that the modules of one of its packages import, in functions too."""
    names: set[str] = set()
    for path in (PROJECT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return {name for name in names if list((PROJECT / name).glob("*.py"))}


def test_the_image_holds_every_package_that_its_processes_import() -> None:
    lines = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    included = {line[1:] for line in lines if line.startswith("!")}
    wanted, todo = set(), ["dags", "ops"]
    while todo:
        if (name := todo.pop()) not in wanted:
            wanted.add(name)
            todo += _parts(name)
    assert {"upkeep", "publishing", "ingestion"} <= wanted <= included
    assert "docs/runbook" in included, "an alert reads its first step from the runbook's page"
